"""Widgets for notebooks: controls over a picture of a trained network, which answers at once."""

from mixviz.widgets.base import Widget
from mixviz.widgets.blended_sounds import BlendedSounds
from mixviz.widgets.contrast import ContrastTable
from mixviz.widgets.evaluation import ProtocolComparison, SeedVerdict
from mixviz.widgets.failures import FailureCases
from mixviz.widgets.film import FilmScrubber
from mixviz.widgets.hardness import HardnessMicroscope
from mixviz.widgets.invariance import InvarianceFingerprint
from mixviz.widgets.mixing import MixingLab
from mixviz.widgets.prediction import Prediction, Predictions
from mixviz.widgets.projection import ProjectionExplorer
from mixviz.widgets.sphere import SphereLab
from mixviz.widgets.training import TrainingPanel

__all__ = [
    "BlendedSounds",
    "ContrastTable",
    "FailureCases",
    "FilmScrubber",
    "HardnessMicroscope",
    "InvarianceFingerprint",
    "MixingLab",
    "Prediction",
    "Predictions",
    "ProjectionExplorer",
    "ProtocolComparison",
    "SeedVerdict",
    "SphereLab",
    "TrainingPanel",
    "Widget",
]
