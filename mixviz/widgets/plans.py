"""The config that a training panel's controls describe, or why there is none, and which controls have no effect."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mixviz.config import RunConfig, flags
from mixviz.data.sources import find_source
from mixviz.errors import UserError
from mixviz.frameworks import FRAMEWORKS
from mixviz.method import check_compatible
from mixviz.mixing import MIXINGS
from mixviz.widgets.controls import Control, steps, toggle, written
from mixviz.widgets.fields import control_of, setting

FLAGS = {flag.name: flag for flag in flags() if flag.name != "mixing"}  # each mixing has its own box instead
SWITCHES = {  # settings that need another one, and the reason if that is off
    "jitter": (("brightness", "contrast", "saturation", "hue"), "there is no colour jitter"),
    "imix_inputmix": (("imix_inputmix_alpha",), "InputMix is off"),
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would be trained, or why it cannot be."""

    method: str
    changed: str  # settings besides framework and mixing that have an effect and are not defaults
    config: RunConfig | None
    problem: str = ""
    warning: str = ""  # it can be trained, but should not be


def controls() -> dict[str, Control]:
    """One for each mixing and each other field of the config, and the number of earlier runs to draw."""
    fields = {name: control_of(flag) for name, flag in FLAGS.items()}
    boxes = {name: toggle(called_of(name), False, f"changes the {kind.slot}") for name, kind in MIXINGS.items()}
    for box in boxes.values():
        box.indent, box.layout.width = False, "7em"
    beside = steps("earlier runs", range(9), 3, "how many earlier runs on the same data are drawn")
    return {"framework": fields.pop("framework"), **boxes, **fields, "beside": beside}


def called_of(mixing: str) -> str:
    """The mixing's name as its paper writes it; anything else as it is."""
    return MIXINGS[mixing].label or mixing if mixing in MIXINGS else mixing


def plan(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> Plan:
    """The plan for the controls' values."""
    mixing = [name for name in MIXINGS if values[name]]
    wanted = {name: setting(flag, values[name]) for name, flag in FLAGS.items()}
    settings = {name: value for name, value in wanted.items() if value != FLAGS[name].default}
    of_others = _of_other_data(values)
    settings = {name: value for name, value in settings.items() if name not in of_others}
    silent = {"framework", *idle(values)}
    moved = [name for name in FLAGS if written(values[name]) != written(defaults[name]) and name not in silent]
    changed = [f"{name} {written(values[name])}" for name in moved]
    about = {"method": " + ".join([values["framework"], *mixing]), "changed": ", ".join(changed)}
    try:
        config = RunConfig.of(mixing=mixing, **settings)
        return Plan(**about, config=config, warning=config.warning)
    except UserError as error:
        return Plan(**about, config=None, problem=str(error))


def _of_other_data(values: Mapping[str, Any]) -> dict[str, str]:
    """Settings of other domains than the named data's, each with the reason."""
    try:
        domain = find_source(values["data"]).domain
    except UserError:  # the plan says so
        return {}
    return {name: f"only for {flag.domain} data" for name, flag in FLAGS.items() if flag.domain not in (None, domain)}


def undefined(values: Mapping[str, Any]) -> dict[str, str]:
    """Mixings that are off and cannot be switched on, each with the reason."""
    framework, chosen = values["framework"], [name for name in MIXINGS if values[name]]
    possible = [name for name in chosen if not _why_not(framework, name)]
    reasons = {name: _why_not(framework, *possible, name) for name in MIXINGS if name not in chosen}
    return {name: reason for name, reason in reasons.items() if reason}


def _why_not(framework: str, *mixings: str) -> str:
    """Why these mixings cannot be combined on the framework; empty if they can."""
    try:
        check_compatible(FRAMEWORKS[framework], [MIXINGS[name]() for name in mixings])
    except UserError as error:
        return str(error)
    return ""


def idle(values: Mapping[str, Any]) -> dict[str, str]:
    """Settings without effect at these values, each with the reason."""
    framework, reasons = values["framework"], {}
    own = {name: kind.defaults()["method"].keys() for name, kind in FRAMEWORKS.items()}
    reasons |= dict.fromkeys(set().union(*own.values()) - own[framework], f"{framework} has none")
    for name in FLAGS:
        mixing = name.partition("_")[0]
        if mixing in MIXINGS and not values[mixing]:
            reasons[name] = f"{called_of(mixing)} is off"
    reasons |= _of_other_data(values)
    if values["schedule"] == "cosine":
        reasons |= dict.fromkeys(("decay_epochs", "decay_factor"), "the learning rate falls along a cosine")
    for switch, (names, reason) in SWITCHES.items():
        if not values[switch]:
            reasons |= {name: reason for name in names if name not in reasons}
    return reasons
