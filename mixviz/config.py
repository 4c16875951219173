"""The configuration of a run: one field is one flag, one control, one line of ``config.json``.

Fields are grouped in sections; their names are unique, so a flag is just the field's name (for a mixing's field,
prefixed with the mixing's name). Everything is checked here, before anything is loaded or written.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from mixviz.data.decode import SplitBy
from mixviz.data.sources import find_source
from mixviz.domains import DOMAINS, AugmentSettings, Domain
from mixviz.encoders import WIDE, HeadKind
from mixviz.errors import UserError, unknown
from mixviz.frameworks import BATCH_SIZE, FRAMEWORKS, FrameworkSettings
from mixviz.method import check_compatible
from mixviz.mixing import MIXINGS, Mixing, NoMixing
from mixviz.run_folder import data_name, method_name

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """Fields that are flags. Subclasses repeat ``frozen``, so that type checkers know that they are hashable."""


class DataConfig(Section, frozen=True):
    """What is trained on."""

    data: str = Field(
        default="glyphs",
        description="glyphs, cifar10, tones, digits, ..., or a kind and a path, as folder:PATH, parquet:PATH, "
        "numpy:PATH.npz, idx:PATH, sounds:PATH or csv:PATH",
    )
    data_name: str | None = Field(default=None, description="how results call the data set, e.g. 'CIFAR-10 (JPEG)'")
    image_size: Annotated[int, Field(ge=8)] | None = Field(
        default=None, description="pixels; short side resized, centre cropped", json_schema_extra={"domain": "image"}
    )
    sample_rate: Count | None = Field(
        default=None,
        description="samples of a sound a second; default: 16,000, or the set's own",
        json_schema_extra={"domain": "audio"},
    )
    target: str | None = Field(
        default=None,
        description="column of a table that is the class; default: label, target, class or y",
        json_schema_extra={"domain": "tabular"},
    )
    skip_bad: bool = Field(default=False, description="skip what cannot be decoded, and count it")
    unlabelled: bool = Field(default=False, description="ignore labels, for sub-folders that are not classes")
    split_by: SplitBy = Field(
        default="name",
        description="without a test split: what decides which examples are test (rows: older versions)",
    )
    train_images: Count | None = Field(default=None, description="use only this number of training images")
    holdout: Annotated[int, Field(ge=0)] = Field(
        default=2000, description="training images (at most a tenth) kept for the kNN monitor"
    )

    @property
    def shown(self) -> str:
        """What results call the data: as given or, of a path, its last part."""
        return data_name(self.data, self.data_name)

    @property
    def absolute(self) -> Self:
        """The same with an absolute path, so that it can be read from any folder."""
        kind, _, path = self.data.partition(":")
        return self.model_copy(update={"data": f"{kind}:{Path(path).expanduser().resolve()}"}) if path else self

    def at(self, data: str) -> Self:
        """The same data at another place, under the name that results have. Raises UserError for another domain."""
        moved = self.model_copy(update={"data": data}).absolute
        if moved.domain != self.domain:
            raise UserError(f"--data {data} is {moved.domain} data, and the run's are {self.domain} data: give those")
        return moved if moved.shown == self.shown else moved.model_copy(update={"data_name": self.shown})

    def held_out_of(self, n: int) -> int:
        """How many of n training examples are held out."""
        return min(self.holdout, n // 10)

    @property
    def domain(self) -> str:
        """The domain of the data, which follows from the source. Raises UserError for an unknown source."""
        return find_source(self.data).domain


class EncoderConfig(Section, frozen=True):
    """What embeds the data."""

    backbone: str = Field(
        default=next(iter(DOMAINS["image"].backbones)),
        description=f"{', '.join(dict.fromkeys(name for domain in DOMAINS.values() for name in domain.backbones))}, "
        "torchvision:NAME, timm:NAME, or an nn.Module as package.module:Class",
    )
    width: Annotated[float, Field(ge=0.1, le=16)] = Field(default=1.0, description="factor to the channels of convnet")
    dim: Count = Field(default=128, description="D, embedding size")
    hidden: Count | None = Field(default=None, description="hidden units of the heads; default: as many as features")
    projector: HeadKind | None = Field(default=None, description="head on the backbone; default: the framework's")
    bn_splits: Count | None = Field(
        default=None,
        description="parts of the batch that BatchNorm normalises separately; default: 2 to 8 on moco-v2, else 1",
    )


class MethodChoice(Section, frozen=True):
    """The framework and its mixings by name."""

    framework: str = Field(default="moco-v2", description=", ".join(FRAMEWORKS))
    mixing: tuple[str, ...] = Field(
        default=(), description=f"any of {', '.join(MIXINGS)}, each filling a different slot"
    )
    oracle: bool = Field(
        default=False, description="drop negatives of the query's class (reads labels: an upper bound)"
    )


def _with_settings() -> type[MethodChoice]:
    """With a field per framework setting (None: the framework's default) and a field per mixing."""
    settings: dict[str, Any] = {}
    for framework in FRAMEWORKS.values():
        for name, field in framework.Settings.__pydantic_fields__.items():
            kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            settings[name] = (kind | None, Field(default=None, description=field.description))
    mixings: dict[str, Any] = {name: (kind, kind()) for name, kind in MIXINGS.items()}
    return create_model("MethodFields", __base__=MethodChoice, **settings, **mixings)


class MethodConfig(_with_settings(), frozen=True):
    """The framework, its mixings, and the settings of all of them, as ``FRAMEWORKS`` and ``MIXINGS`` declare them."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    @property
    def name(self) -> str:
        """Framework and mixings, such as ``moco-v2 + mixco``."""
        return method_name(self.framework, self.mixing)

    @property
    def settings(self) -> FrameworkSettings:
        """Those of the framework."""
        kind = FRAMEWORKS[self.framework].Settings
        return kind(**{name: getattr(self, name) for name in kind.__pydantic_fields__})

    @property
    def shared(self) -> tuple[str | None, ...]:
        """One entry a key view, so one an embedding space: the augmentation shared with the query, or None."""
        return next((mixing.shared for mixing in self.mixings() if mixing.slot == "views"), NoMixing().shared)

    def mixings(self) -> list[Mixing]:
        """The mixings that are switched on."""
        return [getattr(self, name) for name in self.mixing]


class OptimizerConfig(Section, frozen=True):
    """SGD and its schedule."""

    lr: Positive | None = Field(default=None, description="peak learning rate; default: the framework's")
    sgd_momentum: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.9, description="of SGD")
    weight_decay: Annotated[float, Field(ge=0)] = Field(default=1e-4, description="L2 penalty")
    schedule: Literal["cosine", "step"] = Field(default="cosine", description="how the learning rate falls")
    warmup_epochs: Annotated[float, Field(ge=0)] = Field(default=0.0, description="epochs of linear rise")
    decay_epochs: tuple[Count, ...] = Field(default=(60, 80), description="step schedule: epochs at which it falls")
    decay_factor: Annotated[float, Field(gt=0, le=1)] = Field(default=0.1, description="step schedule: by which factor")


class TrainConfig(Section, frozen=True):
    """The loop."""

    epochs: Count = Field(default=20, le=1_000_000, description="passes over the training images")
    batch_size: Annotated[int, Field(ge=2)] = Field(default=BATCH_SIZE, description="N, images a step")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(default=0, description="of weights, order, crops and mixing")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:N or mps")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="in which the encoder computes; auto: bfloat16 if it is fast"
    )
    clean_statistics: bool = Field(
        default=False,
        description="after the last epoch, recompute BatchNorm's statistics on images that are not blended",
    )
    knn_every: Annotated[int, Field(ge=0)] = Field(default=5, description="epochs between kNN monitors; 0: never")
    film_frames: Annotated[int, Field(ge=0)] = Field(default=24, description="frames of the film, at most; 0: no film")
    keep_every: Annotated[int, Field(ge=0)] = Field(
        default=0, description="epochs between checkpoints that are kept, as epoch-N.pt; 0: only the last"
    )


class Extension(BaseModel, frozen=True, extra="forbid"):
    """One ``--resume RUN --epochs N``: from the next epoch on, the schedule is that of N epochs."""

    after: Count  # epochs that were trained by then
    planned: Count  # epochs until then


class Origin(BaseModel, frozen=True, extra="forbid"):
    """What a run depends on besides its settings and its seed; these are no flags, and no other run copies them.

    An extended run does not equal one that was trained for that number of epochs from the start.
    """

    init: str | None = None  # of which run the initial weights are, or ``published``
    extended: tuple[Extension, ...] = ()


class RunConfig(Section, frozen=True):
    """All of it. ``RunConfig.of(framework="simclr", mixing=["mixco"], mixco_weight=0.5)`` takes flat names."""

    data: DataConfig = DataConfig()
    augment: SerializeAsAny[AugmentSettings] = AugmentSettings()  # always of the data's domain
    encoder: EncoderConfig = EncoderConfig()
    method: MethodConfig = MethodConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    train: TrainConfig = TrainConfig()
    origin: Origin = Origin()

    @classmethod
    def of(cls, **flat: Any) -> Self:
        """A config from flat names (the flags, with underscores); None stands for the default. Raises UserError.

        >>> config = RunConfig.of(framework="simclr", mixing=["mixco"], mixco_weight=0.5)
        >>> config.method.name, config.method.mixco.weight
        ('simclr + mixco', 0.5)
        """
        known, nested = {flag.name: flag for flag in flags()}, {}
        for name, value in flat.items():
            if name not in known:
                raise unknown("setting", name, known)
            if value is None:
                continue
            section = nested
            for key in known[name].path[:-1]:
                section = section.setdefault(key, {})
            section[known[name].path[-1]] = value
        domain = _domain(nested)
        for name, value in flat.items():
            if value is not None and known[name].domain not in (None, domain.name):
                flag = name.replace("_", "-")
                raise UserError(f"--{flag} is for the domain {known[name].domain}, and this data is of {domain.name}")
        return cls.parse(nested)

    @property
    def staleness(self) -> float:
        """How far the key encoder moves while a key is in the queue; 0 without a queue."""
        return self.method.settings.staleness(self.train.batch_size)

    @property
    def warning(self) -> str:
        """One line on settings that can be trained but should not be, with the flag that fixes them; else empty."""
        return self.method.settings.warning(self.train.batch_size)

    @classmethod
    def parse(cls, nested: Mapping[str, Any]) -> Self:
        """A config from nested values, such as those of ``config.json``. Raises UserError, in one line."""
        sections = nested.values() if isinstance(nested, Mapping) else [nested]
        if not all(isinstance(section, Mapping | BaseModel) for section in sections):
            raise UserError("settings come in sections, such as {'train': {'epochs': 20}}, and this is something else")
        try:
            return cls.model_validate(nested)
        except ValidationError as error:
            raise UserError(_one_line(error, _domain(nested))) from error
        except (TypeError, AttributeError, OverflowError) as error:  # from lists and objects given instead of values
            raise UserError(f"a setting is of another type than it should be: {error}") from error

    def flat(self) -> dict[str, Any]:
        """All values by flat name."""
        values = self.model_dump()
        result = {}
        for flag in flags(self.data.domain):
            value = values
            for key in flag.path:
                value = value[key]
            result[flag.name] = value
        return result

    def but(self, **flat: Any) -> Self:
        """A copy with some values replaced; defaults of an old framework or batch size become the new ones."""
        kept = {"framework": self.method.framework, "batch_size": self.train.batch_size}
        return type(self).of(**{**kept, **self.changed(), **flat})

    def extended(self, epochs: int, after: int) -> Self:
        """The config of a run that is trained on to a later last epoch, and says so. after: the epochs that it has.

        Raises UserError if the run is to have that many already, unless it is the very number.
        """
        planned = self.train.epochs
        if epochs == planned:
            return self
        if epochs < planned:
            raise UserError(f"--epochs {epochs} is fewer than the {planned} of the run: give more")
        own = self.origin.extended + ((Extension(after=after, planned=planned),) if after else ())
        update = {"train": {"epochs": epochs}, "origin": {"extended": own}}
        return self.model_copy(
            update={part: getattr(self, part).model_copy(update=values) for part, values in update.items()}
        )

    def idle(self, name: str) -> str:
        """Why a setting, by its flat name, has no effect with the others, and the cure; empty if it has one."""
        method, kind, train = self.method, FRAMEWORKS[self.method.framework], self.train
        having = [other for other, one in FRAMEWORKS.items() if name in one.Settings.__pydantic_fields__]
        if having and method.framework not in having:
            return f"it is a setting of {', '.join(having)}, not of {method.framework}"
        for mixing in MIXINGS:
            if name.startswith(f"{mixing}_") and mixing not in method.mixing:
                return f"it is a setting of {mixing}, which is off: give --mixing {mixing}"
        if name == "mixco_temperature" and "temperature" not in kind.Settings.__pydantic_fields__:
            return f"{method.framework} has no temperature"
        if name in ("decay_epochs", "decay_factor") and self.optimizer.schedule != "step":
            return "it is a setting of the step schedule: give --schedule step"
        if name == "width" and self.encoder.backbone not in WIDE:
            return f"it is a setting of {', '.join(WIDE)}, not of {self.encoder.backbone}"
        if name == "hidden" and self.encoder.projector == "linear" and not kind.predicts:
            return "a linear head has no hidden units: give --projector mlp"
        if name in ("brightness", "contrast", "saturation", "hue") and getattr(self.augment, "jitter", 1) == 0:
            return "it is a setting of colour jitter, which is off: give --jitter"
        if name in ("knn_every", "film_frames") and getattr(train, name) and not self.data.holdout:
            return "no images are held out for it: give --holdout"
        return ""

    def changed(self) -> dict[str, Any]:
        """Values by flat name that are not the defaults of the framework at this batch size."""
        kept = {"data": self.data.data, "framework": self.method.framework, "batch_size": self.train.batch_size}
        usual = type(self).of(**kept).flat() | {"data": DataConfig().data}
        return {name: value for name, value in self.flat().items() if value != usual[name]}

    @model_validator(mode="before")
    @classmethod
    def _fill_in_framework_defaults(cls, nested: Any) -> Any:
        """Write the defaults of data, framework and batch size if nothing is given: config.json says what was used."""
        nested = {key: value if key == "origin" else _plain(value) for key, value in dict(nested).items()}
        nested.setdefault("augment", {})
        nested["encoder"] = {"backbone": next(iter(_domain(nested).backbones)), **nested.get("encoder", {})}
        name = nested.get("method", {}).get("framework", "moco-v2")
        if name not in FRAMEWORKS:
            raise unknown("framework", str(name), FRAMEWORKS)
        batch_size = _as_count(nested.get("train", {}).get("batch_size"))
        for section, defaults in FRAMEWORKS[name].defaults(batch_size).items():
            given = nested.setdefault(section, {})
            for key, value in defaults.items():
                if given.get(key) is None:
                    given[key] = value
        for mixing, kind in MIXINGS.items():
            if name in kind.usual:
                nested["method"][mixing] = {**kind.usual[name], **nested["method"].get(mixing, {})}
        return nested

    @field_validator("augment", mode="before")
    @classmethod
    def _take_settings_of_the_domain(cls, value: Any, info: ValidationInfo) -> Any:
        """The settings are those of the data's domain."""
        return value if "data" not in info.data else DOMAINS[info.data["data"].domain].settings.model_validate(value)

    @model_validator(mode="after")
    def _check(self) -> Self:
        method, batch = self.method, self.train.batch_size
        for name in method.mixing:
            if name not in MIXINGS:
                raise unknown("mixing", name, MIXINGS)
        check_compatible(FRAMEWORKS[method.framework], method.mixings(), method.oracle)
        assert self.encoder.bn_splits is not None  # the framework's default is filled in
        if batch < 2 * self.encoder.bn_splits:
            raise UserError(
                f"--batch-size {batch} leaves fewer than 2 images for each of {self.encoder.bn_splits} BatchNorm "
                f"splits: take --bn-splits {max(1, batch // 2)} or a larger batch"
            )
        method.settings.check(batch)
        for mixing in method.mixings():
            mixing.check(batch, method.settings.pool_size(batch))
            mixing.check_domain(self.data.domain)
        for group in filter(None, method.shared):
            DOMAINS[self.data.domain].check_left_out(group, self.augment)
        return self


class Flag(BaseModel):
    """One field of the config: its flat name, its path in the config, and what pydantic knows of it.

    domain: of the data for which it is; None: of any.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True)
    name: str
    path: tuple[str, ...]
    field: FieldInfo
    domain: str | None = None

    @property
    def kinds(self) -> tuple[Any, ...]:
        """Its possible types; for ``int | None``, both."""
        return _kinds(self.field.annotation)

    @property
    def choices(self) -> tuple[str, ...]:
        """The words it can be; empty if it can be anything."""
        return next((get_args(kind) for kind in self.kinds if get_origin(kind) is Literal), ())

    @property
    def bounds(self) -> dict[str, float]:
        """Those of ge, gt, le and lt that it has."""
        found = list(self.field.metadata)
        for part in get_args(self.field.annotation):
            if get_origin(part) is Annotated:
                found += [bound for info in get_args(part)[1:] for bound in getattr(info, "metadata", [info])]
        return {
            sign: getattr(bound, sign) for bound in found for sign in ("gt", "ge", "lt", "le") if hasattr(bound, sign)
        }

    @property
    def default(self) -> Any:
        """None if it is the framework's."""
        return self.field.get_default(call_default_factory=True)


def flags(domain: str | None = None) -> Iterator[Flag]:
    """Every field of the config, in order; domain: without those of other domains' augmentations."""
    for section, section_field in RunConfig.model_fields.items():
        if section == "origin":
            continue
        if section == "augment":
            for one in DOMAINS.values() if domain is None else [DOMAINS[domain]]:
                for name, field in one.settings.model_fields.items():
                    yield Flag(name=one.flag(name), path=(section, name), field=field, domain=one.name)
            continue
        kind = section_field.annotation
        assert isinstance(kind, type)
        assert issubclass(kind, Section)
        for name, field in kind.model_fields.items():
            fields = getattr(field.annotation, "__pydantic_fields__", None)  # of a mixing
            if fields is None:
                own = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
                of = str(own["domain"]) if "domain" in own else None
                yield Flag(name=name, path=(section, name), field=field, domain=of)
            for leaf, leaf_field in (fields or {}).items():
                yield Flag(name=f"{name}_{leaf}", path=(section, name, leaf), field=leaf_field)


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type; Annotated stripped."""
    if get_origin(annotation) in (Union, UnionType):
        return tuple(kind for part in get_args(annotation) for kind in _kinds(part))
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    return (annotation,)


def _as_count(value: Any) -> int:
    """A batch size, also as it is written on the command line; the usual one for what is refused later."""
    try:
        return max(1, int(value))
    except (TypeError, ValueError):
        return BATCH_SIZE


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else dict(value)


def _domain(nested: Mapping[str, Any]) -> Domain:
    """Of nested values, however they are given. Raises UserError for an unknown source."""
    data = _plain(nested.get("data", {})).get("data", DataConfig().data)
    return DOMAINS[find_source(str(data)).domain]


def _one_line(error: ValidationError, domain: Domain) -> str:
    """pydantic's first error as one line that names the flag."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    place = tuple(part for part in first["loc"] if isinstance(part, str))
    names = {flag.path: flag.name for flag in flags(domain.name)}
    if place in names:
        return f"--{names[place].replace('_', '-')} {first['input']}: {message[0].lower()}{message[1:]}"
    return f"{'.'.join(place)}: {message}" if place else message
