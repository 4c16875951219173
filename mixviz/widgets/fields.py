"""Controls made from the fields of a config: a field's type and bounds determine its control."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, get_origin

import ipywidgets
from pydantic import Field, TypeAdapter, ValidationError

from mixviz.config import Flag
from mixviz.data.sources import SOURCES
from mixviz.domains import DOMAINS
from mixviz.errors import UserError
from mixviz.frameworks import FRAMEWORKS
from mixviz.widgets.controls import Control, choice, choices, slider, steps, text, toggle, written

NAMES: Mapping[str, Iterable[str]] = {"framework": FRAMEWORKS}  # fields that take one of these names
SUGGESTED: Mapping[str, Iterable[str]] = {  # fields that take other words as well
    "data": [name for name in SOURCES if name != "stl10-unlabeled"],
    "backbone": [name for domain in DOMAINS.values() for name in domain.backbones],
    "device": ("auto", "cpu", "cuda"),
    "looc_left_out": ("color", "rotation", "color rotation"),
}
USUAL = {"image_size": 32, "train_images": 4000, "hidden": 256}  # for fields without a default in config or framework
DEFAULT = "default"  # for None, which means the framework's
LONGEST, STEP = 1000, 0.01  # wider bounds do not help in choosing
RATIOS = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
NEAR_ONE, NEAR_ZERO = (0.0, 0.5, 0.9, 0.99, 0.996, 0.999), (0, 1, 2, 3, 5, 10)


def control_of(flag: Flag) -> Control:
    """A box for booleans, a list for words, a slider between bounds, else steps around the usual value.

    "default" means the framework's, as on the command line. Free words, and several of them, are entered as text,
    separated by spaces.
    """
    label, about = flag.name.replace("_", " "), flag.field.description or ""
    kinds, default, bounds = flag.kinds, flag.default, flag.bounds
    optional = [DEFAULT] if type(None) in kinds else []
    words = flag.choices or tuple(NAMES.get(flag.name, ()))
    if bool in kinds:
        if optional:
            return choice(label, {DEFAULT: DEFAULT, "yes": True, "no": False}, DEFAULT, about)
        return toggle(label, default, about)
    if words:
        return choice(label, [*optional, *words], DEFAULT if optional else default, about)
    if not {int, float} & set(kinds):
        return text(label, as_line(default), SUGGESTED.get(flag.name, ()), about)
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if not optional and low is not None and high is not None and high - low < LONGEST:
        low, high = low + STEP * ("gt" in bounds), high - STEP * ("lt" in bounds)
        return slider(label, low, high, default, STEP, about)
    return steps(label, [*optional, *sorted(_rungs(flag))], DEFAULT if optional else default, about)


def coerce(flag: Flag, control: Control, value: Any) -> Any:
    """The value for the control; steps get an additional one for a value between two. Raises UserError.

    value: as in the config or on the command line, or DEFAULT.
    """
    if isinstance(control, ipywidgets.Combobox):
        return as_line(value)
    value = None if value == DEFAULT else value
    try:
        kind: Any = Annotated[flag.field.annotation, Field(), *flag.field.metadata]
        value = TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise UserError(f"{flag.name} {value!r}: {error.errors()[0]['msg']}") from error
    if value is None:
        return DEFAULT
    listed = choices(control) or []
    if isinstance(control, ipywidgets.SelectionSlider) and value not in listed:
        was, rungs = control.value, sorted([rung for rung in listed if rung != DEFAULT] + [value])
        optional = [DEFAULT] * (DEFAULT in listed)
        control.options = [(written(rung), rung) for rung in [*optional, *rungs]]
        control.value = was
    return value


def has(kind: type | None, name: str) -> bool:
    """Whether a framework or a mixing (None: no mixing) has a setting of this name."""
    return kind is not None and name in getattr(kind, "Settings", kind).__pydantic_fields__


def only_for(kinds: Iterable[type]) -> str:
    """Why a control has no effect: the frameworks or mixings for which it has."""
    *labels, last = (kind.label for kind in kinds)
    return f"only for {', '.join(labels)} and {last}" if labels else f"only for {last}"


def idle_controls(chosen: type | None, kinds: Iterable[type], names: Mapping[str, str]) -> dict[str, str]:
    """Controls for settings that the chosen framework or mixing does not have, with the reason.

    kinds: those that can be chosen. names: control -> its setting.
    """
    missing = {control: name for control, name in names.items() if not has(chosen, name)}
    return {control: only_for(kind for kind in kinds if has(kind, name)) for control, name in missing.items()}


def as_line(value: Any) -> str:
    """Words as text in a field; empty for None."""
    if value is None:
        return ""
    return value if isinstance(value, str) else " ".join(map(str, value))


def setting(flag: Flag, value: Any) -> Any:
    """A control's value as a value for the config."""
    if isinstance(value, str) and any(get_origin(kind) is tuple for kind in flag.kinds):
        return tuple(value.split())
    if isinstance(value, float):
        return float(f"{value:.12g}")  # a slider in a browser gives 0.30000000000000004
    return None if value in ("", DEFAULT) else value


def _rungs(flag: Flag) -> set[float]:
    """Steps around the usual value, by factors of two; approaching 1 if that is the bound."""
    default, bounds, number = flag.default, flag.bounds, int if int in flag.kinds else float
    if bounds.get("lt") == 1:
        return set(NEAR_ONE)
    if default is None:
        given = [kind.defaults().get(flag.path[0], {}).get(flag.path[-1]) for kind in FRAMEWORKS.values()]
        default = next((value for value in given if value is not None), USUAL.get(flag.name))
    rungs = [ratio * default for ratio in RATIOS] if default else NEAR_ZERO
    if bounds.get("ge") == 0:
        rungs = [0, *rungs]
    return {number(rung) for rung in rungs if rung >= bounds.get("ge", 0)}
