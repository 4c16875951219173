"""What the tests of data share: a data folder for each test, and small images, folders, parquet files and archives."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mixviz.data import Dataset, load
from mixviz.errors import UserError


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path, monkeypatch) -> Path:
    """Each test decodes anew."""
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def picture():
    """Makes an image of one colour, red as given, green 10, blue 20."""

    def make(red: int, size=(16, 16), mode: str = "RGB") -> Image.Image:
        colours = {"RGB": (red, 10, 20), "L": red, "RGBA": (red, 10, 20, 128), "CMYK": (red, 0, 0, 0), "F": red}
        return Image.new(mode, size, colours[mode])

    return make


@pytest.fixture
def png(picture):
    """Makes the bytes of such an image."""

    def make(red: int) -> bytes:
        buffer = io.BytesIO()
        picture(red).save(buffer, "png")
        return buffer.getvalue()

    return make


@pytest.fixture
def write_folder(picture):
    """Writes n images of each class c; image i is of red 100 c + i."""

    def write(root: Path, classes=("cat", "dog"), n: int = 5) -> Path:
        for c, name in enumerate(classes):
            (root / name).mkdir(parents=True)
            for i in range(n):
                picture(100 * c + i).save(root / name / f"{i}.png")
        return root

    return write


@pytest.fixture
def write_parquet():
    """Writes the Hugging Face layout from encoded images."""

    def write(path: Path, images, labels=None, names=None, image: str = "image", label: str = "label") -> Path:
        columns = {image: pa.array([{"bytes": content, "path": None} for content in images])}
        if labels is not None:
            columns[label] = labels if isinstance(labels, pa.Array) else pa.array(labels, pa.int64())
        table = pa.table(columns)
        if names:
            info = {"info": {"features": {label: {"names": names, "_type": "ClassLabel"}}}}
            table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        return path

    return write


@pytest.fixture
def write_arrays(tmp_path):
    """Writes an archive and gives its source."""

    def write(**arrays) -> str:
        np.savez(tmp_path / "set.npz", **arrays)
        return f"numpy:{tmp_path / 'set.npz'}"

    return write


@pytest.fixture
def load_quiet():
    """``load`` without a progress bar."""

    def read(source: str, split: str = "train", **options) -> Dataset:
        return load(source, split, progress=False, **options)

    return read


@pytest.fixture
def refusal(load_quiet):
    """The one line with which a source is refused."""

    def read(source: str, split: str = "train", **options) -> str:
        with pytest.raises(UserError) as caught:
            load_quiet(source, split, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return read


@pytest.fixture
def real_sets() -> Path:
    """Real data in the Hugging Face layout, from $MIXVIZ_TEST_DATASETS or shared/datasets beside the repository."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "datasets"
    folder = Path(os.environ.get("MIXVIZ_TEST_DATASETS") or beside)
    if not (folder / "cifar10").is_dir():
        pytest.skip(f"no cifar10/*.parquet in {folder}: set MIXVIZ_TEST_DATASETS to the folder that has it")
    return folder
