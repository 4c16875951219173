"""The README's pictures: all there, small, described, and drawn by a command."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from mixviz.commands.pictures import FOLDER, PICTURES, animation, main
from mixviz.commands.results import ROOT
from mixviz.errors import UserError

SHOWN = re.findall(r"!\[([^]]*)\]\(([^)]*)\)", (ROOT / "README.md").read_text("utf-8"))
LARGEST = 150_000  # bytes


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(buffer, "png")
    return buffer.getvalue()


def opened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


def test_the_readme_shows_every_picture_with_a_description():
    assert sorted(ROOT / path for _, path in SHOWN) == sorted(FOLDER / name for name in PICTURES)
    assert all(len(description) > 40 for description, _ in SHOWN)
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(PICTURES)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_small(name):
    assert (FOLDER / name).stat().st_size < LARGEST


def test_a_picture_is_drawn(tmp_path, capsys):
    main(["soft-targets.png", "--out", str(tmp_path / "new")])
    drawn, kept = opened(tmp_path / "new" / "soft-targets.png"), opened(FOLDER / "soft-targets.png")
    assert drawn.size == kept.size
    assert len(drawn.convert("RGB").getcolors()) > 10
    assert "soft-targets.png" in capsys.readouterr().out


def test_an_unknown_picture_is_refused():
    with pytest.raises(UserError, match=r"unknown picture 'blend': did you mean 'blend\.gif'"):
        main(["blend"])


def test_an_animation_keeps_the_colours_of_all_frames():
    frames = Image.open(io.BytesIO(animation(map(png, ("white", "red", "blue")), milliseconds=200)))
    seen = []
    for frame in range(frames.n_frames):
        frames.seek(frame)
        seen.append(frames.convert("RGB").getpixel((3, 3)))
        assert frames.info["duration"] == 200
    assert seen == [(255, 255, 255), (255, 0, 0), (0, 0, 255)]
