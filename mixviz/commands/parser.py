"""The parser of every command, which needs nothing but the standard library."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from mixviz.errors import UserError, unknown


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises UserErrors of one line, with the most similar flag that exists."""

    def __init__(self, command: str, description: str, **arguments: Any):
        super().__init__(f"python -m mixviz {command}", description=description, allow_abbrev=False, **arguments)

    def parse_args(self, argv: Sequence[str]) -> argparse.Namespace:  # type: ignore[override]
        known, rest = self.parse_known_args(argv)
        for word in rest:
            if word.startswith("-"):
                valid = [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]
                raise unknown("flag", word.partition("=")[0], valid)
            raise UserError(f"unexpected argument {word!r}: flags begin with --, see --help")
        return known

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}: see --help")
