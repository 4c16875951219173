"""The microscope shows the candidates that the core makes of the same network, query and queue."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Generator

from mixviz.analysis.hardness import hardness, of_own_class
from mixviz.analysis.query_candidates import NEGATIVE, OWN_KEY, TOWARDS
from mixviz.analysis.targets import contrast_table
from mixviz.errors import UserError
from mixviz.mixing import MoCHi
from mixviz.widgets import HardnessMicroscope
from mixviz.widgets.hardness import QUERIES
from mixviz.widgets.networks import GLYPHS, network


@pytest.fixture(scope="module")
def microscope() -> HardnessMicroscope:
    return HardnessMicroscope()


@pytest.fixture(autouse=True)
def as_at_first(microscope):
    microscope.set(**microscope.defaults)


def picture(microscope) -> bytes:
    return bytes(microscope.picture_widget.value)


def core(oracle=False, hardest=64, temperature=0.2, queue=2048):
    """The method that embeds the images anew, and its only term."""
    glyphs = network(GLYPHS)
    mixing = MoCHi(hardest=hardest, pairs=64, towards_query=8)
    method = glyphs.method("moco-v2", mixing, temperature=temperature, queue_length=queue, oracle=oracle)
    labels = torch.as_tensor(glyphs.held_out.labels[:QUERIES])
    views = glyphs.views(list(range(QUERIES)))
    return method, method.terms(views, Generator().manual_seed(1), labels)[0], labels


@pytest.mark.parametrize(("oracle", "hardest", "temperature"), [(False, 64, 0.2), (True, 16, 0.06)])
def test_shares_and_rates_are_those_of_the_core(microscope, oracle, hardest, temperature):
    microscope.set(query=5, oracle=oracle, hardest=hardest, temperature=temperature)
    method, term, labels = core(oracle, hardest, temperature)
    table = contrast_table(method.framework, term)
    found = microscope.result.candidates
    columns = torch.tensor(found["column"].to_numpy())
    np.testing.assert_allclose(found["similarity"], table.similarities[5][columns], atol=1e-5)
    np.testing.assert_allclose(found["gradient_share"], table.gradient_share[5][columns], atol=1e-5)
    assert found["gradient_share"].sum() == pytest.approx(1, abs=1e-5)
    candidates = method.framework.candidates(term)
    same = of_own_class(method.framework, term, candidates, labels)
    rate = float(hardness(candidates, 16, hardest, same).false_negatives.mean())
    assert microscope.numbers()["false among N"] == pytest.approx(rate, abs=1e-5)


def test_rows_of_the_bank_are_the_images_of_its_keys(microscope):
    glyphs = network(GLYPHS)
    assert len(microscope.bank) == len(glyphs.bank[1]) == 2048
    np.testing.assert_array_equal(microscope.bank.labels, glyphs.bank[1].numpy())
    np.testing.assert_array_equal(microscope.bank.stored[7], glyphs.train.stored[glyphs.bank_rows[7]])


def test_the_hardest_negative_in_the_list_is_the_image_of_the_nearest_key(microscope):
    microscope.set(query=2)
    glyphs = network(GLYPHS)
    nearest = int((glyphs.bank[0][0] @ microscope.embedded[0][2]).argmax())
    np.testing.assert_allclose(microscope._images()[1][0], microscope.bank.stored[nearest] / 255)
    np.testing.assert_allclose(microscope._images()[0][0], microscope.views[0][2].permute(1, 2, 0))
    assert [len(images) for images in microscope._images().values()] == [2] + [1] * 6 + [2] * 4 + [1] * 3


def test_distance_from_the_middle_is_the_angle_to_the_query(microscope):
    cosines = np.cos(np.radians(np.linalg.norm(microscope.result.layout, axis=1)))
    np.testing.assert_allclose(cosines, microscope.result.candidates["similarity"], atol=1e-4)


@pytest.mark.parametrize("name", ["query", "hardest", "pairs", "towards", "temperature", "queue", "oracle"])
def test_every_control_moves_the_numbers_and_the_picture_at_both_ends(microscope, name):
    control = microscope.controls[name]
    stops = [option[1] for option in control.options] if hasattr(control, "options") else None
    if stops is None:
        stops = [False, True] if isinstance(control.value, bool) else [control.min, control.max]
    seen = []
    for stop in (stops[0], stops[-1]):
        control.value = stop
        assert not microscope.problem
        seen.append((microscope.numbers(), picture(microscope)))
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] != seen[1][1]


def test_the_oracle_leaves_none_of_the_own_class(microscope):
    assert microscope.numbers()["false among N"] > 0
    microscope.set(oracle=True)
    assert microscope.numbers()["false among N"] == 0
    assert microscope.result.pushes["false"].sum() == 0


def test_a_sharper_temperature_gives_the_hardest_more(microscope):
    shares = [microscope.set(temperature=t).result.candidates["gradient_share"].iloc[0] for t in (1.0, 0.2, 0.06)]
    assert shares[0] < shares[1] < shares[2]


def test_without_mixtures_it_is_moco(microscope):
    microscope.set(pairs=0, towards=0)
    assert microscope.result.pushes.index.tolist() == [OWN_KEY, NEGATIVE]
    assert microscope.controls["hardest"].disabled
    assert TOWARDS not in microscope.caption()


def test_the_sentence_shares_out_the_gradient(microscope):
    pushes = microscope.result.pushes["gradient_share"]
    assert f"pulled by its key with {pushes[OWN_KEY]:.0%} of the gradient" in microscope.caption()
    assert f"{pushes[NEGATIVE]:.0%} by real negatives" in microscope.caption()


def test_too_few_negatives_for_n_are_one_clear_line(microscope):
    microscope.set(queue=512, hardest=256, oracle=True)
    assert not microscope.problem
    with pytest.raises(UserError, match="unknown queue"):
        microscope.set(queue=300)


def test_state_goes_there_and_back(microscope):
    microscope.set(query=9, temperature=0.1, oracle=True, pairs=0)
    again = HardnessMicroscope.from_state(microscope.state())
    assert again.values == microscope.values
    assert again.numbers() == microscope.numbers()


def test_without_labels_nothing_is_called_false(monkeypatch):
    from mixviz.widgets import networks

    glyphs = network(GLYPHS)
    unlabelled = replace(glyphs.sets, all_train=replace(glyphs.sets.all_train, labels=None))
    bare = replace(glyphs, sets=unlabelled)
    monkeypatch.setattr(networks, "network", lambda run: bare)
    microscope = HardnessMicroscope()
    assert microscope.controls["oracle"].disabled
    assert "false among N" not in microscope.numbers()
    assert "own class" not in microscope.caption()
    assert microscope.result.candidates["false"].isna().all()
    nothing = replace(glyphs.sets, data=glyphs.sets.data.model_copy(update={"holdout": 0}))
    monkeypatch.setattr(networks, "network", lambda run: replace(glyphs, sets=nothing))
    with pytest.raises(UserError, match="holdout"):
        HardnessMicroscope()


def test_an_encoder_with_more_spaces_is_asked_in_its_first():
    looc = HardnessMicroscope("glyphs-n-pair+looc-turned-seed1")
    assert not looc.problem
    assert looc.result.pushes.loc[OWN_KEY, "gradient_share"] == pytest.approx(0.5, abs=1e-4)


def test_a_training_image_meets_its_own_keys_and_a_held_out_one_none(microscope):
    assert not microscope.own_images.any()
    assert "own image" not in microscope.caption()
    trained = HardnessMicroscope(trained=True, query=3, queue=512)
    found = trained.result.candidates
    real = found[(found["kind"] == NEGATIVE) & (found["own_image"] > 0)]
    assert real["first"].tolist() == [3]
    assert real["false"].tolist() == [1]
    view, key = trained.embedded[0][3], trained.network.bank[0][0, 3]
    assert float(real["similarity"].iloc[0]) == pytest.approx(float(view @ key), abs=1e-5)
    share = trained.result.pushes["own_image"].sum()
    assert trained.numbers()["own image: gradient"] == pytest.approx(share)
    assert share > 0
    assert f"{share:.0%} come from keys of its own image" in trained.caption()
    assert "held-out" not in trained.controls["query"].tooltip
    trained.set(oracle=True)
    assert trained.result.pushes["own_image"].sum() == 0


def test_an_exact_copy_of_a_held_out_image_is_its_own_image(monkeypatch):
    from mixviz.widgets import networks

    glyphs = network(GLYPHS)
    stored = np.array(glyphs.sets.all_train.stored)
    rows = np.setdiff1d(np.arange(len(stored)), glyphs.sets.held_rows)
    stored[rows[glyphs.bank_rows[9]]] = glyphs.held_out.stored[2]
    copied = replace(glyphs, sets=replace(glyphs.sets, all_train=replace(glyphs.sets.all_train, stored=stored)))
    monkeypatch.setattr(networks, "network", lambda run: copied)
    own = HardnessMicroscope().own_images
    assert own.nonzero().tolist() == [[2, 9]]
