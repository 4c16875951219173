"""Analyses: pure functions of arrays, terms and logs; dataclasses and DataFrames out."""
