"""Embedding spaces: what heads gives, what can be read from each, who is near in each, and what each decides."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mixviz.analysis.heads import (
    branches,
    contributions,
    factor_readout,
    head_contribution,
    head_names,
    heads,
    nearest_per_head,
)
from mixviz.build import build_embedder
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.encoders import Normalise
from mixviz.errors import UserError
from mixviz.evaluate import SealedLabels

LOOC = {"framework": "n-pair", "mixing": ["looc"], "looc_left_out": ["color", "rotation"], "rotation": 0.5}


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def embedder_of(**settings):
    config = RunConfig.of(dim=16, device="cpu", dtype="float32", **settings)
    normalise = Normalise(torch.full((3, 1, 1), 0.5), torch.full((3, 1, 1), 0.25), torch.channels_last)
    return build_embedder(config, (3, 16, 16), normalise), head_names(config)


@pytest.fixture(scope="module")
def images():
    return torch.rand(10, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_names_are_space_0_and_then_the_left_out_augmentations():
    assert head_names(RunConfig.of(**LOOC)) == ("all", "color", "rotation")
    assert head_names(RunConfig.of(framework="n-pair", looc_left_out=["blur"])) == ("all",)


@pytest.mark.parametrize("plus_plus", [False, True])
def test_heads_are_the_embedders_own_outputs_at_unit_length(images, plus_plus):
    embedder, names = embedder_of(**LOOC, looc_plus_plus=plus_plus)
    found = heads(embedder, images, names, batch_size=4)
    assert list(found) == ["backbone", "all", "color", "rotation"]
    with torch.no_grad():
        embedder.eval()
        expected = [embedder.features(images), *embedder(images).unbind(1)]
    for rows, wanted in zip(found.values(), expected, strict=True):
        torch.testing.assert_close(rows, F.normalize(wanted, dim=1))


def test_an_image_passes_through_the_backbone_once_in_evaluation_mode(images):
    embedder, names = embedder_of(**LOOC)
    embedder.train()
    seen = []
    embedder.backbone.register_forward_hook(lambda module, inputs, _: seen.append((len(inputs[0]), module.training)))
    heads(embedder, images, names, batch_size=4)
    assert seen == [(4, False), (4, False), (2, False)]
    assert embedder.training


def test_spaces_without_names_are_numbered_and_wrong_names_are_refused(images):
    embedder, _ = embedder_of(**LOOC)
    assert list(heads(embedder, images)) == ["backbone", "all", "space 1", "space 2"]
    with pytest.raises(UserError, match="2 names for 3 embedding spaces"):
        heads(embedder, images, ["all", "color"])


def test_branches_of_looc_plus_plus_are_what_its_projectors_see(images):
    embedder, names = embedder_of(**LOOC, looc_plus_plus=True)
    found = heads(embedder, images, names)
    parts = branches(found["backbone"], names)
    with torch.no_grad():
        for name, projector in zip(names, embedder.projectors, strict=True):
            assert parts[name].shape == (10, found["backbone"].shape[1] // 3)
            length = embedder.eval().features(images).chunk(3, dim=1)[names.index(name)].norm(dim=1, keepdim=True)
            torch.testing.assert_close(F.normalize(projector(parts[name] * length), dim=1), found[name])


def factor_set(n, seed):
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (n, 4, 4, 3), dtype=np.uint8)
    return Dataset(
        name="noise",
        split="train",
        stored=noise,
        labels=rng.integers(0, 4, n),
        factors={"hue": 5 + rng.integers(0, 3, n)},
    )


def test_a_factor_is_read_from_the_head_that_has_it_alone():
    train, test = factor_set(600, 0), factor_set(300, 1)

    def embed(images, seed):
        hue = F.one_hot(torch.as_tensor(images.factors["hue"] - 5), 3)
        noise = normal(len(images), 6, seed=seed)
        weak = torch.cat([0.05 * hue, noise], dim=1)  # the factor is there, and the images vary in all else
        return {"has it": hue + 0.1 * noise[:, :3], "lacks it": noise, "has it weakly": weak}

    both = embed(train, 2), embed(test, 3)
    linear = factor_readout(*both, train, test, ["label", "hue"]).set_index(["factor", "head"])
    assert linear.loc[("hue", "has it"), "accuracy"] == 1
    assert linear.loc[("hue", "has it weakly"), "accuracy"] == 1
    assert abs(linear.loc[("hue", "lacks it"), "accuracy"] - 1 / 3) < 0.1
    assert abs(linear.loc[("label", "has it"), "accuracy"] - 1 / 4) < 0.1
    assert linear.loc["hue", "chance"].tolist() == pytest.approx([1 / 3] * 3)
    knn = factor_readout(*both, train, test, ["hue"], protocol="knn").set_index("head")["accuracy"]
    assert knn["has it"] == 1
    assert knn["has it weakly"] < 0.6
    with pytest.raises(UserError, match="unknown factor 'hu'"):
        factor_readout(*both, train, test, ["hu"])
    with pytest.raises(UserError, match="unknown protocol"):
        factor_readout(*both, train, test, ["hue"], protocol="kn")


def test_a_readout_goes_through_the_sealed_labels_of_the_evaluator(monkeypatch):
    train, test, reads = factor_set(60, 0), factor_set(30, 1), []
    judged = SealedLabels.judged

    def counted(sealed, *given):
        found = judged(sealed, *given)
        reads.append((found[0].accuracy, sealed.reads))
        return found

    monkeypatch.setattr(SealedLabels, "judged", counted)
    both = [{head: normal(len(part), 4, seed=seed) for head in "ab"} for seed, part in enumerate((train, test))]
    table = factor_readout(*both, train, test, ["label", "hue"], "knn")
    assert sorted(reads) == sorted((accuracy, 1) for accuracy in table["accuracy"])
    assert table["factor"].tolist() == ["label", "label", "hue", "hue"]
    assert table["head"].tolist() == ["a", "b", "a", "b"]
    with pytest.raises(UserError, match="test examples are training examples too"):
        factor_readout(both[0], both[0], train, train, protocol="knn")


def test_neighbours_are_the_nearest_others_of_each_head():
    embeddings = {name: F.normalize(normal(30, 4, seed=seed), dim=1) for seed, name in enumerate(["all", "color"])}
    embeddings["all"][3] = embeddings["all"][17]  # a duplicate: as near as the query itself
    queries = torch.tensor([3, 17, 5])
    found = nearest_per_head(embeddings, queries, 4)
    for name, rows in embeddings.items():
        for query, index in zip(queries.tolist(), found[name].tolist(), strict=True):
            ranking = sorted(set(range(30)) - {query}, key=lambda i: -float(rows[i] @ rows[query]))
            assert index == ranking[:4]
    with pytest.raises(UserError):
        nearest_per_head(embeddings, queries, 30)


def test_contributions_are_the_logit_above_the_mean_split_by_head():
    features, weights, classes = normal(5, 7), normal(7, 3, seed=1), torch.tensor([0, 2, 1, 1, 0])
    found = contributions(features, weights, classes, [2, 5])
    for i, c in enumerate(classes.tolist()):
        for h, columns in enumerate([range(2), range(2, 7)]):
            scores = [sum(float(features[i, d] * weights[d, other]) for d in columns) for other in range(3)]
            assert float(found[i, h]) == pytest.approx(scores[c] - sum(scores) / 3, abs=1e-5)
    logits = features @ weights
    torch.testing.assert_close(found.sum(dim=1), logits[range(5), classes] - logits.mean(dim=1))


def test_the_head_that_has_the_class_decides():
    def embed(labels, seed):
        noise = normal(len(labels), 8, seed=seed)
        return {"blind": noise[:, :4], "sees": F.one_hot(labels, 4) + 0.3 * noise[:, 4:]}

    labels, test_labels = (torch.arange(n) % 4 for n in (800, 400))
    found = head_contribution(embed(labels, 0), labels, embed(test_labels, 1), test_labels)
    assert found.heads == ("blind", "sees")
    assert 0.8 < found.accuracy < 1
    assert len(found.values) == len(found.index) == round(found.accuracy * 400)
    assert float(found.share.sum()) == pytest.approx(1)
    assert float(found.share[1]) > 0.95
    assert (found.values.sum(dim=1) > 0).all()  # correct predictions have the largest logit
