"""Every field of the config has a control that can be moved, and whose every stop the config takes."""

import ipywidgets
import pytest

from mixviz.config import RunConfig, flags
from mixviz.encoders import BACKBONES
from mixviz.errors import UserError
from mixviz.widgets.controls import choices, stops
from mixviz.widgets.fields import DEFAULT, as_line, coerce, control_of, setting

FLAGS = {flag.name: flag for flag in flags()}
DATA = {None: "glyphs", "image": "glyphs", "audio": "tones", "tabular": "digits"}  # by the domain of a flag
TOGETHER = {"batch_size": {"bn_splits": 1}, "bn_splits": {"batch_size": 1024}}  # what a value needs beside it


@pytest.mark.parametrize("name", FLAGS)
def test_the_control_is_at_the_default(name):
    flag = FLAGS[name]
    data = {"data": DATA[flag.domain]}
    assert RunConfig.of(**data | {name: setting(flag, control_of(flag).value)}) == RunConfig.of(**data)
    assert control_of(flag).tooltip == flag.field.description


@pytest.mark.parametrize("name", FLAGS)
def test_the_config_takes_every_stop(name):
    flag = FLAGS[name]
    control = control_of(flag)
    for stop in stops(control):
        value = setting(flag, stop)
        data = {"data": DATA[flag.domain]}
        found = RunConfig.of(**data | {name: value} | TOGETHER.get(name, {})).flat()[name]
        assert value is None or found == value


def test_the_kind_of_control_follows_from_the_field():
    kinds = {name: type(control_of(flag)) for name, flag in FLAGS.items()}
    assert kinds["flip"] is kinds["hue"] is kinds["decay_factor"] is ipywidgets.FloatSlider
    assert kinds["epochs"] is kinds["lr"] is kinds["mochi_pairs"] is ipywidgets.SelectionSlider
    assert kinds["projector"] is kinds["symmetric"] is kinds["framework"] is ipywidgets.Dropdown
    assert kinds["oracle"] is ipywidgets.Checkbox
    assert kinds["data"] is kinds["backbone"] is kinds["decay_epochs"] is ipywidgets.Combobox


def test_bounds_that_are_left_out_are_no_ends():
    control = control_of(FLAGS["crop_min"])
    assert control.min > 0
    assert control.max == 1
    assert control_of(FLAGS["sgd_momentum"]).max < 1
    assert max(choices(control_of(FLAGS["momentum"]))[1:]) < 1


def test_own_words_are_taken_next_to_those_suggested():
    control = control_of(FLAGS["backbone"])
    assert list(control.options)[: len(BACKBONES)] == list(BACKBONES)
    control.value = coerce(FLAGS["backbone"], control, "package.module:Class")
    assert control.value == "package.module:Class"


def test_steps_get_one_more_where_a_value_is_between():
    control = control_of(FLAGS["lr"])
    control.value = coerce(FLAGS["lr"], control, "0.07")
    assert control.value == 0.07
    rungs = choices(control)
    assert rungs[0] == DEFAULT
    assert rungs[1:] == sorted(rungs[1:])
    assert coerce(FLAGS["lr"], control, None) == DEFAULT


@pytest.mark.parametrize(("name", "value"), [("lr", -1), ("epochs", "many"), ("mochi_hardest", 1), ("dtype", "int8")])
def test_values_that_cannot_be_are_refused_in_a_line(name, value):
    with pytest.raises(UserError, match=rf"^{name} .*: .*$"):
        coerce(FLAGS[name], control_of(FLAGS[name]), value)


def test_several_words_are_written_in_a_line():
    assert (as_line((60, 80)), as_line("glyphs"), as_line(None)) == ("60 80", "glyphs", "")
    assert setting(FLAGS["looc_left_out"], "color rotation") == ("color", "rotation")
    assert setting(FLAGS["decay_epochs"], as_line((60, 80))) == ("60", "80")
    assert setting(FLAGS["data_name"], "") is None
