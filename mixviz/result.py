"""A result: one number with everything that it depends on, its stored form, and its details."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_origin

from mixviz.errors import UserError

if TYPE_CHECKING:  # slow to import, and results are listed without
    import pandas as pd

    from mixviz.confusion import Confusion

BEST_ON_TEST = "best-on-test"  # in the label of every result that test labels selected
IDENTITY = ("data", "split", "protocol", "encoder", "target", "seed", "run")
KINDS = {float: (float, int)}  # the types in JSON for a type
PARTS = ("confusion", "table")  # details of a result: stored in their own files


@dataclass(frozen=True, kw_only=True)
class Result:
    """One number, and everything that it depends on."""

    protocol: str  # its name: linear-features, knn, ...
    options: Mapping[str, Any] = field(default_factory=dict)  # of the protocol, those that are not its defaults
    encoder: str  # backbone, random, supervised, pixels
    target: str  # label, or a factor of the data such as hue
    accuracy: float  # on test, in [0, 1]; higher is better
    data: str  # name of the data set; of a transfer the one that the encoder was not trained on
    split: str
    train_images: int
    test_images: int
    classes: int
    seed: int
    device: str
    settings: Mapping[str, Any] = field(default_factory=dict)  # every option, and what the protocol chose
    chosen_on_test: bool = False
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    run: str = ""  # name of the run whose encoder it is; empty without a run
    versions: Mapping[str, str] = field(default_factory=dict)  # of the packages
    commit: str = ""  # of the code that evaluated it
    confusion: "Confusion | None" = field(default=None, repr=False, compare=False)  # of one prediction
    table: "pd.DataFrame | None" = field(default=None, repr=False, compare=False)  # of several: a row for each

    @property
    def label(self) -> str:
        """The protocol's label, with its options: ``knn (k 20, layer head)``."""
        return marked(protocol_label(self.protocol, self.options), self.chosen_on_test)

    @property
    def identity(self) -> tuple[str, str, str, str, str, int, str]:
        """The fields in ``IDENTITY``: of two results that share them the newer one counts."""
        return self.data, self.split, self.label, self.encoder, self.target, self.seed, self.run

    @property
    def comparable(self) -> bool:
        """True if test labels were used for scoring only, never for selection."""
        return not self.chosen_on_test

    @property
    def is_transfer(self) -> bool:
        """True if the encoder was trained on another data set than this result's."""
        return "encoder_trained_on" in self.settings

    def to_dict(self) -> dict[str, Any]:
        """For a JSON file: everything except the confusion and the table."""
        return {key: value for key, value in vars(self).items() if key not in PARTS}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> "Result":
        """The result from a dictionary of ``to_dict``, of this version or an older one.

        Unknown keys are ignored. Raises UserError if a required one is missing.
        """
        needed = [f.name for f in fields(cls) if f.default is f.default_factory is MISSING]
        missing = [name for name in needed if name not in row]
        if missing:
            raise UserError(f"a result lacks {', '.join(missing)}: evaluate the run again")
        row = row if "options" in row else _converted(row)
        for entry in fields(cls):
            kind: Any = get_origin(entry.type) or entry.type
            kind = KINDS.get(kind, kind)
            if entry.name in row and entry.name not in PARTS and not isinstance(row[entry.name], kind):
                raise UserError(f"a result has {row[entry.name]!r:.40} for {entry.name}: evaluate the run again")
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in row["options"].items()}
        known = {f.name for f in fields(cls)} - {*PARTS}
        values: dict[str, Any] = {key: value for key, value in row.items() if key in known}
        values["options"] = options
        return cls(**values)


def _converted(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of an older version: its protocol is a label, and the target of a transfer names the data set, too."""
    name, _, inside = row["protocol"].removesuffix(")").partition(" (")
    pairs = [part.partition(" ") for part in inside.split(", ") if part not in ("", BEST_ON_TEST)]
    options = {key: row.get("settings", {}).get(key, text) for key, _, text in pairs}
    target = row["target"].removesuffix(f" of {row['data']}")
    chosen = BEST_ON_TEST in row["protocol"]
    return {**row, "protocol": name, "options": options, "target": target, "chosen_on_test": chosen}


def protocol_label(name: str, options: Mapping[str, Any]) -> str:
    """The name, and in brackets the options: ``knn (k 20, layer head)``."""
    return f"{name} ({', '.join(f'{key} {as_text(value)}' for key, value in options.items())})" if options else name


def marked(label: str, chosen_on_test: bool) -> str:
    """The label, with ``best-on-test`` in it if test labels have selected."""
    return f"{label} ({BEST_ON_TEST})" if chosen_on_test and BEST_ON_TEST not in label else label


def as_text(value: Any) -> str:
    """An option as in labels and on the command line: ``0.1/1`` for several values, ``none`` for None."""
    if isinstance(value, tuple):
        return "/".join(map(as_text, value))
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
