"""How strong corruptions are, what a read-out loses by them, and its corruption errors against a reference."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from mixviz.data import ImageSet
from mixviz.encoders import Embedder
from mixviz.errors import UserError
from mixviz.evaluate.corruptions import SEVERITIES, corrupt
from mixviz.evaluate.features import extract, raw_pixels
from mixviz.evaluate.linear import fit, linear_probe, predict

CLEAN = "clean"  # the kind of images that are not corrupted, at severity 0

# What the severities come to: PSNR in dB on the 10,000 test images of CIFAR-10 (JPEG) with seed 0, as ``calibration``
# gives it; lower is stronger. At one severity the kinds are not equal: blur and JPEG are milder than fog.
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
}


def psnr(images: np.ndarray, corrupted: np.ndarray) -> np.ndarray:
    """(N,) peak signal to noise ratio in dB of images (N, H, W, 3) uint8; higher is nearer, infinite where equal."""
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
class Classifier:
    """A linear read-out that can be asked again: (n, F) features -> (n,) labels as the data set has them."""

    mean: Tensor  # (F,) of the training features
    std: Tensor  # (F,)
    weights: Tensor  # (F + 1, C), the last row is the bias
    classes: np.ndarray  # (C,) labels
    lr: float  # chosen on a fifth of train
    weight_decay: float

    def __call__(self, features: Tensor) -> np.ndarray:
        return self.classes[predict(self.weights[:, None], (features - self.mean) / self.std)[0].numpy()]


def train_classifier(features: Tensor, labels: np.ndarray, seed: int = 0) -> Classifier:
    """The classifier of protocol ``linear-features``, kept: settings chosen on a fifth of train, trained on all of it.

    features: (N, F); labels: (N,) of any values.
    """
    classes, index = np.unique(labels, return_inverse=True)
    targets = torch.as_tensor(index)
    probe = linear_probe(features, targets, features[:1], seed)
    mean, std = features.mean(dim=0), features.std(dim=0).clamp(min=1e-6)
    settings = [(probe.lr, probe.weight_decay)]
    generator = Generator().manual_seed(seed)
    weights = fit((features - mean) / std, targets, settings, generator, epochs=50, batch_size=1024)
    return Classifier(mean, std, weights[:, 0], classes, probe.lr, probe.weight_decay)


def corruption_errors(
    embedder: Embedder | None,
    classifier: Callable[[Tensor], np.ndarray],
    test: ImageSet,
    kinds: Sequence[str] = tuple(SEVERITIES),
    severities: Sequence[int] = (1, 2, 3, 4, 5),
    target: str = "label",
    seed: int = 0,
) -> pd.DataFrame:
    """Accuracy on corrupted test images, one row a kind and severity; the first row is of the clean images.

    Encoder and classifier stay as they are: they were trained on clean images and never see a corrupted one before.
    embedder: None stands for raw pixels. classifier: features (n, F) -> labels (n,), as from ``train_classifier``.
    Columns: kind, severity (0 for clean), accuracy in [0, 1], error = 1 - accuracy. Raises UserError, NotFrozen.
    """
    wanted = test.targets(target)
    images = np.array(test.images)
    rows = []
    for kind, severity in [(CLEAN, 0), *((kind, severity) for kind in kinds for severity in severities)]:
        shown = images if kind == CLEAN else corrupt(images, kind, severity, seed)
        corrupted = replace(test, images=shown)
        features = raw_pixels(corrupted) if embedder is None else extract(embedder, corrupted)
        accuracy = float(np.mean(classifier(features) == wanted))
        rows.append({"kind": kind, "severity": severity, "accuracy": accuracy, "error": 1 - accuracy})
    return pd.DataFrame(rows)


def compare_corruption_errors(table: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Corruption errors by kind, in multiples of a reference network's (Hendrycks & Dietterich 2019, section 4.3).

    table, reference: as from ``corruption_errors``, of the same kinds and severities. With E the error summed over
    the severities of a kind, and C the clean error at each of them:
    ``ce`` = E / E of the reference; below 1 is better than the reference.
    ``relative_ce`` = (E - C) / (E - C) of the reference: what corruption adds to the clean error, alone; NaN where
    the reference loses nothing, and of little worth where it loses little.
    In the paper the reference is AlexNet; here it is whatever network is named beside.
    Raises UserError where the two tables differ in kinds or severities.
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
    """mCE and relative mCE: the means over kinds of ``compare_corruption_errors``; kinds without a number left out."""
    compared = compare_corruption_errors(table, reference)
    return float(compared["ce"].mean()), float(compared["relative_ce"].mean())


def _sums(table: pd.DataFrame) -> pd.DataFrame:
    """By kind, in the order of their names: the severities, the summed error, and the sum above the clean error."""
    clean = float(table.loc[table["kind"] == CLEAN, "error"].iloc[0])
    grouped = table[table["kind"] != CLEAN].sort_values(["kind", "severity"]).groupby("kind")
    cells = grouped["severity"].agg(lambda severities: f"{severities.name} {tuple(severities)}")
    error = grouped["error"].sum()
    return pd.DataFrame({"cells": cells, "error": error, "added": error - clean * grouped.size()})
