"""Errors that a user can fix, in one line that names the cause and the fix."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 1000  # letters of a message


class UserError(ValueError):
    """Bad input. The message is one line: the cause, then the fix.

    The command line prints it and exits with code 2; in a notebook it is an ordinary ValueError.
    """


class MissingData(UserError):
    """The images are not on this machine and cannot be downloaded."""


class NoTestSplit(UserError):
    """The data have no test split, and no labels to make one."""


def unknown(kind: str, name: str, valid: Iterable[str]) -> UserError:
    """A UserError for a name that is not in ``valid``, with the nearest one that is."""
    valid = list(valid)
    near = get_close_matches(name, valid, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    choice = f"valid are {', '.join(valid)}" if len(valid) <= 20 or not near else ""
    return UserError(f"unknown {kind} {name!r}: {hint}{choice}".rstrip())


def reason(error: BaseException) -> str:
    """What went wrong, in one line."""
    text = " ".join(str(getattr(error, "reason", None) or error).split())
    return text[:200] or type(error).__name__


def message(error: BaseException) -> str:
    """An error as a terminal shows it: one line, with the middle of a very long one left out."""
    text = printable(str(error))
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def printable(text: str) -> str:
    """The text with control characters and line breaks as visible escape sequences."""
    return "".join(c if c.isprintable() or c == "\xa0" else c.encode("unicode_escape").decode() for c in text)
