"""LooC's embedding spaces, each one and together, for evaluation."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from mixviz.errors import UserError
from mixviz.evaluate.source import Source


def space_features(spaces: Mapping[str, Tensor], backbone: str = "backbone") -> dict[str, Tensor]:
    """Each embedding space, all concatenated (as LooC++ is evaluated, arXiv:2008.05659), and with the backbone.

    spaces: name -> (n, D), rows of unit length, as from ``heads`` or ``branches`` of ``mixviz.analysis.heads``, so that
    all have the same weight; ``backbone`` does not count as a space. Returns each space, then "all spaces", and
    "backbone + all spaces". A single space is "all spaces" already. Raises UserError if there is no space.
    """
    own = [name for name in spaces if name != backbone]
    if not own:
        raise UserError("there is no embedding space besides the backbone: give at least one")
    found = {name: spaces[name] for name in own}
    if len(own) > 1:
        found["all spaces"] = torch.cat([spaces[name] for name in own], dim=1)
    if backbone in spaces:
        found[f"{backbone} + all spaces"] = torch.cat([spaces[name] for name in (backbone, *own)], dim=1)
    return found


def space_sources(
    source: Source, train_spaces: Mapping[str, Tensor], test_spaces: Mapping[str, Tensor]
) -> list[Source]:
    """A source for every combination of ``space_features``, named after it.

    source: of the encoder with these spaces. The backbone alone is left out: ``evaluate`` reads it from ``source``, not
    normalised. Raises UserError.
    """
    features, test_features = space_features(train_spaces), space_features(test_spaces)
    return [
        replace(source, embedder=None, encoder=name, features=(features[name], test_features[name]))
        for name in features
    ]
