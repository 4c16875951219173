"""Another domain is one ``Domain`` object and one data source: it trains, films, evaluates and is reported.

Here rows of eight numbers. What means nothing for them is refused in one line.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pytest
import torch
from pydantic import Field
from torch import Tensor, nn

from mixviz.augment import Augmentation, Operation, Parameters, Shape
from mixviz.augment.operation import apply_to_marked, bernoulli
from mixviz.config import RunConfig, flags
from mixviz.data import SOURCES, Dataset, DataSource, load
from mixviz.data.decode import Reading
from mixviz.domains import DOMAINS, AugmentSettings, Domain, clean, domain_of, inputs_of
from mixviz.encoders import Backbone, Normalise
from mixviz.errors import UserError
from mixviz.evaluate import Source, evaluate
from mixviz.pretrained import restore
from mixviz.report.overview import overview
from mixviz.report.sections import write_report
from mixviz.runs import Run
from mixviz.train import resume, train

FEATURES, CLASSES = 8, 3
Probability = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Mask(Operation):
    """One half of the features, drawn for each row, becomes 0."""

    name: ClassVar[str] = "mask"
    group: ClassVar[str] = "mask"
    p: float = 0.5

    def sample(self, n: int, shape: Shape, generator: torch.Generator) -> Parameters:
        return Parameters(applied=bernoulli(n, self.p, generator))

    def apply(self, inputs: Tensor, parameters: Parameters, in_place: bool = False) -> Tensor:
        kept = torch.arange(inputs.shape[1], device=inputs.device) % 2
        return apply_to_marked(lambda rows, _: rows * kept, inputs, parameters, in_place)


@dataclass(frozen=True)
class ShiftParameters(Parameters):
    shift: Tensor  # (n,)


@dataclass(frozen=True)
class Shift(Operation):
    """All features of a row grow by one number."""

    name: ClassVar[str] = "shift"
    group: ClassVar[str] = "shift"
    p: float = 0.8

    def sample(self, n: int, shape: Shape, generator: torch.Generator) -> ShiftParameters:
        shift = torch.randn(n, generator=generator, device=generator.device) / 10
        return ShiftParameters(applied=bernoulli(n, self.p, generator), shift=shift)

    def apply(self, inputs: Tensor, parameters: ShiftParameters, in_place: bool = False) -> Tensor:
        return apply_to_marked(lambda rows, drawn: rows + drawn.shift[:, None], inputs, parameters, in_place)


class RowSettings(AugmentSettings):
    mask: Probability = Field(0.5, description="probability that half of the features are 0")
    shift: Probability = Field(0.8, description="probability of a shift")


def perceptron(norm, shape: Shape) -> nn.Module:
    return nn.Sequential(nn.Linear(shape[0], 32), norm(32), nn.ReLU(), nn.Linear(32, 16))


class Rows(Domain):
    name: ClassVar[str] = "rows"
    backbones: ClassVar[Mapping[str, Backbone]] = {"perceptron": perceptron}
    settings: ClassVar[type[AugmentSettings]] = RowSettings
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {"mask": ("mask",), "shift": ("shift",)}

    def prepare(self, stored: Tensor) -> Tensor:
        return stored.float()

    def augmentation(self, settings: RowSettings, shape: Shape) -> Augmentation:
        return Augmentation((Mask(settings.mask), Shift(settings.shift)))

    def normaliser(self, shape: Shape, stored: Tensor | None = None) -> nn.Module:
        if stored is None:
            return Normalise(torch.zeros(shape), torch.ones(shape))
        return Normalise(stored.float().mean(dim=0), stored.float().std(dim=0))


def read_rows(split: str, reading: Reading) -> Dataset:
    """Three classes, each around a corner of its own."""
    random, n = np.random.default_rng(reading.seed + (split == "test")), {"train": 300, "test": 60}[split]
    labels = np.arange(n) % CLASSES
    stored = random.normal(size=(n, FEATURES)) / 4 + 3 * np.eye(CLASSES, FEATURES).repeat(2, axis=1)[labels, :FEATURES]
    return Dataset(name="corners", split=split, stored=stored, labels=labels, class_names=("a", "b", "c"))


@pytest.fixture(autouse=True, scope="module")
def rows():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DOMAINS, "rows", Rows())
        patch.setitem(SOURCES, "corners", DataSource(about="drawn from a seed", read=read_rows, domain="rows"))
        yield


def sets() -> list[Dataset]:
    return [load("corners", split) for split in ("train", "test")]


def config_of(**settings) -> RunConfig:
    usual = {"data": "corners", "epochs": 2, "batch_size": 32, "queue_length": 64, "dim": 8, "device": "cpu"}
    return RunConfig.of(**usual | {"dtype": "float32", "knn_every": 1, "holdout": 30} | settings)


@pytest.fixture(scope="module")
def run(rows, tmp_path_factory) -> Run:
    """LooC on MoCo-v2, with blends."""
    settings = {"mixing": ["looc", "mixco"], "looc_left_out": ["mask"], "rows_shift": 0.6}
    return train(config_of(**settings), root=tmp_path_factory.mktemp("runs"), progress=False)


def test_settings_of_a_domain_are_flags_and_lines_of_the_config():
    names = {flag.name: flag for flag in flags()}
    assert {"rows_mask", "rows_shift", "flip"} <= set(names)
    assert names["rows_mask"].domain == "rows"
    config = config_of(rows_mask=0.25)
    assert config.model_dump()["augment"] == {"mask": 0.25, "shift": 0.8}
    assert config.encoder.backbone == "perceptron"
    assert RunConfig.parse(config.model_dump(mode="json")) == config
    assert config.changed()["rows_mask"] == 0.25
    assert config.but(framework="simclr", temperature=0.3).augment == config.augment
    assert "mask" not in RunConfig.of().model_dump()["augment"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rows_mask": 2}, "--rows-mask 2: input should be less than or equal to 1"),
        ({"flip": 0.1}, "--flip is for the domain image, and this data is of rows"),
        ({"mixing": ["looc"], "looc_left_out": ["color"]}, "unknown augmentation of --looc-left-out 'color'"),
        ({"mixing": ["looc"], "looc_left_out": ["mask"], "rows_mask": 0}, "give --rows-mask a probability over 0"),
        ({"data": "corner"}, "unknown data set 'corner': did you mean 'corners'"),
    ],
)
def test_settings_that_do_not_fit_the_domain(settings, message):
    with pytest.raises(UserError, match=message) as caught:
        config_of(**settings)
    assert "\n" not in str(caught.value)


def test_images_have_none_of_its_settings():
    with pytest.raises(UserError, match="--rows-mask is for the domain rows, and this data is of image"):
        RunConfig.of(rows_mask=0.5)


def test_a_run_is_trained_filmed_and_restored(run):
    assert run.metrics["knn_accuracy"].iloc[-1] > 0.5
    assert run.film.embedding(len(run.film) - 1, "mask").shape == (30, 8)
    train_set, test_set = sets()
    assert inputs_of(train_set.select(range(8)))[0] == (FEATURES,)
    embedder, inputs = run.encoder(), clean(test_set)
    assert embedder.features(inputs).shape == (60, 16)
    assert not torch.allclose(embedder.normalise.mean, torch.zeros(FEATURES))
    assert torch.equal(restore(run).framework.online(inputs), embedder(inputs))
    assert resume(run, progress=False).metrics.equals(run.metrics)


@pytest.mark.parametrize("settings", [{"framework": "byol", "mixing": ["imix"]}, {"framework": "simclr"}])
def test_any_framework_trains_on_it(settings, tmp_path):
    config = config_of(queue_length=None, epochs=1, film_frames=0, clean_statistics=True, **settings)
    assert np.isfinite(train(config, root=tmp_path, progress=False).metrics["loss"]).all()


def source_of(embedder) -> Source:
    train_rows, test_rows = sets()
    return Source(embedder=embedder, train=train_rows, test=test_rows)


def test_features_are_evaluated_and_so_are_the_rows_themselves(run):
    for embedder in (run.encoder(), None):
        results = evaluate(source_of(embedder), protocols=["linear-features", "knn"])
        assert [result.protocol for result in results] == ["linear-features", "knn"]
        assert min(result.accuracy for result in results) > 0.9


@pytest.mark.parametrize("protocol", ["linear-augmented", "linear-online", "corruptions"])
def test_protocols_of_images_are_refused(run, protocol):
    with pytest.raises(UserError, match=f"{protocol} needs image data, and this is rows data: take linear-features"):
        evaluate(source_of(run.encoder()), protocols=[protocol])


def test_transfer_stays_in_the_domain(run):
    images = Dataset(name="images", split="train", stored=np.zeros((4, 8, 8, 3), np.uint8))
    with pytest.raises(UserError, match="corners is rows data and the encoder was trained on image data"):
        Source(train=images, test=images).on(sets())


def test_cutmix_and_image_sizes_are_of_images(tmp_path):
    with pytest.raises(UserError, match="CutMix pastes boxes of images"):
        train(config_of(mixing=["imix"], imix_kind="cutmix"), root=tmp_path, progress=False)
    with pytest.raises(UserError, match="--image-size is for the domain image, and this data is of rows"):
        train(config_of(image_size=16), root=tmp_path / "sized", progress=False)


def test_a_report_shows_all_but_what_is_of_images(run, tmp_path):
    one = overview(run, images=100)
    assert set(one.blends.paths) == {"mixup"}
    assert (one.moved, one.invariance) == ({}, None)
    page = write_report(tmp_path / "report.html", {"looc": one}).read_text()
    assert "nearest neighbours of six images" in page
    pictures = domain_of(one.test).thumbnail(one.test.stored)
    assert (pictures.shape[1:], pictures.dtype) == ((FEATURES, FEATURES, 3), np.uint8)
    assert pictures.min() == 0
    assert pictures.max() == 255
