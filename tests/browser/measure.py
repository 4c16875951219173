"""Measure in a browser how fast notebooks open and their widgets answer; for an idle machine.

python tests/browser/measure.py [NOTEBOOK ...] [--presses 12] [--out latencies.json]
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from moves import move_choices, move_sliders
from pages import Opened, opened
from reports import Measured, table, write
from servers import NOTEBOOKS, chromium, jupyterlab


def measure(shown: Opened, presses: int, bursts: int | None = None) -> Iterator[Measured]:
    """Every control of every widget: sliders key by key and in a burst, lists and boxes once; no times: it stood still.

    presses: single keys on each slider. bursts: on how many sliders of a widget, those with most stops; else all.
    """
    if shown.first_picture is not None:
        yield Measured(shown.name, "", "", "first picture", (1000 * shown.first_picture,))
    for widget in shown.widgets:
        for what, moved in {"slider": move_sliders(widget, presses), "choice": move_choices(widget)}.items():
            for control, times in moved.items():
                yield Measured(shown.name, widget.name, control, what, tuple(times))
        live = [slider for slider in widget.controls("slider") if slider.enabled]
        for slider in sorted(live, key=lambda slider: -slider.stops)[:bursts]:
            if (tail := widget.burst(slider).tail) is not None:
                yield Measured(shown.name, widget.name, slider.label, "burst", (tail,))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(NOTEBOOKS.glob("*.ipynb")))
    parser.add_argument("--presses", type=int, default=12, help="single key presses on each slider")
    parser.add_argument("--out", type=Path, help="a JSON file for what is measured")
    chosen = parser.parse_args(arguments)
    measured, errors = [], []
    with tempfile.TemporaryDirectory() as folder, jupyterlab(Path(folder)) as lab, chromium() as browser:
        for notebook in chosen.notebooks:
            with opened(browser, lab, notebook) as shown:
                measured += measure(shown, chosen.presses)
                errors += [f"{shown.name}: {error}" for error in shown.all_errors()]
    print(*table(measured), *errors, sep="\n")
    if chosen.out:
        write(measured, chosen.out)
    return int(bool(errors))


if __name__ == "__main__":
    sys.exit(main())
