"""The site in a browser, opened as a file: its numbers are Python's, and it is fast, alone, and open to everyone."""

import io
import json
import re
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from firefox import FIREFOX, firefox
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
SLOWER = 8  # times that a busy one may take
SLIDERS = {
    "blend": ("share", "turn", "hue", "temperature"),
    "heads": ("turn", "hue"),
    "film": ("epoch", "image"),
    "sphere": ("temperature", "style", "seed", "around", "up"),
}
TRAINED = {"temperature", "style"}  # sliders of the sphere that change only its next step
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
CONTRAST = """(push) => {
  const playground = new mixviz.Playground(3);
  const [{ weights }, batch] = [playground, playground.batch({ style: 1, mix: true })];
  const { loss, gradients } = mixviz.contrast(weights, batch, { temperature: 0.3, push });
  const lists = (arrays) => Object.fromEntries(Object.entries(arrays).map(([name, values]) => [name, [...values]]));
  return { weights: lists(weights), batch, loss, gradients: lists(gradients) };
}"""
TRAIN = """([push, mix]) => {
  const playground = new mixviz.Playground(1);
  playground.train({ temperature: 0.2, style: 1, rate: 0.005, push, mix }, 200);
  return playground.history;
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


@pytest.fixture(scope="module")
def visit(browser, address):
    """Opens the site in a page of its own; all of them must stay without errors, and ask nobody for anything."""
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


@pytest.fixture(scope="module")
def page(visit):
    """One page for all tests that put its controls where they need them."""
    return visit()


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


def test_embeddings_are_pythons(page):
    images = clean(make_glyphs("test", images=5))
    for name, run in {"plain": PLAIN, "looc": LOOC}.items():
        found = page.evaluate(EMBED, [name, images.flatten(1).tolist()])
        for space, wanted in embeddings(run, images).items():
            np.testing.assert_allclose([each[space] for each in found], wanted, atol=TOLERANCE)


@pytest.mark.parametrize(("degrees", "hue"), [(0, 0), (90, 70), (270, -180), (35, -50)])
def test_targets_probabilities_and_loss_are_pythons(page, bank, degrees, hue):
    setting = {"share": 0.35, "turn": degrees, "hue": hue, "temperature": 0.2}
    found = settled(page, "blend", setting)
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
def test_each_heads_similarity_and_distance_are_pythons(page, bank, degrees, hue):
    found = settled(page, "heads", {"turn": degrees, "hue": hue})
    images = clean(bank)
    row = offered(bank.targets())[5]
    before, after = embeddings(LOOC, images), embeddings(LOOC, changed(images[[row]], degrees, hue))
    for space, own in before.items():
        similarity = float(after[space] @ own[row])
        others = float((own @ own[row]).sum() - 1) / (len(images) - 1)
        assert found[space]["similarity"] == pytest.approx(similarity, abs=TOLERANCE)
        assert found[space]["distance"] == pytest.approx((1 - similarity) / (1 - others), abs=2 * TOLERANCE)


def test_it_is_fast(page, measured):
    first = page.evaluate("() => performance.getEntriesByName('drawn')[0].startTime")
    measured.append(Measured("site", "film", "", "first picture", (first,)))
    assert first < SLOWER * FIRST
    for part, names in SLIDERS.items():
        for name in set(names) - (TRAINED if part == "sphere" else set()):
            times = []
            for _ in range(5):
                times.append(page.evaluate(MOVE, [part, name]))
                page.wait_for_timeout(400)
            measured.append(Measured("site", part, name, "slider", tuple(times)))
            assert np.median(times) < SLOWER * SLIDER, name


def test_it_is_used_by_keyboard_and_every_control_is_named(page):
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
    assert "Epoch 12 of 12" in page.locator("#film .says").text_content()


def test_the_film_plays_and_a_click_picks_an_image(page):
    page.evaluate(PUT, ["film", {"epoch": 0, "image": 0}])
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


@pytest.mark.parametrize("push", [True, False], ids=["pushed", "only pulled"])
def test_the_playgrounds_gradients_are_pythons(page, push):
    found = page.evaluate(CONTRAST, push)
    weights = {name: torch.tensor(values, dtype=torch.float64) for name, values in found["weights"].items()}
    for tensor in weights.values():
        tensor.requires_grad_()
    first, bias, second = weights["first"].view(32, 8), weights["bias"], weights["second"].view(3, 32)
    batch = {name: torch.tensor(values, dtype=torch.float64) for name, values in found["batch"].items()}
    queries, keys = (
        F.normalize(F.relu(batch[name] @ first.T + bias) @ second.T, dim=1) for name in ("queries", "keys")
    )
    own = torch.arange(len(queries))
    targets = torch.zeros(len(own), len(own), dtype=torch.float64)
    targets[own, own] += batch["shares"]
    targets[own, batch["partners"].long()] += 1 - batch["shares"]
    logits = queries @ keys.T
    loss = F.cross_entropy(logits / 0.3, targets) if push else -(targets * logits).sum(dim=1).mean()
    loss.backward()
    assert found["loss"] == pytest.approx(loss.item(), abs=1e-9)
    for name, tensor in weights.items():
        np.testing.assert_allclose(found["gradients"][name], tensor.grad, atol=1e-9)


def test_the_playground_learns_classes_with_and_without_blends(page):
    for mix in (False, True):
        before, after = page.evaluate(TRAIN, [True, mix])
        assert after["purity"] > before["purity"]
        assert after["uniformity"] < before["uniformity"]


def test_the_sphere_collapses_if_nothing_pushes(page):
    page.select_option("#sphere select", "pull")
    page.click("#sphere button")
    page.wait_for_function("() => document.querySelector('#sphere .says').textContent.includes('a collapse')")
    page.click("#sphere button")
    assert page.locator("#sphere button >> nth=0").text_content() == "Train"


@pytest.mark.skipif(FIREFOX is None, reason="no Firefox: install your system's firefox")
def test_firefox_computes_the_same(address, tmp_path, bank):
    pytest.importorskip("websocket", reason="no websocket-client: pip install 'mixviz[notebooks]'")
    image = clean(bank, [3])
    with firefox(tmp_path) as page:
        page.goto(address)
        while page.evaluate("document.body.dataset.state") not in ("ready", "failed"):
            time.sleep(0.1)
        for name, run in {"plain": PLAIN, "looc": LOOC}.items():
            (found,) = page.evaluate(f"({EMBED})({json.dumps([name, image.flatten(1).tolist()])})")
            for space, wanted in embeddings(run, image).items():
                np.testing.assert_allclose(found[space], wanted[0], atol=TOLERANCE)
        assert page.log == []


def test_a_browser_without_webassembly_says_so(browser, address):
    context = browser.new_context()
    context.add_init_script("delete globalThis.WebAssembly")
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("body[data-state=failed]", timeout=60_000)
    assert "could not be started in this browser" in page.locator("#problem").text_content()
    context.close()
