"""What the first notebook says of its numbers is true of the numbers in its file; nbval sees to it that these hold."""

import nbformat
from normalise import FOLDER


def test_training_teaches_shape_and_unteaches_hue():
    notebook = nbformat.read(FOLDER / "00_start_here.ipynb", as_version=4)
    outputs = [
        output.get("data", {}).get("text/plain", "") for cell in notebook.cells for output in cell.get("outputs", [])
    ]
    (table,) = [text.splitlines() for text in outputs if "orientation" in text]
    assert [line.split() for line in table[2:]] == [
        ["hue", "almost", "perfectly", "forgotten"],
        ["orientation", "in", "part", "taught"],
        ["shape", "in", "part", "taught"],
    ]
