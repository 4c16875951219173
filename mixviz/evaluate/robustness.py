"""How strong corruptions are, how much accuracy a classifier loses, and its corruption errors against a reference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from mixviz.errors import UserError
from mixviz.evaluate.base import MultiTrialProtocol, Readout
from mixviz.evaluate.corruptions import SEVERITIES, STANDARD, Corruption, corrupt
from mixviz.evaluate.features import Inputs
from mixviz.evaluate.linear import linear_classifier

CLEAN = "clean"  # the kind of images that are not corrupted, at severity 0

# The strength of the severities: PSNR in dB on the 10,000 test images of CIFAR-10 (JPEG) with seed 0, as
# ``calibration`` # gives it; lower is stronger. At one severity the kinds are not equal: blur and JPEG are milder than
# fog.
PSNR: dict[str, tuple[float, ...]] = {
    "gaussian_noise": (28.1, 24.6, 22.2, 21.2, 20.3),
    "shot_noise": (30.4, 27.4, 23.5, 22.3, 20.6),
    "impulse_noise": (25.1, 22.0, 20.3, 18.1, 16.6),
    "defocus_blur": (42.2, 34.1, 30.5, 28.2, 25.1),
    "motion_blur": (26.9, 23.7, 21.9, 21.2, 20.7),
    "zoom_blur": (32.2, 26.3, 23.5, 21.7, 20.5),
    "fog": (25.5, 19.6, 17.4, 16.0, 14.5),
    "brightness": (27.2, 21.3, 18.0, 15.7, 12.4),
    "contrast": (25.6, 19.6, 18.0, 16.7, 15.0),
    "elastic_transform": (26.1, 22.9, 20.9, 19.4, 18.3),
    "pixelate": (32.1, 29.7, 28.6, 26.8, 25.0),
    "jpeg_compression": (39.7, 34.7, 31.3, 28.7, 28.3),
    "speckle_noise": (30.1, 25.8, 24.3, 21.9, 20.1),
    "gaussian_blur": (42.6, 30.7, 28.6, 27.1, 25.1),
    "glass_blur": (18.9, 18.9, 20.0, 16.9, 18.0),
    "snow": (25.2, 19.4, 19.0, 15.4, 13.5),
    "synthetic_frost": (25.4, 19.5, 15.7, 13.1, 11.2),
    "spatter": (25.1, 23.3, 20.3, 22.9, 20.7),
    "saturate": (21.9, 19.7, 25.8, 18.5, 15.3),
}


def psnr(images: np.ndarray, corrupted: np.ndarray) -> np.ndarray:
    """(N,) peak signal to noise ratio in dB of images (N, H, W, 3) uint8; higher is nearer, infinite if equal."""
    squared = np.mean((images.astype(np.float32) - corrupted) ** 2, axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255**2 / squared)


def calibration(images: np.ndarray, kinds: Sequence[str] = tuple(SEVERITIES), seed: int = 0) -> pd.DataFrame:
    """How strong each severity is on these images: kind, severity, parameters and PSNR in dB; lower is stronger.

    The PSNR is that of the mean squared error over all images, which is finite even where one image does not change.
    """
    rows = []
    for kind in kinds:
        for severity, parameters in enumerate(SEVERITIES[kind], start=1):
            corrupted = corrupt(images, kind, severity, seed)
            together = psnr(images.reshape(1, -1, 1, 3), corrupted.reshape(1, -1, 1, 3))[0]
            rows.append({"kind": kind, "severity": severity, "parameters": parameters, "psnr": float(together)})
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class LinearCorrupted(MultiTrialProtocol):
    """The classifier of ``linear-features`` on corrupted test images (Hendrycks & Dietterich 2019, arXiv:1903.12261).

    Encoder and classifier do not change: they were trained on clean images only.
    The accuracy is the mean over kinds and severities; that of clean images is in the settings as ``clean``. It costs a
    pass over the test images for each kind and severity.
    """

    name: ClassVar[str] = "corruptions"
    domains: ClassVar[tuple[str, ...] | None] = ("image",)

    kinds: Annotated[tuple[Corruption, ...], Field(min_length=1)] = STANDARD
    severities: Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1)] = (1, 2, 3, 4, 5)

    def read(self, inputs: Inputs, labels: Tensor, seed: int = 0) -> Readout:
        """Predictions (M, n): of the clean images, then of each kind at each severity."""
        images = inputs.test
        features, test_features = inputs.features(self.layer)
        classifier = linear_classifier(features, labels, seed)
        predicted = [classifier(test_features)]
        for kind, severity in product(self.kinds, self.severities):
            corrupted = replace(images, stored=corrupt(np.array(images.stored), kind, severity, seed))
            predicted.append(classifier(inputs.features_of(corrupted, self.layer)))
        return torch.stack(predicted).cpu(), {"lr": classifier.lr, "weight_decay": classifier.weight_decay}

    def counted(self, count: int) -> np.ndarray:
        """The corrupted sets, not the clean images."""
        return np.arange(count) > 0

    def table(self, accuracies: np.ndarray) -> pd.DataFrame:
        """One row a kind and severity, the first of the clean images: kind, severity (0 for clean), accuracy, error."""
        cells = [(CLEAN, 0), *product(self.kinds, self.severities)]
        table = pd.DataFrame(cells, columns=["kind", "severity"])
        return table.assign(accuracy=accuracies, error=1 - accuracies)

    def more_settings(self, table: pd.DataFrame) -> dict[str, Any]:
        """The accuracy on ``clean`` images."""
        return {CLEAN: float(table["accuracy"][table["kind"] == CLEAN].iloc[0])}


def compare_corruption_errors(table: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Corruption errors by kind, in multiples of a reference network's (Hendrycks & Dietterich 2019, section 4.3).

    table, reference: of protocol ``corruptions``, with the same kinds and severities. With E the error summed over
    the severities of a kind, and C the clean error at each of them:
    ``ce`` = E / E of the reference; below 1 is better than the reference.
    ``relative_ce`` = (E - C) / (E - C) of the reference: only what corruption adds to the clean error; NaN if the
    reference loses nothing, and unreliable if it loses little. In the paper the reference is AlexNet; here it is any
    network. Raises UserError if the two tables differ in kinds or severities.
    """
    sums, reference_sums = _sums(table), _sums(reference)
    if not sums["cells"].equals(reference_sums["cells"]):
        raise UserError("the two tables differ in kinds or severities: make both with the same")
    with np.errstate(divide="ignore", invalid="ignore"):
        ce = sums["error"].to_numpy() / reference_sums["error"].to_numpy()
        relative = sums["added"].to_numpy() / reference_sums["added"].to_numpy()
    relative = np.where(reference_sums["added"] > 0, relative, np.nan)
    return pd.DataFrame({"kind": sums.index, "ce": ce, "relative_ce": relative})


def mean_corruption_error(table: pd.DataFrame, reference: pd.DataFrame) -> tuple[float, float]:
    """mCE and relative mCE: the means over kinds of ``compare_corruption_errors``; without kinds that are NaN."""
    compared = compare_corruption_errors(table, reference)
    return float(compared["ce"].mean()), float(compared["relative_ce"].mean())


def _sums(table: pd.DataFrame) -> pd.DataFrame:
    """By kind, in the order of their names: the severities, the summed error, and the sum above the clean error."""
    clean = float(table.loc[table["kind"] == CLEAN, "error"].iloc[0])
    grouped = table[table["kind"] != CLEAN].sort_values(["kind", "severity"]).groupby("kind")
    cells = grouped["severity"].agg(lambda severities: f"{severities.name} {tuple(severities)}")
    error = grouped["error"].sum()
    return pd.DataFrame({"cells": cells, "error": error, "added": error - clean * grouped.size()})
