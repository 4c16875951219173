"""The mixing lab against its analyses asked directly: blends made by hand, embedded and compared one by one."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mixviz.errors import UserError
from mixviz.widgets import MixingLab, networks
from mixviz.widgets.mixing import RECORDED, TEMPERATURES, blend_path
from mixviz.widgets.networks import GLYPHS, GLYPHS_LOOC

PLAIN, MIXCO, IMIX = "moco-v2", "moco-v2 + mixco", "moco-v2 + imix"


@pytest.fixture(scope="module")
def lab() -> MixingLab:
    return MixingLab()


@pytest.fixture(autouse=True)
def at_rest(lab):
    if lab.values != lab.defaults:
        lab.set(**lab.defaults)


def picture(lab: MixingLab) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(bytes(lab.picture_widget.value)))).astype(int)


def image(name: str, row: int) -> torch.Tensor:
    return torch.from_numpy(networks.network(name).held_out.stored[row]).permute(2, 0, 1) / 255


def embed(name: str, *images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return F.normalize(networks.network(name).encoder(torch.stack(images)).float()[:, 0], dim=1)


def row_by_hand(name: str, query: torch.Tensor, first: int, second: int, tau: float, queue: int = 256) -> torch.Tensor:
    """Probabilities of the two keys, among the batch and the queue."""
    held = len(networks.network(name).held_out)
    keys = embed(name, *(image(name, row) for row in (first, second, *range(held - 6, held))))
    keys = torch.cat([keys, networks.network(name).bank[0][0, :queue]])
    return (embed(name, query) @ keys.T / tau).softmax(dim=1)[0, :2]


@pytest.mark.parametrize("place", [0, 2])
def test_the_row_is_the_softmax_of_a_blend_made_by_hand(lab, place):
    name = list(lab.networks)[place]
    lab.set(network=name, mixing="mixco", first=3, second=5, lam=0.3, temperature=0.2)
    blend = 0.3 * image(RECORDED[place], 6) + 0.7 * image(RECORDED[place], 11)
    found = lab.numbers()
    assert found["targets"] == pytest.approx([0.3, 0.7])
    expected = row_by_hand(RECORDED[place], blend, 6, 11, 0.2)
    assert found["probabilities"] == pytest.approx(expected.tolist(), rel=1e-3)
    cosines = embed(RECORDED[place], image(RECORDED[place], 6), image(RECORDED[place], 11)) @ embed(
        RECORDED[place], blend
    ).squeeze(0)
    assert found["cosines"] == pytest.approx(cosines.tolist(), abs=1e-4)
    assert found["share"] == pytest.approx(float(expected[0] / expected.sum()), rel=1e-3)


def test_imix_blends_as_mixco_does_and_n_pair_has_no_queue(lab):
    lab.set(mixing="mixco", lam=0.6)
    mixco = lab.numbers()
    lab.set(mixing="imix")
    assert lab.numbers()["probabilities"] == pytest.approx(mixco["probabilities"], rel=1e-4)
    lab.set(framework="n-pair")
    blend = 0.6 * image(RECORDED[0], 0) + 0.4 * image(RECORDED[0], 1)
    expected = row_by_hand(RECORDED[0], blend, 0, 1, 0.1, queue=0)
    assert lab.numbers()["probabilities"] == pytest.approx(expected.tolist(), rel=1e-3)


def test_cutmix_pastes_a_box_whose_area_is_the_second_targets(lab):
    lab.set(mixing="imix", kind="cutmix", lam=0.5, down=0.25, across=0.75)
    first, query, second = lab.result.images
    pasted = (query != first).any(dim=0) | ((query == second).all(dim=0) & (first == second).all(dim=0))
    inside = torch.zeros(16, 16, dtype=torch.bool)
    inside[0:9, 7:16] = True  # sides of 10, centre at (4, 12): cut off above and on the right
    torch.testing.assert_close(query, torch.where(inside, second, first))
    assert (pasted <= inside).all()
    assert lab.numbers()["targets"] == pytest.approx([1 - 81 / 256, 81 / 256])


def test_plain_queries_the_first_image_only(lab):
    lab.set(mixing="plain", framework="n-pair")
    assert torch.equal(lab.result.images[0], lab.result.images[1])
    assert lab.numbers()["targets"] == [1.0, 0.0]
    assert lab.controls["lam"].disabled
    expected = row_by_hand(RECORDED[0], image(RECORDED[0], 0), 0, 1, 0.1, queue=0)
    assert lab.numbers()["probabilities"] == pytest.approx(expected.tolist(), rel=1e-3)


def test_byol_has_targets_but_no_probabilities(lab):
    lab.set(framework="byol", mixing="imix")
    assert lab.numbers()["targets"] == pytest.approx([0.7, 0.3])
    assert np.isnan(lab.numbers()["probabilities"]).all()
    assert lab.result.row["candidate"].tolist() == ["first", "second"]


def curves_by_hand(name: str) -> np.ndarray:
    """(100, 11) differences of the cosines to both images, for the first 100 pairs of held-out images."""
    firsts, seconds = (torch.stack([image(name, row) for row in rows]) for rows in (range(100), range(100, 200)))
    keys = embed(name, *firsts), embed(name, *seconds)
    gaps = []
    for lam in np.linspace(0, 1, 11):
        blends = embed(name, *(float(lam) * firsts + float(1 - lam) * seconds))
        gaps.append(((blends * keys[0]).sum(dim=1) - (blends * keys[1]).sum(dim=1)).numpy())
    return np.stack(gaps, axis=1)


def error_by_hand(gaps: np.ndarray, tau: float) -> float:
    return float(np.abs(1 / (1 + np.exp(-gaps.astype(float) / tau)) - np.linspace(0, 1, 11)).mean())


def test_errors_ranges_and_best_temperatures_are_those_of_all_pairs_by_hand(lab):
    gaps = curves_by_hand(RECORDED[2])
    lab.set(temperature=0.3, lam=0.7)
    error, tau, reach = lab.numbers()[f"{IMIX}: error, τ, range"]
    assert (error, tau) == (pytest.approx(error_by_hand(gaps[1::2], 0.3), abs=1e-4), pytest.approx(0.3))
    assert reach == pytest.approx(float((gaps[:, -1] - gaps[:, 0]).mean()), abs=1e-4)
    lab.set(network=IMIX)
    share = (1 / (1 + np.exp(-gaps[1::2, 7].astype(float) / 0.3))).mean()
    assert lab.numbers()["curve"] == pytest.approx(share, abs=1e-4)
    lab.set(fitted=True)
    error, tau, _ = lab.numbers()[f"{IMIX}: error, τ, range"]
    best = min(TEMPERATURES.tolist(), key=lambda tau: error_by_hand(gaps[0::2], tau))
    assert (error, tau) == (pytest.approx(error_by_hand(gaps[1::2], best), abs=1e-4), pytest.approx(best))


def test_what_looks_calibrated_at_one_temperature_is_a_narrower_range(lab):
    """The notebook's story, on the recordings."""
    lab.set(temperature=0.1)
    plain, _, imix = (lab.numbers()[f"{name}: error, τ, range"] for name in (PLAIN, MIXCO, IMIX))
    assert imix[0] < plain[0] - 0.01
    assert imix[2] < plain[2] - 0.05
    lab.set(fitted=True)
    plain, _, imix = (lab.numbers()[f"{name}: error, τ, range"] for name in (PLAIN, MIXCO, IMIX))
    assert abs(imix[0] - plain[0]) < 0.01
    assert imix[1] < plain[1]


@pytest.mark.parametrize(
    "where",
    [
        {"mixing": "imix", "kind": "cutmix", "panel": "cosines"},
        {"framework": "byol", "fitted": True},
    ],
)
def test_every_control_moves_numbers_or_picture_or_is_unused(lab, where):
    lab.set(**where)
    numbers, before = lab.numbers(), picture(lab)
    for name, control in lab.controls.items():
        start = control.value
        options = [option[1] if isinstance(option, tuple) else option for option in getattr(control, "options", ())]
        other = next((o for o in options if o != start), None) if options else None
        if other is None:
            other = (not start) if isinstance(start, bool) else control.min if start != control.min else control.max
        control.value = other
        changed = str(lab.numbers()) != str(numbers) or (picture(lab) != before).any()
        assert not lab.problem
        control.value = start
        assert changed != lab.controls[name].disabled, name
    assert (picture(lab) == before).all()


def test_a_drive_goes_to_both_ends_of_everything(lab):
    stops = lab.set(mixing="imix", kind="cutmix").drive()
    assert all("targets [" in stop for stop in stops)
    wanted = [f"{name} {end}" for name in ("lam", "down") for end in ("0", "1" if name == "lam" else "0.9375")]
    assert {stop.split(":")[0] for stop in stops} >= {*wanted, "temperature 0.02", "temperature 1", "first 39"}


def test_curves_and_stage_are_made_once_and_sliders_only_move_over_them(lab):
    lab.set(lam=0.1)
    made, stages = blend_path.cache_info().misses, list(lab._static.values())
    for name, value in {"lam": 0.9, "first": 7, "second": 2, "temperature": 0.5}.items():
        lab.controls[name].value = value
    assert blend_path.cache_info().misses == made
    assert list(lab._static.values()) == stages


def test_a_moved_stage_shows_what_a_fresh_one_shows(lab):
    lab.set(mixing="imix", temperature=0.06, lam=0.2, first=1)
    for name, value in {"lam": 0.7, "first": 9, "temperature": 0.3}.items():
        lab.controls[name].value = value
    moved = picture(lab)
    lab._static.clear()
    lab.refresh()
    assert np.abs(moved - picture(lab)).mean() < 0.5


def test_state_goes_there_and_back(lab):
    lab.set(mixing="imix", kind="cutmix", lam=0.4, network=MIXCO, down=0.1, fitted=True, panel="cosines")
    again = MixingLab.from_state(lab.state())
    assert again.values == lab.values
    assert str(again.numbers()) == str(lab.numbers())


def test_the_caption_says_what_is_seen_and_what_replaces_it(lab):
    lab.set(mixing="mixco", lam=0.7)
    share = lab.numbers()["share"]
    assert f"Of the two, {PLAIN} gives {share:.2f} to the first" in lab.caption()
    assert "0.70 on the first image's key, 0.30 on the second's" in lab.caption()
    assert "trained on CIFAR-10 (JPEG), which is not on this machine: glyphs replace it" in lab.caption()


@pytest.mark.parametrize(("name", "framework"), [(GLYPHS, "moco-v2"), (GLYPHS_LOOC, "n-pair")])
def test_one_run_of_ones_own(name, framework):
    own = MixingLab(name, framework=framework)
    assert not own.problem
    assert own.controls["network"].disabled
    assert "glyphs replace" not in own.caption()
    assert list(own.numbers())[-1] == f"{networks.find(name).config.method.name}: error, τ, range"


def test_networks_of_one_name_are_distinguished_by_their_runs():
    own = MixingLab([GLYPHS, RECORDED[0]])
    assert list(own.networks) == [f"moco-v2 ({GLYPHS})", f"moco-v2 ({RECORDED[0]})"]


def test_bad_input_is_one_clear_line(monkeypatch):
    with pytest.raises(UserError, match="glyphs-moco-v3"):
        MixingLab("glyphs-moco-v3")
    glyphs = networks.network(GLYPHS)
    few = replace(glyphs, sets=replace(glyphs.sets, data=glyphs.sets.data.model_copy(update={"holdout": 5})))
    monkeypatch.setattr(networks, "network", lambda run: few)
    with pytest.raises(UserError, match="holds out 5 images, 8 are needed"):
        MixingLab(GLYPHS)


def test_a_pair_without_meaning_is_reported_in_the_pictures_place():
    own = MixingLab(GLYPHS_LOOC, framework="byol")
    assert "LooC needs negatives" in own.problem
    own.set(framework="n-pair")
    assert not own.problem
