"""Questions of the notebooks that are answered by a guess, before the reader sees what was measured."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a reader predicts: one of several statements, or numbers on an axis.

    The answer is not here: it is measured by the notebook. With options, one of them is chosen; without, a number is
    placed for each name that the notebook gives, between low and high.

    why: what the measurement means, said after the guess; ``*word*`` is emphasised. unit: of the numbers, such as "%".
    across: what the numbers run over, such as "epoch": then they are one curve, else a bar each. given: the name of
    numbers that are marked on the axis from the beginning, such as "untrained".
    """

    text: str
    why: str
    options: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 100.0
    step: float = 1.0
    unit: str = ""
    across: str = ""
    given: str = ""
