"""A recipe for each table of the papers: which arms to train, on what schedule, and with which base to compare them.

Two scales. ``laptop``: the small ``convnet`` in batches of 128; on glyphs the tour's epochs, on other images 20 epochs
of 10,000 of them at 16 px, so that an arm takes minutes and five seeds an evening. ``gpu``: ResNet-18 with a stem of
3x3 for small images. On CIFAR-10 the schedule of MoCo's own CIFAR demo, 200 epochs in batches of 512 (learning rate
0.06, temperature 0.1, queue 4096, momentum 0.99), where i-Mix trains ResNet-50 for 1,000 to 4,000 epochs. On Tiny
ImageNet the MixCo authors' 100 epochs (temperature 0.2, momentum 0.999, blends at 0.05), at 64 px in place of 224, in
batches of 256 at 0.03 in place of 128 at 0.015, and with a queue of 16384 in place of 65536, whose oldest keys would be
stale. MoCHi's N, s and s' keep the shares of the queue that they have in the paper (of 16,384 on ImageNet-100).

Tables and sounds have only the laptop's scale, with i-Mix's rate (0.125 at 256 of a batch), head and alpha; the
authors' CovType network is 2,048 wide and trains for 500 epochs, and so does their ResNet-50 on Speech Commands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import product
from pathlib import Path
from typing import Any

from mixviz.config import RunConfig
from mixviz.errors import UserError, unknown
from mixviz.experiments.arms import GLYPHS, MOCO, Arm, Experiment, Sets
from mixviz.experiments.tables.measures import is_read_out, measures_of, read_outs
from mixviz.experiments.tables.rounding import rounding
from mixviz.runs import Run, default_name

MAIN = (1 / 16, 1 / 16, 1 / 128)  # MoCHi (1024, 1024, 128)
TOWARDS_QUERY = (1 / 16, 1 / 64, 1 / 32)  # MoCHi (1024, 256, 512)
FEWER_PAIRS = (1 / 16, 1 / 128, 1 / 64)  # MoCHi (1024, 128, 256)
SHORT, FEW = 1 / 4, 1 / 10  # of the epochs, of the training images
SHARES = (0.1, 0.3)  # of the training data, besides all of it; only shares of at least two batches
PLAIN_VIEWS = {"crop_min": 1.0, "flip": 0.0, "jitter": 0.0, "grayscale": 0.0, "blur": 0.0}


@dataclass(frozen=True, kw_only=True)
class Recipe(Experiment):
    """How to make one table."""

    scale: str
    targets: tuple[str, ...]  # label, rotation: what the frozen backbone is evaluated for
    measures: tuple[str, ...]  # besides the accuracies; see ``mixviz.experiments.tables.measures``

    def folder(self, arm: Arm, seed: int) -> str:
        return run_name(arm.config(seed))

    def measure(self, run: Run, sets: Sets) -> dict[str, float]:
        return read_outs(run, self.targets, sets) | measures_of(run, self.measures, sets)

    def is_measured(self, run: Run) -> bool:
        return is_read_out(run)

    def further(self, root: Path, seeds: Sequence[int]) -> dict[str, Any]:
        found = rounding(self, seeds, root)
        return {"scale": self.scale} | ({"rounding": found} if found else {})


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The settings that all arms share on one kind of data at one scale."""

    shared: Mapping[str, Any]  # of all arms
    frameworks: Mapping[str, Mapping[str, Any]]  # of the arms of each framework
    mixco_temperature: float
    mochi_warmup: int  # MoCHi's warm-up epochs
    looc_on: str  # framework of the LooC table
    smaller: str = ""  # a smaller network; empty: no arms
    plain_views: Mapping[str, Any] = field(default_factory=lambda: PLAIN_VIEWS)  # no augmentation
    noise_only: Mapping[str, Any] = field(default_factory=dict)  # empty: no arms
    imix_alpha: float | None = None  # None: the default
    changes: Mapping[str, Any] = field(default_factory=dict)  # to all of these

    def arm(
        self,
        name: str,
        against: str | None = None,
        mochi: tuple[float, float, float] = MAIN,
        length: float = 1.0,
        images: float = 1.0,
        **more: Any,
    ) -> Arm:
        """An arm by name, such as ``n-pair + looc (turned)``: framework, mixings, and other settings in brackets.

        mochi: N, s and s' as shares of the queue. length: of training, as a share of the table's epochs. images: the
        share of the training images, two batches at least, which are seen as often as all are otherwise. more:
        further settings.
        """
        framework, *mixings = name.partition(" (")[0].split(" + ")
        settings = {**self.shared, **self.frameworks.get(framework, {}), "framework": framework, **more}
        settings |= self.changes
        if images != 1:
            whole = settings["train_images"]
            settings["train_images"] = max(settings["batch_size"] * 2, round(whole * images))
            images = settings["train_images"] / whole
        settings["epochs"] = max(min(1, settings["epochs"]), round(settings["epochs"] * length / images))
        if mixings:
            settings["mixing"] = [mixing.removesuffix("++") for mixing in mixings]
        if "mixco" in mixings and framework == "moco-v2":
            settings["mixco_temperature"] = more.get("mixco_temperature", self.mixco_temperature)
        if "imix" in mixings and self.imix_alpha is not None:
            settings["imix_alpha"] = self.imix_alpha
        if "looc++" in mixings:
            settings["looc_plus_plus"] = True
        if "mochi" in mixings:
            sizes = (max(1, round(share * settings["queue_length"])) for share in mochi)
            settings |= dict(zip(("mochi_hardest", "mochi_pairs", "mochi_towards_query"), sizes, strict=True))
            settings["mochi_warmup_epochs"] = min(self.mochi_warmup, settings["epochs"] - 1)
        return Arm(name, settings, against)


QUIET = {"knn_every": 0, "film_frames": 0}
CIFAR = {"temperature": 0.1, "momentum": 0.99, "projector": "mlp", "weight_decay": 5e-4, "blur": 0.0}
SMALL_IMAGES = {"image_size": 16, "train_images": 10_000, "epochs": 20, "batch_size": 128, "knn_every": 10}
TINY_MOCO = {"lr": 0.03, "temperature": 0.2, "momentum": 0.999, "queue_length": 16384, "projector": "mlp"}
CIFAR_NPAIR = {"temperature": 0.2, "weight_decay": 1e-4, "blur": 0.0}
ROWS = {"batch_size": 256, "knn_every": 0, "film_frames": 0, "weight_decay": 1e-4, "projector": "mlpbn"}
ROWS_FRAMEWORKS = {
    "moco-v2": {"lr": 0.125, "momentum": 0.99, "queue_length": 1024},
    "n-pair": {"lr": 0.125},
    "simclr": {"lr": 0.125},
    "byol": {"lr": 0.125, "momentum": 0.99},
}
SCHEDULES: dict[tuple[str, str], Schedule] = {
    ("laptop", "glyphs"): Schedule(
        shared={**GLYPHS, **QUIET, "epochs": 10},
        frameworks={"moco-v2": MOCO, "n-pair": {"lr": 0.3}, "byol": {"lr": 0.3, "momentum": 0.99}},
        mixco_temperature=1.0,
        mochi_warmup=1,
        looc_on="n-pair",
    ),
    ("laptop", "cifar10"): Schedule(
        shared={**SMALL_IMAGES, "film_frames": 12},
        frameworks={
            "moco-v2": {**CIFAR, "lr": 0.03, "queue_length": 512},
            "n-pair": {**CIFAR_NPAIR, "lr": 0.0625},
            "simclr": {"lr": 0.06, "blur": 0.0},
            "byol": {"lr": 0.06, "blur": 0.0},
        },
        mixco_temperature=1.0,  # of 0.2 and 1, chosen on held-out training images
        mochi_warmup=1,
        looc_on="moco-v2",
        smaller="convnet-narrow",
    ),
    ("laptop", "digits"): Schedule(
        shared={**ROWS, "train_images": 1198, "epochs": 60},
        frameworks=ROWS_FRAMEWORKS,
        mixco_temperature=0.2,
        mochi_warmup=3,
        looc_on="",
        smaller="mlp-narrow",
        plain_views={"tabular_dropout": 0.0},
        noise_only={"tabular_dropout": 0.0, "tabular_noise": 0.1},
        imix_alpha=2.0,
    ),
    ("laptop", "covtype"): Schedule(
        shared={**ROWS, "train_images": 11_340, "epochs": 30, "backbone": "mlp-narrow"},
        frameworks=ROWS_FRAMEWORKS,
        mixco_temperature=0.2,
        mochi_warmup=2,
        looc_on="",
        plain_views={"tabular_dropout": 0.0},
        noise_only={"tabular_dropout": 0.0, "tabular_noise": 0.1},
        imix_alpha=2.0,
    ),
    ("laptop", "fsdd"): Schedule(
        shared={**ROWS, "train_images": 2700, "epochs": 20, "batch_size": 128, "backbone": "convnet-narrow"},
        frameworks={
            "moco-v2": {"lr": 0.06, "momentum": 0.99, "queue_length": 512},
            "n-pair": {"lr": 0.06},
            "simclr": {"lr": 0.06},
            "byol": {"lr": 0.06, "momentum": 0.99},
        },
        mixco_temperature=0.2,
        mochi_warmup=1,
        looc_on="",
        plain_views={"audio_gain": 0.0, "audio_shift": 0.0, "audio_speed": 0.0, "audio_noise": 0.0},
        noise_only={"audio_gain": 0.0, "audio_shift": 0.0, "audio_speed": 0.0},
    ),
    ("gpu", "cifar10"): Schedule(
        shared={"epochs": 200, "batch_size": 512, "backbone": "resnet18", "knn_every": 20},
        frameworks={
            "moco-v2": {**CIFAR, "lr": 0.06, "queue_length": 4096},
            "n-pair": {**CIFAR_NPAIR, "lr": 0.25},
            "byol": {"lr": 0.25, "blur": 0.0},
        },
        mixco_temperature=0.05,
        mochi_warmup=10,
        looc_on="moco-v2",
    ),
    ("gpu", "tiny-imagenet"): Schedule(
        shared={"epochs": 100, "batch_size": 256, "backbone": "resnet18", "knn_every": 10},
        frameworks={"moco-v2": TINY_MOCO, "n-pair": {"lr": 0.125}, "byol": {"lr": 0.125}},
        mixco_temperature=0.05,
        mochi_warmup=10,
        looc_on="moco-v2",
    ),
}


def variants(on: Schedule, mixing: str, called: str, **more: Any) -> tuple[Arm, Arm]:
    """MoCo-v2 with and without a mixing in other conditions, such as shorter training."""
    base = f"moco-v2 ({called})"
    return on.arm(base, **more), on.arm(f"moco-v2 + {mixing} ({called})", base, **more)


def mixco_arms(on: Schedule) -> tuple[Arm, ...]:
    authors = (0.05, 1.0)  # in their scripts for Tiny ImageNet and ImageNet
    others = [temperature for temperature in authors if temperature != on.mixco_temperature]
    plain = variants(on, "mixco", "no augmentation", **on.plain_views) if on.noise_only else ()
    return (
        on.arm("moco-v2"),
        on.arm("moco-v2 + mixco", "moco-v2"),
        on.arm("simclr"),
        on.arm("simclr + mixco", "simclr"),
        *variants(on, "mixco", "short", length=SHORT),
        *(variants(on, "mixco", "narrow", backbone=on.smaller) if on.smaller else ()),
        *plain,
        *(on.arm(f"moco-v2 + mixco (temperature {other:g})", "moco-v2", mixco_temperature=other) for other in others),
    )


def mochi_arms(on: Schedule) -> tuple[Arm, ...]:
    return (
        on.arm("moco-v2"),
        on.arm("moco-v2 + mochi", "moco-v2"),
        on.arm("moco-v2 (oracle)", "moco-v2", oracle=True),
        *variants(on, "mochi", "short", length=SHORT),
        on.arm("moco-v2 + mochi (oracle)", "moco-v2 (oracle)", oracle=True),
        on.arm("moco-v2 + mochi (more towards the query)", "moco-v2", TOWARDS_QUERY),
        on.arm("moco-v2 + mochi (fewer pairs)", "moco-v2", FEWER_PAIRS),
    )


def imix_arms(on: Schedule) -> tuple[Arm, ...]:
    frameworks = ("moco-v2", "n-pair", "byol")
    plain = [
        ("moco-v2 (no augmentation)", None, on.plain_views),
        ("moco-v2 + imix (no augmentation)", "moco-v2 (no augmentation)", {**on.plain_views, "imix_inputmix": 2}),
    ]
    augmented = [arm for name in frameworks for arm in ((name, None, {}), (f"{name} + imix", name, {}))]
    few = variants(on, "imix", "few images", images=FEW) if "train_images" in on.shared else ()
    return (
        *(on.arm(name, against, **more) for name, against, more in [*plain, *augmented[:2]]),
        *variants(on, "imix", "short", length=SHORT),
        *few,
        *(on.arm(name, against, **more) for name, against, more in augmented[2:]),
    )


def domain_arms(on: Schedule) -> tuple[Arm, ...]:
    """Each framework with and without i-Mix: augmented, with only noise, with nothing; and N-pair on a part of train.

    Raises UserError on images, which have their own tables.
    """
    if not on.noise_only:
        raise UserError("domains-table is of tables and sounds: give --data digits, covtype or fsdd")
    views = {"": {}, " (noise only)": on.noise_only, " (no augmentation)": on.plain_views}
    arms = []
    for framework, (called, settings) in product(("n-pair", "moco-v2", "byol"), views.items()):
        inputmix: dict[str, Any] = {"imix_inputmix": 2} if settings is on.plain_views else {}
        arms.append(on.arm(framework + called, **settings))
        arms.append(on.arm(f"{framework} + imix{called}", framework + called, **settings, **inputmix))
    shares = [share for share in SHARES if share * on.shared["train_images"] >= 2 * on.shared["batch_size"]]
    for share in shares:
        base = f"n-pair ({share:.0%} of the data)"
        arms.append(on.arm(base, images=share))
        arms.append(on.arm(f"n-pair + imix ({share:.0%} of the data)", base, images=share))
    return tuple(arms)


def looc_arms(on: Schedule) -> tuple[Arm, ...]:
    if not on.looc_on:
        raise UserError("looc-table turns and recolours images: give --data with images")
    base = on.looc_on
    turned: dict[str, Any] = {"rotation": 0.5}
    both = {**turned, "looc_left_out": ["color", "rotation"]}
    return (
        on.arm(base),
        on.arm(f"{base} (turned)", base, **turned),
        on.arm(f"{base} + looc (turned, rotation)", f"{base} (turned)", **turned, looc_left_out=["rotation"]),
        on.arm(f"{base} + looc (turned)", f"{base} (turned)", **both),
        on.arm(f"{base} + looc++ (turned)", f"{base} (turned)", **both),
        on.arm(f"{base} + looc (color)", base, looc_left_out=["color"]),
    )


def combination_arms(on: Schedule) -> tuple[Arm, ...]:
    singles = ("mixco", "mochi", "imix", "looc")
    together = ("mochi + mixco", "mochi + imix", "imix + looc", "mixco + looc", "mochi + looc", "mochi + mixco + looc")
    return (on.arm("moco-v2"), *(on.arm(f"moco-v2 + {mixings}", "moco-v2") for mixings in singles + together))


MIXCO, MOCHI = "MixCo, arXiv:2010.06300", "MoCHi, arXiv:2010.01028, Table 1"
IMIX, LOOC = "i-Mix, arXiv:2010.08887, Tables 1 and 3", "LooC, arXiv:2008.05659, Tables 1 and 2"
ON_MIXCO, ON_MOCHI = ("clean statistics", "blends", "transfer"), ("proxy task", "over training", "spread")
ON_IMIX, ON_LOOC = ("Fréchet distance", "clean statistics", "blends"), ("few labels", "rotation by head", "heads")
TABLES: dict[str, tuple[str, Callable[[Schedule], tuple[Arm, ...]], str, tuple[str, ...]]] = {
    # title, arms, source, measures besides the read-outs
    "mixco-table": ("MixCo on MoCo-v2 and SimCLR", mixco_arms, MIXCO, ON_MIXCO),
    "mochi-table": ("MoCHi and the class oracle on MoCo-v2", mochi_arms, MOCHI, ON_MOCHI),
    "imix-table": ("i-Mix on MoCo-v2, N-pair and BYOL", imix_arms, IMIX, ON_IMIX),
    "domains-table": ("i-Mix on tables and sounds", domain_arms, IMIX, ("clean statistics",)),
    "looc-table": ("LooC and its base, with and without rotation", looc_arms, LOOC, ON_LOOC),
    "combinations": ("Mixings together", combination_arms, "no paper: the combinations are extensions", ()),
}
SCALES = ("laptop", "gpu")
ROWS_AND_SOUNDS = ("digits", "covtype", "fsdd")
DEFAULT_DATA = {("laptop", "domains-table"): "digits", ("gpu", "mixco-table"): "tiny-imagenet"}  # elsewhere by scale


def recipe(
    table: str, scale: str = "laptop", data: str | None = None, data_name: str | None = None, **changes: Any
) -> Recipe:
    """The recipe of a table. Raises UserError.

    data: as ``--data`` of ``train``; by default glyphs on a laptop, digits for tables and sounds, and on a GPU
    CIFAR-10, for MixCo Tiny ImageNet.
    changes: to the settings of all arms, such as fewer epochs; MoCHi's N, s and s' follow the queue's length.
    """
    if table not in TABLES:
        raise unknown("table", table, TABLES)
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    data = data or DEFAULT_DATA.get((scale, table)) or ("glyphs" if scale == "laptop" else "cifar10")
    title, arms, source, measures = TABLES[table]
    schedule = SCHEDULES[scale, _kind(scale, data, data_name)]
    on = replace(schedule, shared={**schedule.shared, "data": data, "data_name": data_name}, changes=changes)
    targets = ("label", "rotation") if table == "looc-table" else ("label",)
    return Recipe(
        name=table, title=title, source=source, arms=arms(on), scale=scale, targets=targets, measures=measures
    )


def tables_of(scale: str, data: str | None) -> list[str]:
    """The tables that can be made of a data set; default: the scale's own data set."""
    if data in ROWS_AND_SOUNDS:
        return [name for name in TABLES if name not in ("looc-table", "combinations")]
    return [name for name in TABLES if name != "domains-table" or (data is None and scale == "laptop")]


def run_name(config: RunConfig) -> str:
    """The folder of a run: the same for the same settings in every table."""
    settings = {name: value for name, value in config.changed().items() if name != "seed"}
    stem, _, seed = default_name(config).rpartition("-seed")
    return f"{stem}-{blake2b(repr(sorted(settings.items())).encode(), digest_size=3).hexdigest()}-seed{seed}"


def slug(config: RunConfig) -> str:
    """The data set's name in a file's name."""
    return default_name(config).partition(f"-{config.method.framework}")[0]


def _kind(scale: str, data: str, data_name: str | None) -> str:
    """The schedule for a data set: its own, or that of CIFAR-10."""
    if (scale, data) in SCHEDULES:
        return data
    if data in ROWS_AND_SOUNDS:
        raise UserError(f"--data {data} has only a laptop schedule: leave out --scale {scale}")
    kind = "tiny-imagenet" if "tiny" in f"{data_name or data}".lower() else "cifar10"
    return kind if (scale, kind) in SCHEDULES else "cifar10"
