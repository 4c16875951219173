"""The claim ledger: what the papers' tables and figures say, and what we measured for each, with a verdict.

``data/ledger.csv`` has one row for each claim. What the paper says is written by hand; everything after it is filled
in from result files by ``fill``. A paper's difference is its value minus that of its base, as certain as the less
certain of the two. The claims that a paper is known for, of its abstract and main table, have a rank among its headline
claims.
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mixviz.errors import UserError
from mixviz.experiments.claims.findings import MINUS, Finding, Findings, Setting
from mixviz.files import write_csv
from mixviz.paths import shipped

PATH = shipped() / "data" / "ledger.csv"
CLAIM = (
    *("id", "paper", "headline", "where", "claim", "method", "base", "data", "network", "epochs", "protocol"),
    *("paper_value", "paper_difference", "unit", "expects", "evidence", "source"),
    # How it is tested here: arms by name or "study", several ways with ; between them, or what would be needed. A
    # difference of differences is written "one - its base" against "other - its base". tested_on: data sets, the best
    # first; where it is empty, images of any kind, and real ones before drawn ones.
    *("arm", "against", "measure", "tested_on", "needs"),
)
FOUND = (
    *("value", "base_value", "difference", "low", "high", "seeds"),
    *("on", "found_images", "found_examples", "found_network", "found_epochs", "device", "file", "verdict", "reason"),
)
VERDICTS = ("reproduced", "direction only", "not reproduced", "not settled", "not tried")
EVIDENCE = ("authors' code", "secondary source", "unverified")
EXPECTS = {"higher": 1, "lower": -1, "": 0}
MOST_HEADLINES = 8  # of a paper
DRAWN = ("glyphs",)
NO_IMAGES = re.compile("covtype|higgs|digits|speech|fsdd|tones|mlp", re.IGNORECASE)  # in the name of data or network

Row = dict[str, str]  # column -> text, as in the file; empty if there is nothing to say


def read(path: Path = PATH) -> list[Row]:
    """The rows of the ledger. Raises UserError if the file is missing or has other columns."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}): run this from a clone of the project") from error
    if tuple(reader.fieldnames or ()) != CLAIM + FOUND:
        raise UserError(f"{path} does not have the columns of this version of the project: restore the file")
    return rows


def write(rows: Iterable[Row], path: Path = PATH) -> None:
    """One line a row."""
    write_csv(path, rows, CLAIM + FOUND)


def fill(ledger: Sequence[Row], findings: Findings) -> list[Row]:
    """The ledger with all findings filled in; old values of those columns are replaced."""
    return [{name: row[name] for name in CLAIM} | _found(row, findings) for row in ledger]


def _found(row: Row, findings: Findings) -> Row:
    finding, arm = choose(row, findings)
    verdict, reason = judge(row, finding, arm)
    cells = dict.fromkeys(FOUND, "") | {"verdict": verdict, "reason": reason}
    if finding is None:
        return cells
    for name in ("value", "base_value", "difference", "low", "high"):
        cells[name] = _number(getattr(finding, name))
    setting = finding.setting
    cells |= {"seeds": str(finding.seeds), "on": setting.data, "found_images": setting.images}
    cells |= {"found_examples": setting.examples, "found_network": setting.network}
    return cells | {"found_epochs": setting.epochs, "device": setting.device, "file": setting.file}


def choose(row: Row, findings: Findings) -> tuple[Finding | None, int]:
    """The finding that tests a claim, and which of the row's ways of testing it is of.

    Of several, one with enough seeds to settle a sign comes first, then one on the data that the row names first, on
    the paper's data, on real images, on the paper's network, the first way, more seeds, more epochs, and the file that
    is first by name: never the outcome.
    """
    named = [_plain(name) for name in _alternatives(row["tested_on"]) if name]

    def order(choice: tuple[Finding, int]) -> tuple:
        finding, i = choice
        setting, family = finding.setting, _family(finding.setting.data)
        data = named.index(family) if named else 0, family != _family(row["data"]), family in DRAWN
        network = _plain(setting.network) != _plain(row["network"])
        return finding.seeds < 3, *data, network, i, -finding.seeds, -_epochs(setting.epochs), setting.file

    found = [(finding, i) for i, way in enumerate(ways(row)) for finding in _found_by(way, findings)]
    return min((one for one in found if _may_test(one[0].setting, named)), key=order, default=(None, 0))


def ways(row: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The ways in which a claim is tested: arm, against, measure; of the study "study", nothing, and its words."""
    if not row["arm"]:
        return []
    arms, against, measures = (_alternatives(row[name]) for name in ("arm", "against", "measure"))
    measures = measures * len(arms) if len(measures) == 1 else measures
    return list(zip(arms, against, measures, strict=True))


def _found_by(way: tuple[str, str, str], findings: Findings) -> list[Finding]:
    return findings.study(way[2]) if way[0] == "study" else findings.compare(*way)


def _may_test(setting: Setting, named: Sequence[str]) -> bool:
    """Whether a finding on this data counts: it is named, or nothing is named and it is of images."""
    if named:
        return _family(setting.data) in named
    return not NO_IMAGES.search(f"{setting.data} {setting.network}")


def judge(row: Row, finding: Finding | None, arm: int = 0) -> tuple[str, str]:
    """Verdict and reason.

    reproduced: on the paper's data, network and schedule, the interval is on the paper's side of 0 and contains its
    difference, or is beyond it. direction only: the interval is on the paper's side of 0, in another setting or nearer
    to 0. not reproduced: it is on the other side. not settled: it contains 0, or there are fewer than three seeds. arm:
    which of the row's alternatives the finding is of.
    """
    if finding is None:
        return "not tried", f"needs {row['needs']}" if row["needs"] else "no result yet"
    expected, elsewhere = EXPECTS[row["expects"]], departures(row, finding.setting, arm)
    if finding.sign == 0 or expected == 0:
        return "not settled", _why_not_settled(finding)
    if finding.sign != expected:
        return "not reproduced", "; ".join(elsewhere)
    if not elsewhere and row["paper_difference"]:
        reach = max(expected * finding.low, expected * finding.high)
        if reach >= expected * float(row["paper_difference"]):
            return "reproduced", ""
        elsewhere = ["smaller than the paper's"]
    return "direction only", "; ".join(elsewhere) or "the paper's figure is not known"


def departures(row: Row, setting: Setting, arm: int = 0) -> list[str]:
    """How a setting differs from the paper's: data, network, a shorter schedule, framework; in words."""
    found = []
    if row["data"] and _family(setting.data) != _family(row["data"]):
        found.append(f"{setting.data} in place of {row['data']}")
    if row["network"] and _plain(setting.network) != _plain(row["network"]):
        found.append(f"{setting.network} in place of {row['network']}")
    if row["epochs"] and _epochs(setting.epochs) < _epochs(row["epochs"]):
        found.append(f"{setting.epochs} epochs in place of {row['epochs']}")
    first, tested = (_alternatives(row["arm"])[i].partition(" ")[0] for i in (0, arm))
    if tested not in (first, "study"):
        found.append(f"{tested} in place of {first}")
    return found


def counts(rows: Sequence[Row], column: str) -> dict[str, Counter[str]]:
    """Paper -> how many of its claims have each value of a column, such as verdict or evidence."""
    return {
        paper: Counter(row[column] for row in rows if row["paper"] == paper)
        for paper in dict.fromkeys(row["paper"] for row in rows)
    }


def mistakes(row: Mapping[str, str]) -> list[str]:
    """What is wrong with a row's hand-written part; empty if it is well formed."""
    wrong = [f"{name} is empty" for name in ("id", "paper", "where", "claim", "method") if not row[name]]
    wrong += [f"{name} is no number" for name in ("paper_value", "paper_difference") if not _is_number(row[name])]
    if row["evidence"] not in EVIDENCE or row["expects"] not in EXPECTS:
        wrong.append("evidence or expects is not one of the known words")
    if bool(row["arm"]) == bool(row["needs"]):
        wrong.append("either an arm tests it or something is needed")
    if row["arm"] and not row["expects"]:
        wrong.append("it is tested, but no direction is expected")
    if row["headline"] and row["headline"] not in map(str, range(1, MOST_HEADLINES + 1)):
        wrong.append(f"headline is no rank from 1 to {MOST_HEADLINES}")
    if any((MINUS in arm) != (MINUS in against) for arm, against, _ in ways(row)):
        wrong.append("a difference is compared with what is none")
    return wrong


def headlines(rows: Sequence[Row]) -> list[Row]:
    """The headline claims in their order, paper by paper."""
    papers = list(dict.fromkeys(row["paper"] for row in rows))
    ranked = [row for row in rows if row["headline"]]
    return sorted(ranked, key=lambda row: (papers.index(row["paper"]), int(row["headline"])))


def _why_not_settled(finding: Finding) -> str:
    if finding.seeds < 3:
        return f"{finding.seeds} seed{'s' if finding.seeds > 1 else ''}; the least is 3"
    return finding.note or "the interval holds 0"


def _alternatives(names: str) -> list[str]:
    return [name.strip() for name in names.split(";")]


def _family(data: str) -> str:
    """A data set's name without its storage format."""
    return _plain(data.partition(" (")[0])


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _epochs(text: str) -> int:
    """The largest number in a text such as "6 and 8"."""
    return max(map(int, re.findall(r"\d+", text)), default=0)


def _is_number(text: str) -> bool:
    return not text or re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def _number(value: float) -> str:
    """Four significant digits, none beyond the fourth decimal; empty for NaN."""
    return "" if math.isnan(value) else f"{round(value, 4) + 0.0:.4g}"
