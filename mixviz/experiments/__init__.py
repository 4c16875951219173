"""Experiments of several runs, their results, and the README's tables."""
