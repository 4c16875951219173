"""What is evaluated: a frozen encoder, or its stored features, and the images on which it is evaluated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import Tensor

from mixviz.data import Dataset
from mixviz.encoders import Embedder
from mixviz.errors import UserError
from mixviz.evaluate.features import Inputs
from mixviz.evaluate.transfer import resized, shared_classes
from mixviz.runs import Run

Sets = tuple[Dataset, Dataset]  # train and test


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """What ``evaluate`` evaluates, and its name in results."""

    embedder: Embedder | None = None  # None: raw pixels, or ``features``
    train: Dataset
    test: Dataset
    encoder: str = "backbone"  # backbone, random, pixels, ...
    seed: int = 0
    run: str = ""
    features: tuple[Tensor, Tensor] | None = None  # if computed already: (N, F) of train and (n, F) of test
    settings: Mapping[str, Any] = field(default_factory=dict)  # for the results: those of a transfer

    @classmethod
    def of_run(cls, run: Run, sets: Sets, trained: bool = True, device: str = "auto") -> "Source":
        """A run's encoder, or the same before training. Raises UserError if there is none."""
        return cls(
            embedder=run.encoder(trained, device),
            train=sets[0],
            test=sets[1],
            encoder="backbone" if trained else "random",
            seed=run.config.train.seed,
            run=run.name,
        )

    def on(self, other: Sets) -> "Source":
        """The same encoder on another data set (transfer): train and test of that one.

        Images of another size are resized to that of the images that the encoder was trained on. The results' settings
        have ``encoder_trained_on``, ``shared_classes`` (names that both sets have) and ``resized_from``, if they were.
        Raises UserError if the other set is the same one, or train and test are not of one set.
        """
        train, test = other
        if train.name != test.name:
            raise UserError(f"train is from {train.name} but test from {test.name}: use one data set for both")
        if train.name == self.train.name:
            raise UserError(f"the encoder was trained on {train.name} itself: evaluate it, or take another data set")
        if train.domain != self.train.domain:
            raise UserError(
                f"{train.name} is {train.domain} data and the encoder was trained on {self.train.domain} data"
            )
        if train.domain != "image" and train.stored.shape[1:] != self.train.stored.shape[1:]:
            raise UserError(f"{train.name} is of another shape than {self.train.name}, and only images can be resized")
        size, given = self.train.stored.shape[1:3], train.stored.shape[1:3]
        about = {"encoder_trained_on": self.train.name, "shared_classes": list(shared_classes(self.train, train))}
        about |= {"resized_from": list(given)} if given != size else {}
        return replace(self, train=resized(train, size), test=resized(test, size), settings=about)

    def check(self, targets: Sequence[str]) -> None:
        """Raises UserError if the images lack a target or, of a transfer, if train lacks a class that test has."""
        for target in targets:
            classes, test_classes = self.train.targets(target), self.test.targets(target)
            missing = np.setdiff1d(test_classes, classes)
            if len(missing) and "encoder_trained_on" in self.settings:
                raise UserError(
                    f"{self.train.name}: train has no {target} {missing[0]}, and test has: take splits of one set"
                )

    def inputs(self) -> Inputs:
        """The part that protocols may see: no test label, no factor."""
        return Inputs(self.embedder, self.train, self.test, self.features)
