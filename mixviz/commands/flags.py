"""Command-line flags made from the fields of the config: help, default, range and unit come from the field."""

import argparse
import typing
from pathlib import Path
from typing import Any

from mixviz.commands.parser import Parser as Parser
from mixviz.config import Flag, Origin, RunConfig, flags
from mixviz.errors import UserError
from mixviz.experiments.workers import default_jobs
from mixviz.files import read_json
from mixviz.frameworks import FRAMEWORKS


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """``--jobs``, of the commands that train several runs."""
    note = "runs trained side by side, one thread each [>= 1; default: as many as cores and memory allow]"
    parser.add_argument("--jobs", type=int, metavar="INT", help=note)


def jobs_from(arguments: argparse.Namespace) -> int:
    """Raises UserError."""
    if arguments.jobs is not None and arguments.jobs < 1:
        raise UserError(f"--jobs {arguments.jobs}: give 1 or more, at most the number of cores")
    return arguments.jobs or default_jobs()


def add_trust(parser: argparse.ArgumentParser) -> None:
    """``--trust``, of the commands that build a run's networks."""
    note = "import the run's backbone if it is named by import path, package.module:Class; this runs its code"
    parser.add_argument("--trust", action="store_true", help=note)


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """``--trust``, ``--data`` and ``--changed-data``, of the commands that look at a run with its data."""
    parser.add_argument("--data", metavar="DATA", help="where the run's data are now, as for train, if they were moved")
    parser.add_argument("--changed-data", action="store_true", help="even if its data have changed")
    add_trust(parser)


def how_opened(arguments: argparse.Namespace) -> dict[str, Any]:
    """What ``Run.open`` takes of these flags, and of ``train --resume``."""
    return {"trusted": arguments.trust, "data": arguments.data, "changed_data": arguments.changed_data}


def add_config_flags(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """One flag per field, one group per section. several: each flag takes several values, for a sweep."""
    groups: dict[str, Any] = {}
    for flag in flags():
        title = " ".join(flag.path[:-1])
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        more = {"nargs": "+"} if several and bool not in flag.kinds else {}
        groups[title].add_argument(f"--{flag.name.replace('_', '-')}", **_arguments(flag) | more)


def given_flags(arguments: argparse.Namespace) -> list[str]:
    """The flags of the config that the command line has."""
    return [f"--{f.name.replace('_', '-')}" for f in flags() if getattr(arguments, f.name) is not None]


def config_from(arguments: argparse.Namespace, base: RunConfig | None = None) -> RunConfig:
    """The config that the flags describe; base: used instead of the defaults. Raises UserError."""
    names = {flag.name for flag in flags()}
    given = {name: value for name, value in vars(arguments).items() if name in names and value is not None}
    config = RunConfig.of(**given) if base is None else base.but(**given) if given else base
    for name in given:
        if why := config.idle(name):
            raise UserError(f"--{name.replace('_', '-')} would have no effect: {why}")
    return config


def read_config(path: Path) -> RunConfig:
    """The settings in a run's config.json. Raises UserError."""
    return RunConfig.parse(read_json(path)).model_copy(update={"origin": Origin()})


def _arguments(flag: Flag) -> dict[str, Any]:
    """What argparse needs; values stay text, since pydantic converts and checks them."""
    kinds = flag.kinds
    help_text = f"{flag.field.description or ''} {_hint(flag)}".strip().replace("%", "%%")
    if bool in kinds:
        return {"action": argparse.BooleanOptionalAction, "help": help_text, "default": None}
    many = any(typing.get_origin(kind) is tuple for kind in kinds)
    name = next((word for kind, word in ((int, "INT"), (float, "NUMBER")) if kind in kinds), "TEXT")
    return {"help": help_text, "metavar": name, "default": None} | ({"nargs": "*"} if many else {})


def _hint(flag: Flag) -> str:
    """[range; default], for the help."""
    default = flag.default
    if default is None:
        section, field = flag.path[0], flag.path[-1]
        by_framework = {name: kind.defaults().get(section, {}).get(field) for name, kind in FRAMEWORKS.items()}
        given = [f"{name} {value}" for name, value in by_framework.items() if value is not None]
        default = ", ".join(given) or "none"
    elif isinstance(default, tuple):
        default = " ".join(map(str, default)) or "none"
    parts = [_range(flag), f"default: {default}"]
    return f"[{'; '.join(part for part in parts if part)}]"


def _range(flag: Flag) -> str:
    """The bounds or the choices of a field, in words."""
    if flag.choices:
        return " | ".join(map(str, flag.choices))
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    return ", ".join(f"{signs[name]} {bound}" for name, bound in flag.bounds.items())
