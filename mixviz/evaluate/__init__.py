"""Evaluation: frozen features under named protocols; every result says what it depends on."""

from mixviz.evaluate.augmented import LinearAugmented, LinearOnline
from mixviz.evaluate.base import Protocol
from mixviz.evaluate.evaluation import evaluate
from mixviz.evaluate.features import Inputs, NotFrozen, extract, fingerprint, frozen, raw_pixels
from mixviz.evaluate.knn import knn_predict
from mixviz.evaluate.labels import SealedLabels, SealRefused
from mixviz.evaluate.linear import linear_probe
from mixviz.evaluate.protocols import DEFAULTS, PROTOCOLS, protocol, read_out_knn
from mixviz.evaluate.source import Source
from mixviz.evaluate.storage import keep, read_out
from mixviz.evaluate.stored import Knn, LinearFeatures, Logistic
from mixviz.result import BEST_ON_TEST, Result

__all__ = ["BEST_ON_TEST", "DEFAULTS", "PROTOCOLS", "Inputs", "Knn", "LinearAugmented", "LinearFeatures"]
__all__ += ["LinearOnline", "Logistic", "NotFrozen", "Protocol", "Result", "SealRefused", "SealedLabels", "Source"]
__all__ += ["evaluate", "extract", "fingerprint", "frozen", "keep", "knn_predict", "linear_probe", "protocol"]
__all__ += ["raw_pixels", "read_out", "read_out_knn"]
