"""The config: defaults, flat names, round trips, and every refusal in one line that names the cure."""

import json
import re

import pytest

from mixviz.config import RunConfig, flags
from mixviz.errors import UserError
from mixviz.frameworks import FRAMEWORKS, STALE
from mixviz.mixing import MIXINGS, MixCo


def test_flat_names_are_unique():
    names = [flag.name for flag in flags()]
    assert len(set(names)) == len(names)


def test_every_field_says_what_it_is():
    assert [flag.name for flag in flags() if not flag.field.description] == []


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_framework_defaults_are_written_down(framework):
    config = RunConfig.of(framework=framework)
    for section, defaults in FRAMEWORKS[framework].defaults().items():
        for name, value in defaults.items():
            assert getattr(getattr(config, section), name) == value


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_framework_s_settings_are_flags_and_its_own_class(framework):
    kind = FRAMEWORKS[framework]
    assert set(kind.Settings.__pydantic_fields__) <= {flag.name for flag in flags()}
    assert RunConfig.of(framework=framework).method.settings == kind.Settings(**kind.defaults()["method"])


def test_given_values_win_over_framework_defaults():
    assert RunConfig.of(framework="byol", momentum=0.5, lr=0.01).flat() | {} == {
        **RunConfig.of(framework="byol").flat(),
        "momentum": 0.5,
        "lr": 0.01,
    }


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"framework": "simclr", "mixing": ["mixco"], "mixco_weight": 0.5},
        {"mixing": ["mochi", "imix", "looc"], "looc_left_out": ["color", "rotation"], "rotation": 0.5},
        {"framework": "byol", "mixing": ["imix"], "imix_kind": "cutmix", "schedule": "step", "decay_epochs": [3, 4]},
    ],
)
def test_round_trips(settings):
    config = RunConfig.of(**settings)
    assert RunConfig.parse(json.loads(json.dumps(config.model_dump(mode="json")))) == config
    assert RunConfig.of(**config.flat()) == config


@pytest.mark.parametrize(
    ("batch", "splits", "queue"),
    [(2, 1, 8), (32, 2, 128), (64, 2, 256), (128, 2, 512), (256, 4, 1024), (1024, 8, 4096)],
)
def test_on_moco_batchnorm_s_parts_and_the_queue_follow_the_batch(batch, splits, queue):
    config = RunConfig.of(batch_size=batch)
    assert (config.encoder.bn_splits, config.method.queue_length) == (splits, queue)
    assert RunConfig.of(batch_size=str(batch)) == config  # as the command line hands it on
    assert config.but(batch_size=512) == RunConfig.of(batch_size=512)
    assert config.but(framework="n-pair") == RunConfig.of(framework="n-pair", batch_size=batch)
    assert RunConfig.of(batch_size=batch, queue_length=20_000).but(batch_size=512).method.queue_length == 20_000


@pytest.mark.parametrize(("framework", "temperature"), [("moco-v2", 0.05), ("simclr", 0.5)])
def test_blends_have_the_authors_temperature_on_their_frameworks(framework, temperature):
    assert RunConfig.of(framework=framework).method.mixco.temperature == temperature
    assert RunConfig.of(framework=framework, mixco_alpha=2).method.mixco.temperature == temperature
    assert RunConfig.of(framework=framework, mixco_temperature=0.3).method.mixco.temperature == 0.3


def test_no_default_has_a_stale_queue():
    for batch in (2, 8, 32, 128, 256, 512, 4096):
        for symmetric in (False, True):
            config = RunConfig.of(batch_size=batch, symmetric=symmetric)
            assert config.staleness <= STALE
            assert not config.warning
    assert RunConfig.of(framework="byol").staleness == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"queue_length": 4096, "batch_size": 128},
        {"queue_length": 1024, "batch_size": 128, "momentum": 0.9},
        {"queue_length": 65536, "batch_size": 128, "momentum": 0.999},
        {"queue_length": 1024, "batch_size": 128, "symmetric": True, "momentum": 0.5},
        {"batch_size": 64, "momentum": 0.0},
    ],
)
def test_a_stale_queue_is_warned_of_in_one_line_whose_flags_mend_it(settings):
    warning = RunConfig.of(**settings).warning
    assert "stale" in warning
    assert "\n" not in warning
    cures = re.findall(r"--([a-z-]+) ([0-9.]+)", warning)
    assert cures
    for flag, value in cures:
        mended = RunConfig.of(**settings | {flag.replace("-", "_"): float(value)})
        assert mended.staleness <= STALE * (1 + 1e-9)
        assert not mended.warning


def test_but_keeps_what_was_set_and_renews_defaults():
    config = RunConfig.of(framework="simclr", mixing=["mixco"], mixco_weight=0.5, epochs=3)
    changed = config.but(framework="moco-v2")
    assert changed == RunConfig.of(framework="moco-v2", mixing=["mixco"], mixco_weight=0.5, epochs=3)
    assert config.method.temperature != changed.method.temperature


def test_each_embedding_space_says_what_its_key_view_shares():
    left_out = {"looc_left_out": ["color", "crop"]}
    assert RunConfig.of(mixing=["mixco", "looc"], **left_out).method.shared == (None, "color", "crop")
    assert RunConfig.of(mixing=["mixco"], **left_out).method.shared == (None,)  # LooC is off


def test_mixings_are_the_ones_switched_on():
    assert RunConfig.of(mixing=["mixco"], mixco_temperature=0.3).method.mixings() == [MixCo(temperature=0.3)]
    assert RunConfig.of().method.mixings() == []


REFUSED = [
    ({"framework": "mocov2"}, "unknown framework 'mocov2': did you mean 'moco-v2'"),
    ({"mixing": ["mixcp"]}, "unknown mixing 'mixcp': did you mean 'mixco'"),
    ({"epoch": 3}, "unknown setting 'epoch': did you mean 'epochs'"),
    ({"temperature": 0}, "--temperature 0: input should be greater than 0"),
    ({"momentum": 1.0}, "--momentum 1.0: input should be less than 1"),
    ({"epochs": 0}, "--epochs 0"),
    ({"epochs": "many"}, "--epochs many: input should be a valid integer"),
    ({"batch_size": 1}, "--batch-size 1"),
    ({"seed": -1}, "--seed -1"),
    ({"lr": float("nan")}, "--lr nan"),
    ({"flip": 1.5}, "--flip 1.5"),
    ({"crop_min": 0.0}, "--crop-min 0.0"),
    ({"hue": 0.6}, "--hue 0.6"),
    ({"image_size": 4}, "--image-size 4"),
    ({"schedule": "linear"}, "--schedule linear: input should be 'cosine' or 'step'"),
    ({"mixco_weight": -1}, "--mixco-weight -1"),
    ({"mochi_hardest": 1}, "--mochi-hardest 1"),
    ({"imix_kind": "cut"}, "--imix-kind cut"),
    ({"mixing": ["looc"], "looc_left_out": ["colour"]}, "--looc-left-out 'colour': did you mean 'color'"),
    ({"mixing": ["mochi"], "framework": "byol"}, "MoCHi needs negatives .* take MoCHi on moco-v2"),
    ({"mixing": ["looc"], "framework": "byol"}, "LooC needs negatives"),
    ({"mixing": ["mixco", "imix"]}, "both change the queries: take one"),
    ({"mixing": ["mixco"], "batch_size": 33}, "make --batch-size even, not 33"),
    ({"mixing": ["mochi"], "mochi_hardest": 5000}, "more than the 1024 negatives .* take 1024 or fewer"),
    ({"mixing": ["mochi"], "framework": "n-pair", "batch_size": 64}, "more than the 62 negatives"),
    ({"queue_length": 100}, "shorter than the 256 keys of a step: take 256 or more"),
    ({"queue_length": 300, "symmetric": True}, "shorter than the 512 keys"),
    ({"batch_size": 12, "bn_splits": 8}, "take --bn-splits 6"),
    ({"mixing": ["looc"], "looc_left_out": ["rotation"]}, "rotation, which is switched off: give --rotation"),
    ({"mixing": ["looc"], "jitter": 0, "grayscale": 0}, "color, which is switched off: give --jitter"),
    ({"framework": "byol", "oracle": True}, "byol has none"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_refusals_are_one_line(settings, message):
    with pytest.raises(UserError, match=message) as caught:
        RunConfig.of(**settings)
    assert "\n" not in str(caught.value)


def test_a_damaged_config_is_refused():
    with pytest.raises(UserError, match=r"train.epochz: Extra inputs"):
        RunConfig.parse({"train": {"epochz": 3}})


def test_mixings_fields_are_prefixed_flags():
    names = {flag.name for flag in flags()}
    for mixing, kind in MIXINGS.items():
        assert {f"{mixing}_{field}" for field in kind.__pydantic_fields__} <= names


def test_flags_know_kinds_choices_bounds_and_defaults():
    found = {flag.name: flag for flag in flags()}
    assert found["lr"].kinds == (float, type(None))
    assert found["symmetric"].kinds == (bool, type(None))
    assert found["projector"].choices == ("linear", "mlp", "mlpbn1", "mlpbn")
    assert found["schedule"].choices == ("cosine", "step")
    assert found["flip"].choices == ()
    assert found["crop_min"].bounds == {"gt": 0, "le": 1}
    assert found["momentum"].bounds == {"ge": 0, "lt": 1}
    assert found["mochi_hardest"].bounds == {"ge": 2}
    assert found["data"].bounds == {}
    assert (found["lr"].default, found["mochi_hardest"].default, found["decay_epochs"].default) == (None, 64, (60, 80))
