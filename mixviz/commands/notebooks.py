"""``notebooks``: copies the notebooks to a writable folder."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from mixviz.commands.parser import Parser
from mixviz.errors import UserError
from mixviz.files import cannot_write
from mixviz.paths import shipped

NEEDED = ("jupyterlab", "ipywidgets", "anywidget")


def main(argv: list[str]) -> None:
    parser = Parser("notebooks", "Copy the notebooks to a folder; existing files are kept.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("mixviz-notebooks"), help="[default: %(default)s]")
    folder = parser.parse_args(argv).folder
    found = sorted((shipped() / "notebooks").glob("*.ipynb"))
    if not found:
        raise UserError(f"there are no notebooks in {shipped()}: install mixviz again")
    new = [notebook for notebook in found if not (folder / notebook.name).exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for notebook in new:
            shutil.copyfile(notebook, folder / notebook.name)
    except OSError as error:
        raise cannot_write(folder, error) from error
    kept = f", and kept the {len(found) - len(new)} that were there" if len(new) < len(found) else ""
    print(f"copied {len(new)} notebooks to {folder}{kept}")
    if lacking := [name for name in NEEDED if find_spec(name) is None]:
        print(f"first: pip install {' '.join(lacking)}")
    print(f"next: jupyter lab {folder}")
