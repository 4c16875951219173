"""``export``: a notebook as one HTML file, with sliders that need no kernel."""

from pathlib import Path

from mixviz.commands.flags import Parser
from mixviz.errors import UserError, unknown
from mixviz.paths import check_writable, shipped

FOLDER = shipped() / "notebooks"


def main(argv: list[str]) -> None:
    parser = Parser("export", "Run a notebook and write one HTML file of it, with sliders that need no kernel.")
    parser.add_argument("notebook", help="path, name or number of a notebook, such as 01")
    parser.add_argument("--out", type=Path, help="the HTML file [default: the notebook's name, in the current folder]")
    arguments = parser.parse_args(argv)
    notebook = find(arguments.notebook)
    out = check_writable(arguments.out or Path(f"{notebook.stem}.html"))
    try:
        from mixviz.widgets.export import export
    except ImportError as error:
        raise UserError(f"{error.name} is missing: pip install {error.name}") from error
    print(f"{export(notebook, out)}: {out.stat().st_size / 1e6:.1f} MB")


def find(name: str) -> Path:
    """A notebook by its path, or one of the project's by its name or number. Raises UserError."""
    if Path(name).suffix == ".ipynb" and Path(name).exists():
        return Path(name)
    notebooks = {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}
    found = [path for stem, path in notebooks.items() if stem == name or stem.partition("_")[0] == name]
    if not found:
        raise unknown("notebook", name, notebooks)
    return found[0]
