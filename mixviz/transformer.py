"""Contrastive features in scikit-learn: an encoder that ``fit`` trains without labels and ``transform`` applies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.data.arrays import as_rgb
from mixviz.data.decode import resize_all
from mixviz.errors import UserError
from mixviz.evaluate import extract
from mixviz.train import train

SOURCES = {"image": "numpy:X", "tabular": "csv:X"}  # their kind gives the config its domain; nothing is read


class MixvizEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Rows (n, F), or images (n, H, W, 3) uint8 or in [0, 1], to the features of an encoder trained on them.

    Rows are standardised, and images are cropped to squares of the size of those that were fitted. Labels are not used.

    Parameters
    ----------
    framework, mixing, epochs, batch_size, device : as the flags of ``python -m mixviz train``; a batch is at most all
        examples.
    settings : further flags by name, with underscores, such as ``{"backbone": "resnet18", "temperature": 0.1}``.
    random_state : of weights, order, augmentation and mixing.
    progress : show a progress bar.

    Attributes
    ----------
    encoder_ : the frozen encoder, a ``torch.nn.Module``.
    config_ : the ``RunConfig`` that it was trained with.
    image_size_ : pixels; None for rows.
    n_features_in_, feature_names_in_ : columns of rows; names if X has them.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(64, 8))
    >>> MixvizEncoder(epochs=1).fit_transform(rows).shape
    (64, 256)
    """

    def __init__(
        self,
        framework: str = "n-pair",
        mixing: Sequence[str] = ("imix",),
        epochs: int = 20,
        batch_size: int = 256,
        device: str = "auto",
        settings: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        progress: bool = False,
    ):
        self.framework = framework
        self.mixing = mixing
        self.epochs = epochs
        self.batch_size = batch_size
        self.device = device
        self.settings = settings
        self.random_state = random_state
        self.progress = progress

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train an encoder on at least two examples; y is ignored. Raises UserError, a ValueError."""
        data = self._fitted_to(X)
        self.config_ = RunConfig.of(
            data=SOURCES[data.domain],
            framework=self.framework,
            mixing=self.mixing,
            epochs=self.epochs,
            batch_size=min(self.batch_size, len(data)),
            device=self.device,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            holdout=0,
            knn_every=0,
            film_frames=0,
            **(self.settings or {}),
        )
        with TemporaryDirectory() as folder:
            self.encoder_ = train(self.config_, "X", data, Path(folder), self.progress).encoder(device=self.device)
        self._n_features_out = extract(self.encoder_, data.select(np.arange(1))).shape[1]
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """(n, F') float32. Raises UserError, a ValueError."""
        check_is_fitted(self)
        if self.image_size_ is None:
            data = _rows(self.scaler_.transform(self._numbers(X, reset=False)))
        elif _are_images(X):
            data = _images(X, self.image_size_)
        else:
            raise UserError("the encoder was fitted to images: give X as (n, H, W, 3)")
        return extract(self.encoder_, data).numpy()

    def _fitted_to(self, X: ArrayLike) -> Dataset:
        """The examples to train on; remembers what they are."""
        if _are_images(X):
            self.image_size_ = min(as_rgb(np.asarray(X), "X").shape[1:3])
            return _images(X, self.image_size_)
        rows = self._numbers(X, ensure_min_samples=2)
        self.image_size_, self.scaler_ = None, StandardScaler().fit(rows)
        return _rows(self.scaler_.transform(rows))

    def _numbers(self, X: ArrayLike, **checks: Any) -> np.ndarray:
        """(n, F) float64, checked. Raises ValueError."""
        # scikit-learn's X is typed by its default, which is a word
        return np.asarray(validate_data(self, X, dtype=np.float64, **checks))  # pyright: ignore[reportArgumentType]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # features are float32
        return tags


def _are_images(X: ArrayLike) -> bool:
    return len(getattr(X, "shape", ())) == 4


def _images(X: ArrayLike, size: int) -> Dataset:
    return Dataset(name="X", split="train", stored=resize_all(as_rgb(np.asarray(X), "X"), size))


def _rows(X: ArrayLike) -> Dataset:
    return Dataset(name="X", split="train", domain="tabular", stored=np.asarray(X, np.float32))
