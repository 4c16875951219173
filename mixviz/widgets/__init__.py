"""Widgets for notebooks: controls over a picture of a trained network, which answers at once."""

from mixviz.widgets.base import Widget
from mixviz.widgets.contrast import ContrastTable

__all__ = ["ContrastTable", "Widget"]
