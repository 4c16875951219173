"""Experiments of several runs, what is found by them, and how the README shows it."""
