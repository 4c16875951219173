"""``study``: what the papers say of hardness, calibration and invariance, tested on glyphs over several seeds."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.data import load
from mixviz.errors import UserError, unknown
from mixviz.experiments.readme import claim_rows
from mixviz.experiments.study import ARMS, config_of, judge, run_study
from mixviz.paths import check_writable, runs_root
from mixviz.runs import environment

SHORT = {"epochs": 4, "train_images": 6000}
SHORT_ARMS = ("n-pair (turned)", "n-pair + looc (color, rotation)")


def main(argv: list[str]) -> None:
    parser = Parser("study", "Test the papers' claims on glyphs over several seeds; goes on where it was cut.")
    parser.add_argument("--seeds", type=int, default=3, metavar="INT", help="of each arm, from 1 on [default: 3]")
    parser.add_argument("--short", action="store_true", help="two arms, little data: a minute or two, for a first look")
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="only these, and the claims that they can test")
    parser.add_argument("--out", type=Path, help="where to write study.json [default: beside the runs]")
    arguments = parser.parse_args(argv)
    if arguments.seeds < 1:
        raise UserError(f"--seeds {arguments.seeds}: take 1 or more")
    for name in arguments.arms or ():
        if name not in ARMS:
            raise unknown("arm", name, ARMS)
    root = runs_root() / ("study-short" if arguments.short else "study")
    out = check_writable(arguments.out or root / "study.json")
    began = time.perf_counter()
    sets = load("glyphs", "train"), load("glyphs", "test")
    seeds = range(1, arguments.seeds + 1)
    arms, changes = (SHORT_ARMS, SHORT) if arguments.short else (tuple(ARMS), {})
    arms = tuple(arguments.arms or arms)
    rows = run_study(seeds, root, sets, arms, lambda arm, seed: print(f"{arm}, seed {seed}", flush=True), **changes)
    study = {
        "about": describe(arms, changes, len(sets[0]), len(sets[1]), arguments.seeds),
        "environment": environment(),
        "minutes": (time.perf_counter() - began) / 60,
        "claims": judge(rows),
        "rows": rows,
    }
    out.write_text(json.dumps(study, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\n{study['about']}")
    print_table(*claim_rows(study["claims"]))
    print(f"\nwritten: {out}")


def describe(arms: tuple[str, ...], changes: Mapping[str, Any], train: int, test: int, seeds: int) -> str:
    """What stands beside every number of the study."""
    configs = [config_of(arm, 1, **changes) for arm in arms]
    epochs = sorted({config.train.epochs for config in configs})
    used = changes.get("train_images", train)
    return (
        f"glyphs ({used:,} training and {test:,} test images), {configs[0].encoder.backbone}, "
        f"{' and '.join(map(str, epochs))} epochs, batches of {configs[0].train.batch_size}, "
        f"{seeds} seed{'s' if seeds > 1 else ''}, {environment()['device']}"
    )
