"""``pictures``: draw the README's pictures from the bundled runs."""

import io
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image

from mixviz.commands.flags import Parser
from mixviz.commands.report import find
from mixviz.errors import UserError, unknown
from mixviz.paths import check_writable, clone, shipped
from mixviz.plots.style import smaller
from mixviz.report.overview import overview
from mixviz.report.sections import write_report
from mixviz.runs import short_names

FOLDER = shipped() / "data" / "pictures"
MOCO, TURNED, LOOC = "glyphs-moco-v2-seed1", "glyphs-n-pair-turned-seed1", "glyphs-n-pair+looc-turned-seed1"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
CHAPTER, WIDTH, HEIGHT = "The space of embeddings", 1000, 840  # of the report; in pixels


def main(argv: list[str]) -> None:
    parser = Parser("pictures", "Draw the README's pictures from the bundled runs: a few minutes on a CPU.")
    parser.add_argument("name", nargs="*", help=f"{' '.join(PICTURES)} [default: all]")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write them to [default: data/pictures]")
    arguments = parser.parse_args(argv)
    if arguments.out == FOLDER:
        clone("pictures without --out")
    for name in arguments.name:
        if name not in PICTURES:
            raise unknown("picture", name, PICTURES)
    for name in arguments.name or PICTURES:
        path = check_writable(arguments.out / name)
        path.write_bytes(PICTURES[name]())
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def blend() -> bytes:
    """Two images blended in changing shares, and whether the network's answer follows the shares."""
    lab = _widgets().MixingLab(MOCO)
    shares = [step / 10 for step in range(11)]
    return animation((lab.set(lam=share).picture() for share in [*shares, *shares[-2:0:-1]]), milliseconds=350)


def soft_targets() -> bytes:
    """The targets of i-Mix on N-pair: each query should match two keys."""
    return smaller(_widgets().ContrastTable(framework="n-pair", mixing="imix").picture())


def synthetic_negatives() -> bytes:
    """The probabilities of MoCo-v2 with MoCHi: own key, queue, and synthetic negatives."""
    table = _widgets().ContrastTable(framework="moco-v2", mixing="mochi", what="probabilities")
    return smaller(table.picture())


def film() -> bytes:
    """Two films side by side in one picture, epoch by epoch."""
    from mixviz.widgets.controls import choices  # ipywidgets is optional

    scrubber = _widgets().FilmScrubber([TURNED, LOOC], space="backbone", middle="proxy task", left="kNN")
    epochs = choices(scrubber.controls["epoch"]) or ()
    return animation((scrubber.set(epoch=epoch).picture() for epoch in epochs), milliseconds=700)


def heads() -> bytes:
    """How far each of LooC's heads moves under each augmentation."""
    return smaller(_widgets().InvarianceFingerprint(panel="fingerprint").picture())


def protocols() -> bytes:
    """One frozen encoder under every protocol in use."""
    return smaller(_widgets().ProtocolComparison().picture())


def report() -> bytes:
    """A page of a report of two runs. Raises UserError without Playwright and Chromium."""
    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UserError("playwright is missing: pip install -r requirements.txt") from error
    if browser is None:
        raise UserError("no Chromium: install your system's chromium")
    runs = [find(TURNED), find(LOOC)]
    found = {name: overview(run, images=2000) for name, run in zip(short_names(runs), runs, strict=True)}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = write_report(Path(folder) / "report.html", found)
        page = playwright.chromium.launch(executable_path=browser, args=FLAGS).new_page(
            viewport={"width": WIDTH, "height": HEIGHT}
        )
        page.goto(file.as_uri())
        page.get_by_role("heading", name=CHAPTER).evaluate("heading => heading.scrollIntoView()")
        return smaller(page.screenshot())


def animation(frames: Iterable[bytes], milliseconds: int) -> bytes:
    """PNGs of one size as one endless GIF, in 96 colours that cover those of all frames."""
    images = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in frames]
    width, height = images[0].size
    stacked = Image.new("RGB", (width, height * len(images)))
    for row, image in enumerate(images):
        stacked.paste(image, (0, row * height))
    palette = stacked.quantize(96, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    shown = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    buffer = io.BytesIO()
    shown[0].save(buffer, "gif", save_all=True, append_images=shown[1:], duration=milliseconds, loop=0, optimize=True)
    return buffer.getvalue()


def _widgets():
    try:
        import mixviz.widgets
    except ImportError as error:
        raise UserError(f"{error.name} is missing: pip install -r requirements.txt") from error
    return mixviz.widgets


PICTURES: dict[str, Callable[[], bytes]] = {
    "blend.gif": blend,
    "soft-targets.png": soft_targets,
    "synthetic-negatives.png": synthetic_negatives,
    "film.gif": film,
    "heads.png": heads,
    "protocols.png": protocols,
    "report.png": report,
}
