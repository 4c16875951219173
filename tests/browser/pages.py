"""Notebooks in a browser: opened in JupyterLab, and run to their end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import nbformat
from handling import LIMIT, Widget
from normalise import drives_of
from servers import Server

WATCH = Path(__file__).with_name("watch.js")
WIDE = {"width": 1280, "height": 1000}
START, RUN = 120, 300  # seconds that a kernel may take to start, and a notebook to run
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


@dataclass
class Opened:
    """A page with a notebook. errors: of the page, its console, the kernel; and what was asked of other machines."""

    page: Any
    name: str
    drives: int  # widgets that tests drive
    errors: list[str] = field(default_factory=list)
    first_picture: float | None = None  # seconds from opening the page

    @property
    def widgets(self) -> list[Widget]:
        count = self.page.evaluate("() => mixviz.widgets().length")
        return [Widget(self.page, place) for place in range(count)]

    def all_errors(self) -> list[str]:
        """What went wrong until now, in the page and in the kernel."""
        shown = self.page.locator('[data-mime-type="application/vnd.jupyter.error"]').all_inner_texts()
        return self.errors + self.page.evaluate("() => mixviz.errors") + shown


def watched(context: Any) -> tuple[Any, list[str]]:
    """A new page with the watcher in it; and a list to which its errors are added."""
    context.add_init_script(path=WATCH)
    page = context.new_page()
    page.set_default_timeout(60_000)
    errors: list[str] = []

    def hear(said: Any) -> None:
        if said.type == "error" and is_local(said.location.get("url", "")):
            errors.append(said.text)

    def notice(asked: Any) -> None:
        if not is_local(asked.url):
            errors.append(f"asks for {asked.url}")

    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", hear)
    page.on("request", notice)
    return page, errors


def is_local(address: str) -> bool:
    """Whether an address is of this machine, or of the page itself."""
    return urlsplit(address).hostname in (None, "127.0.0.1")


@contextmanager
def opened(browser: Any, lab: Server, notebook: Path) -> Iterator[Opened]:
    """A notebook in JupyterLab, run from top to bottom, in a kernel that ends at the end. Its file is not touched."""
    drives = copied(notebook, lab.work)
    context = browser.new_context(viewport=WIDE)
    page, errors = watched(context)
    try:
        page.goto(f"{lab.address}/doc/tree/{quote(notebook.name)}?token={lab.token}")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        page.wait_for_function("() => window.jupyterapp")
        wait(page, "mixviz.connect()", START)
        wait(page, "jupyterapp.commands.execute('notebook:run-all-cells')", RUN)
        shown = Opened(page, notebook.stem, drives, errors)
        page.evaluate("times => mixviz.settled(...times)", [300, LIMIT])
        if (first := page.evaluate("() => mixviz.first()")) is not None:
            shown.first_picture = first / 1000
        yield shown
    finally:
        context.close()
        lab.stop_kernels()


def wait(page: Any, promise: str, seconds: int) -> None:
    """Wait for a promise of the page. Raises TimeoutError, of Playwright, if it is not kept in time."""
    page.evaluate(f"() => {{ window.kept = false; {promise}.then(() => {{ window.kept = true; }}); }}")
    page.wait_for_function("() => window.kept", timeout=1000 * seconds)


def copied(notebook: Path, folder: Path) -> int:
    """Write a copy without outputs, so that what is seen was made by the run; returns how many widgets are driven."""
    read = nbformat.read(notebook, as_version=4)
    read.metadata.kernelspec = KERNEL
    for cell in read.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(read, folder / notebook.name)
    return len(drives_of(notebook)) + sum("drive" in cell.metadata.get("tags", []) for cell in read.cells)
