"""What the notebooks teach with: exercises that know the usual wrong answers, and what was found of each claim."""
