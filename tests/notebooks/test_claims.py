"""What the first notebook says of its numbers is true of the numbers in its file; nbval sees to it that these hold."""

import nbformat
import pytest
from normalise import FOLDER


@pytest.fixture(scope="module")
def accuracies() -> dict[str, dict[str, float]]:
    """Encoder -> factor -> accuracy, as the table in notebook 00 has them."""
    notebook = nbformat.read(FOLDER / "00_start_here.ipynb", as_version=4)
    tables = [
        output["data"]["text/plain"].splitlines()
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "orientation" in output.get("data", {}).get("text/plain", "")
    ]
    (table,) = tables
    factors = table[0].split()[1:]
    rows = (line.split() for line in table[2:])
    return {name: dict(zip(factors, map(float, values), strict=True)) for name, *values in rows}


def test_training_teaches_shape_and_unteaches_hue(accuracies):
    trained, untrained = accuracies["trained"], accuracies["untrained"]
    assert trained["shape"] > untrained["shape"] + 0.15
    assert trained["hue"] < untrained["hue"] - 0.15
    assert untrained["hue"] > 0.85
    assert trained["orientation"] >= untrained["orientation"]
