"""Exercises of the notebooks that recognise the usual wrong answers, and tables of what we measured for each claim."""
