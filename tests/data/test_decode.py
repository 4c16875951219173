"""Kinds and sizes of images, and those that cannot be decoded."""

import numpy as np
import pytest
from PIL import Image

from mixviz.data import decode
from mixviz.data.decode import Encoded, Reading, decode_all
from mixviz.errors import UserError


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("L", (90, 90, 90)), ("RGB", (90, 10, 20)), ("RGBA", (172, 132, 137)), ("CMYK", (165, 255, 255))],
)
def test_every_kind_becomes_rgb(tmp_path, picture, load_quiet, mode, expected):
    picture(90, mode=mode).save(tmp_path / ("0.tiff" if mode == "CMYK" else "0.png"))
    image = load_quiet(f"folder:{tmp_path}").stored[0]
    np.testing.assert_allclose(image[3, 3], expected, atol=1)


def test_palette_and_16_bit(tmp_path, picture, load_quiet):
    picture(90).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "0.png")
    Image.fromarray(np.full((16, 16), 90 * 256, np.uint16)).save(tmp_path / "1.png")
    Image.fromarray(np.full((16, 16), 90 * 256, np.int32)).save(tmp_path / "2.tiff")
    images = load_quiet(f"folder:{tmp_path}").stored
    assert images[:, 0, 0].tolist() == [[90, 10, 20], [90, 90, 90], [90, 90, 90]]


@pytest.mark.parametrize(("top", "bits"), [(90, 8), (4095, 12), (5000, 16)])
def test_grey_images_use_as_many_bits_as_the_set(tmp_path, load_quiet, capsys, top, bits):
    for i, value in enumerate((top, 80)):
        Image.fromarray(np.full((16, 16), value, np.uint16)).save(tmp_path / f"{i}.png")
    images = load_quiet(f"folder:{tmp_path}").stored
    assert images[:, 0, 0, 0].tolist() == [top >> (bits - 8), 80 >> (bits - 8)]
    assert (f"values up to {top:,} are taken for images of {bits} bits" in capsys.readouterr().err) == (bits < 16)


def test_of_several_frames_the_first_is_taken(tmp_path, picture, load_quiet, capsys):
    picture(5).save(tmp_path / "0.png")
    picture(9).save(tmp_path / "1.tiff", save_all=True, append_images=[picture(99)])
    assert load_quiet(f"folder:{tmp_path}").stored[:, 0, 0, 0].tolist() == [5, 9]
    assert "1 of 2 files have several frames, of which the first is taken" in capsys.readouterr().err


def test_tags_that_cannot_be_read_are_left_alone(tmp_path, picture, load_quiet):
    for i, tags in enumerate((b"Exif\0\0no tags at all", b"Exif\0\0II*\0\x08\0\0\0\xff\xff")):
        picture(90).save(tmp_path / f"{i}.jpg", exif=tags, quality=100)
    images = load_quiet(f"folder:{tmp_path}").stored
    np.testing.assert_allclose(images[:, 3, 3], [[90, 10, 20]] * 2, atol=3)


def test_huge_images(tmp_path, load_quiet, refusal, monkeypatch):
    wide = Image.new("L", (12, 3))
    wide.putpixel((6, 1), 255)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 16)  # Pillow warns of more, and refuses twice as many
    wide.save(tmp_path / "0.png")
    assert load_quiet(f"folder:{tmp_path}", image_size=8).stored.max() > 50
    assert Image.MAX_IMAGE_PIXELS == 16
    monkeypatch.setattr(decode, "LARGEST", 16)
    (tmp_path / "0.png").touch()
    assert "cannot decode 0.png (it has 0 megapixels, and 0 can be read: make it smaller)" in refusal(
        f"folder:{tmp_path}", image_size=8
    )


def test_large_jpegs_are_decoded_small(tmp_path, load_quiet, monkeypatch):
    pixels = np.zeros((640, 640, 3), np.uint8)
    pixels[:, 320:] = 255
    Image.fromarray(pixels).save(tmp_path / "0.jpg")
    seen = []
    monkeypatch.setattr(decode, "upright", lambda image: seen.append(image.size) or image)
    image = load_quiet(f"folder:{tmp_path}", image_size=16).stored[0]
    assert seen == [(80, 80)]
    assert image[:, :7].max() < 10
    assert image[:, 9:].min() > 245


def test_photographs_are_turned_upright(tmp_path, load_quiet):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8] = 255  # white above black
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to show it
    Image.fromarray(pixels).save(tmp_path / "0.png", exif=exif)
    np.testing.assert_array_equal(load_quiet(f"folder:{tmp_path}").stored[0], np.rot90(pixels, -1))


def test_floats_of_unknown_range_are_refused(tmp_path, picture, refusal):
    picture(1, mode="F").save(tmp_path / "0.tiff")
    assert "cannot decode 0.tiff (its pixels are floats of unknown range)" in refusal(f"folder:{tmp_path}")


def test_several_sizes_need_an_image_size(tmp_path, picture, load_quiet, refusal):
    picture(1, (16, 16)).save(tmp_path / "0.png")
    picture(1, (40, 20)).save(tmp_path / "1.png")
    message = refusal(f"folder:{tmp_path}")
    assert "several sizes (16x16, and 1.png is 40x20): give --image-size" in message
    assert load_quiet(f"folder:{tmp_path}", image_size=12).stored.shape == (2, 12, 12, 3)


def test_resizing_keeps_the_middle(tmp_path, load_quiet):
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 32:64] = 255
    Image.fromarray(wide).save(tmp_path / "0.png")
    Image.fromarray(wide.transpose(1, 0, 2)).save(tmp_path / "1.png")
    images = load_quiet(f"folder:{tmp_path}", image_size=16).stored
    assert images.shape == (2, 16, 16, 3)
    assert (images[:, 1:-1, 1:-1] == 255).all()
    assert images.mean() > 240


def test_oblong_and_tiny_images_are_refused(tmp_path, picture, refusal):
    picture(1, (40, 20)).save(tmp_path / "0.png")
    assert "0.png is 40x20, but encoders take square images: give --image-size" in refusal(f"folder:{tmp_path}")
    picture(1, (4, 4)).save(tmp_path / "0.png")
    assert "0.png is 4x4, smaller than 8 pixels: give --image-size" in refusal(f"folder:{tmp_path}")
    assert "--image-size 4 is too small: give 8 or more" in refusal(f"folder:{tmp_path}", image_size=4)


def test_an_undecodable_file_is_named_or_skipped(tmp_path, png, write_folder, load_quiet, refusal):
    root = write_folder(tmp_path / "pets", n=3)
    (root / "cat" / "1.png").write_bytes(b"no image")
    (root / "dog" / "0.png").write_bytes(png(7)[:40])
    message = refusal(f"folder:{root}")
    assert "cannot decode cat/1.png (not an image)" in message
    assert "--skip-bad" in message
    parts = [load_quiet(f"folder:{root}", split, skip_bad=True) for split in ("train", "test")]
    assert {part.skipped for part in parts} == {2}
    shown = [(red, label) for part in parts for red, label in zip(part.stored[:, 0, 0, 0], part.labels, strict=True)]
    assert sorted(shown) == [(0, 0), (2, 0), (101, 1), (102, 1)]
    names = [f"{'cat' if label == 0 else 'dog'}/{red % 100}.png" for red, label in shown]
    assert [name for part in parts for name in part.origins] == names


def test_nothing_but_undecodable_files(tmp_path, refusal):
    (tmp_path / "0.png").write_bytes(b"no image")
    assert "none of the 1 images of folder:" in refusal(f"folder:{tmp_path}", skip_bad=True)


def test_order_is_kept_among_many(png):
    reds = np.random.default_rng(0).integers(0, 256, 300)
    items = [png(int(red)) for red in reds]
    items[5] = None
    names = [f"row {i}" for i in range(300)]
    pixels, kept = decode_all(Encoded(items, names), Reading(skip_bad=True, progress=False))
    assert np.array_equal(kept, np.delete(np.arange(300), 5))
    assert np.array_equal(pixels[:, 0, 0, 0], reds[kept])
    with pytest.raises(UserError, match=r"cannot decode row 5 \(it is empty\)"):
        decode_all(Encoded(items, names), Reading(progress=False))


def test_progress_goes_to_standard_error(png, capsys):
    for progress in (True, False):
        decode_all(Encoded([png(1)], ["a"]), Reading(progress=progress), "toys")
        out, err = capsys.readouterr()
        assert out == ""
        assert ("decoding toys" in err) == progress
