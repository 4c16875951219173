"""The site in a browser, opened as a file: its numbers are Python's, and it is fast, alone, and open to everyone."""

import io
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from reports import Measured

from mixviz.analysis.heads import head_names, heads
from mixviz.analysis.invariance import vary
from mixviz.data.glyphs import make_glyphs
from mixviz.domains import clean
from mixviz.pretrained import find
from mixviz.site.build import build
from mixviz.site.contents import LOOC, PLAIN, bank_of, offered

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TOLERANCE = 1e-3
SCREEN, PHONE = {"width": 1366, "height": 768}, {"width": 360, "height": 740}
FIRST, SLIDER = 3_000, 50  # ms that it may take on an idle machine
SLOWER = 5  # times that a busy one may take
SLIDERS = {
    "blend": ("share", "turn", "hue", "temperature"),
    "heads": ("turn", "hue"),
    "film": ("epoch", "image"),
}
MOVE = """([part, name]) => new Promise((resolve) => {
  const slider = document.querySelector(`#${part} [name=${name}]`);
  const began = performance.now();
  const seen = new MutationObserver(() => {
    seen.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
  });
  seen.observe(document.querySelector(`#${part} svg`), { childList: true });
  slider.stepUp();
  slider.dispatchEvent(new Event("input", { bubbles: true }));
})"""
PUT = """([part, values]) => {
  for (const [name, value] of Object.entries(values)) {
    const slider = document.querySelector(`#${part} [name=${name}]`);
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  }
}"""
EMBED = """async ([name, pictures]) => {
  const embedded = await mixviz.networks[name](pictures.map((each) => Float32Array.from(each)));
  return embedded.map((spaces) => Object.fromEntries(Object.entries(spaces).map(([k, v]) => [k, Array.from(v)])));
}"""
NAMELESS = """() => [...document.querySelectorAll("input, button")]
  .filter((control) => !/\\w/.test(control.labels?.[0]?.textContent + control.labels?.[0]?.querySelector("img")?.alt)
    && !/\\w/.test(control.textContent)).map((control) => control.outerHTML)"""
WIDE = """() => [...document.querySelectorAll("body *")]
  .filter((part) => part.getBoundingClientRect().right > innerWidth + 1 && part.getClientRects().length
    && !part.closest("svg, .skip")).map((part) => part.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    build(folder)
    return (folder / "index.html").as_uri()


@pytest.fixture
def visit(browser, address):
    """Opens the site in a page of its own, which must stay without errors and ask nobody for anything."""
    contexts, wrong = [], []

    def ask(request):
        if not request.url.startswith((address.rpartition("/")[0], "blob:", "data:")):
            wrong.append(f"asked for {request.url}")

    def open_page(viewport=SCREEN, **more):
        context = browser.new_context(viewport=viewport, offline=True, **more)
        contexts.append(context)
        page = context.new_page()
        page.on("request", ask)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.goto(address)
        page.wait_for_selector("body[data-state=ready]", timeout=60_000)
        page.wait_for_function("() => document.querySelector('#blend').found && document.querySelector('#heads').found")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def embeddings(name: str, images: torch.Tensor) -> dict[str, torch.Tensor]:
    run = find(name)
    encoder = run.encoder(device="cpu")
    encoder.dtype = torch.float32
    return heads(encoder, images, head_names(run.config))


@pytest.fixture(scope="module")
def bank():
    return bank_of(find(PLAIN), find(LOOC))


def settled(page, part: str, values: dict) -> dict:
    """What a part of the page has found after its sliders were put there."""
    page.evaluate("part => { document.getElementById(part).found = null; }", part)
    page.evaluate(PUT, [part, values])
    page.wait_for_function("part => document.getElementById(part).found", arg=part)
    page.wait_for_timeout(300)
    return page.evaluate("part => document.getElementById(part).found", part)


def changed(images: torch.Tensor, degrees: float, hue: float) -> torch.Tensor:
    """Hue moved by degrees by the project's own augmentation, then turned about the centre."""
    moved = vary(images, "hue", hue / 360, torch.Generator())
    if degrees % 90 == 0:
        return moved.rot90(int(degrees // 90), (2, 3))
    angle = np.deg2rad(degrees)
    matrix = torch.tensor([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]], dtype=torch.float32)
    grid = F.affine_grid(matrix.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(moved, grid, padding_mode="border", align_corners=False)


def test_embeddings_are_pythons(visit):
    page = visit()
    images = clean(make_glyphs("test", images=5))
    for name, run in {"plain": PLAIN, "looc": LOOC}.items():
        found = page.evaluate(EMBED, [name, images.flatten(1).tolist()])
        for space, wanted in embeddings(run, images).items():
            np.testing.assert_allclose([each[space] for each in found], wanted, atol=TOLERANCE)


@pytest.mark.parametrize(("degrees", "hue"), [(0, 0), (90, 70), (270, -180), (35, -50)])
def test_targets_probabilities_and_loss_are_pythons(visit, bank, degrees, hue):
    setting = {"share": 0.35, "turn": degrees, "hue": hue, "temperature": 0.2}
    found = settled(visit(), "blend", setting)
    first, second = offered(bank.targets())[:2]
    images = clean(bank)
    blended = 0.35 * images[first] + 0.65 * images[second]
    query = embeddings(PLAIN, changed(blended[None], degrees, hue))["all"]
    order = [first, second, *(row for row in range(len(images)) if row not in (first, second))]
    cosines = (query @ embeddings(PLAIN, images)["all"].T)[0, order]
    np.testing.assert_allclose(found["cosines"], cosines, atol=TOLERANCE)
    np.testing.assert_allclose(found["probabilities"], (cosines / 0.2).softmax(0), atol=TOLERANCE)
    np.testing.assert_allclose(found["targets"], [0.35, 0.65, *[0] * 398], atol=1e-9)


@pytest.mark.parametrize(("degrees", "hue"), [(90, 0), (180, 120), (125, -35)])
def test_each_heads_similarity_and_distance_are_pythons(visit, bank, degrees, hue):
    found = settled(visit(), "heads", {"turn": degrees, "hue": hue})
    images = clean(bank)
    row = offered(bank.targets())[5]
    before, after = embeddings(LOOC, images), embeddings(LOOC, changed(images[[row]], degrees, hue))
    for space, own in before.items():
        similarity = float(after[space] @ own[row])
        others = float((own @ own[row]).sum() - 1) / (len(images) - 1)
        assert found[space]["similarity"] == pytest.approx(similarity, abs=TOLERANCE)
        assert found[space]["distance"] == pytest.approx((1 - similarity) / (1 - others), abs=2 * TOLERANCE)


def test_it_is_fast(visit, measured):
    page = visit()
    first = page.evaluate("() => performance.getEntriesByName('drawn')[0].startTime")
    measured.append(Measured("site", "film", "", "first picture", (first,)))
    assert first < SLOWER * FIRST
    for part, names in SLIDERS.items():
        for name in names:
            times = []
            for _ in range(5):
                times.append(page.evaluate(MOVE, [part, name]))
                page.wait_for_timeout(400)
            measured.append(Measured("site", part, name, "slider", tuple(times)))
            assert np.median(times) < SLOWER * SLIDER, name


def test_it_is_used_by_keyboard_and_every_control_is_named(visit):
    page = visit()
    assert page.evaluate(NAMELESS) == []
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.name || document.activeElement.textContent.trim()"))
    assert reached >= {"first", "second", "whole", "Play", *(name for names in SLIDERS.values() for name in names)}
    page.focus("#first input:checked")
    page.keyboard.press("ArrowRight")
    assert page.locator("#first input:checked").get_attribute("value") == str(
        page.evaluate("() => document.querySelectorAll('#first input[type=radio]')[1].value")
    )
    page.focus("#film [name=epoch]")
    page.keyboard.press("End")
    assert "Epoch 12 of 12" in page.locator("#film output.says").text_content()


def test_the_film_plays_to_its_end_and_a_click_picks_an_image(visit):
    page = visit()
    page.click("#film button")
    page.wait_for_function("() => document.querySelector('#film [name=epoch]').value === '2'")
    assert page.locator("#film button").text_content() == "Pause"
    page.click("#film button")
    page.locator("#film .map").click(position={"x": 200, "y": 200})
    assert page.locator("#film [name=image]").input_value() != "0"


def test_the_readers_own_image_is_taken_and_others_files_are_not(visit, tmp_path):
    page = visit()
    buffer = io.BytesIO()
    Image.new("RGB", (300, 200), (20, 120, 220)).save(buffer, "png")
    files = [{"name": "sea.png", "mimeType": "image/png", "buffer": buffer.getvalue()}]
    page.set_input_files("#first input[type=file]", files)
    page.wait_for_function("() => document.querySelector('#blend .says').textContent.includes('your own image')")
    pixel = page.evaluate(
        "() => [...document.querySelector('.first canvas').getContext('2d').getImageData(9,9,1,1).data]"
    )
    assert pixel == [20, 120, 220, 255]
    page.set_input_files("#first input[type=file]", [{"name": "no.png", "mimeType": "image/png", "buffer": b"no"}])
    page.wait_for_function("() => document.querySelector('#first .problem').textContent.includes('no image')")


@pytest.mark.parametrize("viewport", [SCREEN, PHONE], ids=["screen", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_in_either_theme(visit, artifacts, viewport, scheme):
    page = visit(viewport, color_scheme=scheme)
    page.wait_for_timeout(1500)
    page.screenshot(path=artifacts / f"site, {viewport['width']} px, {scheme}.png", full_page=True)
    assert page.evaluate(WIDE) == []
    paper = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 200) == (scheme == "dark")


def test_a_browser_without_webassembly_says_so(browser, address):
    context = browser.new_context()
    context.add_init_script("delete globalThis.WebAssembly")
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("body[data-state=failed]", timeout=60_000)
    assert "could not be started in this browser" in page.locator("#problem").text_content()
    context.close()
