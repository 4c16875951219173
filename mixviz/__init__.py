"""Understand, measure and reproduce mixing in contrastive learning."""

__version__ = "0.1.0"
