"""Tables as a domain: settings, augmentations, factors, and a run from its config to its read-outs."""

import pytest
import torch

from mixviz.build import build_method, load_sets
from mixviz.config import RunConfig
from mixviz.data import load
from mixviz.domains import DOMAINS, augmentation_of, clean, inputs_of
from mixviz.domains.tabular import TabularAugment
from mixviz.errors import UserError
from mixviz.evaluate import Source, evaluate
from mixviz.runs import Run
from mixviz.train import resume, train

TABULAR = DOMAINS["tabular"]
SHORT = {"data": "wine", "framework": "n-pair", "batch_size": 32, "epochs": 2, "film_frames": 2}


def test_config_takes_the_domain_from_the_data():
    config = RunConfig.of(data="digits", tabular_noise=0.1)
    assert (config.data.domain, config.encoder.backbone) == ("tabular", "mlp")
    assert config.augment == TabularAugment(noise=0.1)
    assert RunConfig.parse(config.model_dump()) == config
    assert RunConfig.of(data="csv:my.csv", target="species").data.target == "species"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"jitter": 0.5}, "--jitter is for"),
        ({"audio_gain": 0.5}, "--audio-gain is for"),
        ({"tabular_dropout": 1.5}, "--tabular-dropout 1.5"),
        ({"backbone": "convnet"}, "unknown backbone 'convnet'"),
        ({"mixing": ("imix",), "imix_kind": "cutmix"}, "CutMix pastes boxes of images, and this is tabular data"),
        ({"framework": "moco-v2", "mixing": ("looc",)}, "unknown augmentation of --looc-left-out 'color'"),
        (
            {"framework": "moco-v2", "mixing": ("looc",), "looc_left_out": ("noise",)},
            "give --tabular-noise a probability over 0",
        ),
    ],
)
def test_what_means_nothing_for_tables_is_refused(settings, message):
    with pytest.raises(UserError) as caught:
        build_method(RunConfig.of(**{"data": "digits", **settings}), (61,))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_switched_on_is_applied():
    data = load("wine", "train")
    names = [op.name for op in augmentation_of(TabularAugment(noise=0.1, corruption=0.3), data).operations]
    assert names == ["feature corruption", "feature dropout", "feature noise"]
    assert augmentation_of(TabularAugment(dropout=0), data).operations == ()


def test_an_encoder_sees_rows_as_they_are():
    data = load("wine", "train")
    shape, normalise = inputs_of(data)
    assert shape == (13,)
    assert torch.equal(normalise(clean(data)), torch.from_numpy(data.stored))
    assert TABULAR.thumbnail(data.stored[:3]).shape == (3, 13, 13, 3)


@pytest.mark.parametrize("name", TABULAR.factors)
def test_factors_move_rows_the_more_the_stronger(name, generator):
    rows, factor = torch.randn(500, 20), TABULAR.factors[name]
    moved = []
    for strength in factor.strengths:
        operation, drawn = factor.change(torch.full((500,), strength), (20,), generator)
        moved.append(float((operation.apply(rows, drawn) - rows).norm(dim=1).mean()))
    assert moved[0] == 0
    assert moved == sorted(moved)
    assert moved[-1] > 2


def test_a_run_from_config_to_read_outs(tmp_path):
    config = RunConfig.of(**SHORT, mixing=("imix",), imix_inputmix=2, tabular_dropout=0.0)
    run = train(config, "rows", root=tmp_path, progress=False)
    assert run.metrics["loss"].notna().all()
    assert Run(run.path).config == config
    resume(Run(run.path), progress=False)
    sets = load_sets(config.data, progress=False)
    source = Source.of_run(run, (sets.all_train, sets.test))
    results = evaluate(source)
    assert min(result.accuracy for result in results) > 0.8
    with pytest.raises(UserError, match="corruptions needs image data"):
        evaluate(source, protocols=["corruptions"])


def test_spaces_of_their_own(tmp_path):
    looc = {"mixing": ("looc",), "looc_left_out": ("noise", "dropout"), "looc_plus_plus": True}
    config = RunConfig.of(**{**SHORT, **looc, "framework": "moco-v2", "tabular_noise": 0.1})
    run = train(config, "heads", root=tmp_path, progress=False)
    assert run.encoder().spaces == 3
    assert run.encoder().features(clean(load("wine", "test"))).shape == (60, 3 * 256)
