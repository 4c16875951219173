"""Combinations of spaces are what they say."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mixviz.data import Dataset
from mixviz.errors import UserError
from mixviz.evaluate import Source, evaluate
from mixviz.evaluate.spaces import space_features, space_sources


def unit(*shape, seed):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_spaces_singly_together_and_with_the_backbone():
    spaces = {"backbone": unit(5, 4, seed=0), "all": unit(5, 3, seed=1), "color": unit(5, 3, seed=2)}
    found = space_features(spaces)
    assert list(found) == ["all", "color", "all spaces", "backbone + all spaces"]
    assert all(torch.equal(found[name], spaces[name]) for name in ("all", "color"))
    assert torch.equal(found["all spaces"], torch.cat([spaces["all"], spaces["color"]], dim=1))
    assert torch.equal(found["backbone + all spaces"], torch.cat(list(spaces.values()), dim=1))
    assert list(space_features({"all": spaces["all"]})) == ["all"]
    assert list(space_features({name: spaces[name] for name in ("all", "backbone")})) == [
        "all", "backbone + all spaces"
    ]  # fmt: skip
    with pytest.raises(UserError, match="at least one"):
        space_features({"backbone": spaces["backbone"]})


def test_what_no_single_space_holds_is_read_from_all():
    """Each space tells one bit of a label of four classes; together they tell all of it."""
    labels = np.arange(200) % 4
    bits = torch.stack([torch.as_tensor(labels // 2), torch.as_tensor(labels % 2)])
    noise = 0.1 * torch.randn(2, 200, 2, generator=torch.Generator().manual_seed(0))
    spaces = {
        name: F.normalize(F.one_hot(bit, 2) + extra, dim=1)
        for name, bit, extra in zip(("all", "color"), bits, noise, strict=True)
    }
    data, test = (
        Dataset(name="bits", split=split, stored=np.full((200, 1, 1, 3), shade, np.uint8), labels=labels)
        for shade, split in enumerate(("train", "test"))
    )
    sources = space_sources(Source(train=data, test=test, run="mine"), spaces, spaces)
    results = [result for source in sources for result in evaluate(source, protocols=["linear-features"])]
    assert {result.run for result in results} == {"mine"}
    found = {result.encoder: result for result in results}
    assert found["all"].accuracy == pytest.approx(0.5, abs=0.1)
    assert found["all spaces"].accuracy > 0.98
    alone = Source(features=(spaces["color"], spaces["color"]), train=data, test=test)
    assert found["color"].accuracy == evaluate(alone, protocols=["linear-features"])[0].accuracy
    with pytest.raises(UserError, match="200 of 200 test examples are training examples too"):
        evaluate(space_sources(Source(train=data, test=data), spaces, spaces)[0])
