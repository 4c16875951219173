"""What notebooks say of their numbers is true of the numbers in their files; nbval sees to it that these hold."""

import nbformat
from normalise import FOLDER


def texts(name: str) -> list[str]:
    """What the cells of a notebook show as plain text."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    return [
        output.get("data", {}).get("text/plain", "") for cell in notebook.cells for output in cell.get("outputs", [])
    ]


def test_training_teaches_shape_and_unteaches_hue():
    (table,) = [text.splitlines() for text in texts("00_start_here") if "orientation" in text]
    assert [line.split() for line in table[2:]] == [
        ["hue", "almost", "perfectly", "forgotten"],
        ["orientation", "in", "part", "taught"],
        ["shape", "in", "part", "taught"],
    ]


def test_on_rows_imix_gains_without_augmentation_and_not_beside_it():
    (facts,) = [text.splitlines()[:-1] for text in texts("10_without_images") if "untrained network" in text]
    assert [(line.startswith("with dropped"), line.split()[-1]) for line in facts] == [
        (False, "True"),
        (False, "True"),
        (True, "False"),
        (False, "True"),
        (False, "True"),
        (False, "True"),
    ]


def test_on_sounds_neither_network_reads_blends_better_by_their_shares():
    (table,) = [text.splitlines() for text in texts("10_without_images") if "error at τ = 0.2" in text]
    plain, imix = (list(map(float, line.split()[-4:])) for line in table[1:])
    assert abs(plain[0] - imix[0]) <= 0.011  # as rounded
    assert abs(plain[1] - imix[1]) <= 0.011
    assert abs(plain[2] - imix[2]) < 1 < imix[3] - plain[3]
