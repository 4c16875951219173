"""Views: what is shared and what is not, runs in pairs with the same draws, determinism, and what is refused."""

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import pytest
import torch

from mixviz.augment import (
    Augmentation,
    ColorJitter,
    GaussianBlur,
    HorizontalFlip,
    Parameters,
    RandomGrayscale,
    RandomRotation90,
    RandomTexture,
    build_augmentation,
    make_views,
    to_float,
)
from mixviz.augment.operation import Operation, Shape, apply_to_marked, bernoulli
from mixviz.errors import UserError

ALL = build_augmentation(32, rotation=0.6, texture=0.5)
GROUPS = ("crop", "flip", "rotation", "texture", "color", "blur")


def images(n: int = 24, size: int = 32, seed: int = 7) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same(a: Parameters, b: Parameters) -> bool:
    return all(torch.equal(getattr(a, field.name), getattr(b, field.name)) for field in fields(a))


def test_groups_are_those_that_are_switched_on():
    assert ALL.groups == GROUPS
    assert build_augmentation(32).groups == ("crop", "flip", "color", "blur")
    assert build_augmentation(32, jitter_p=0, flip=0, blur=0).groups == ("crop", "color")
    assert build_augmentation(32, jitter=(0, 0, 0, 0), grayscale=0).groups == ("crop", "flip", "blur")


def test_settings_reach_the_operations():
    augmentation = build_augmentation(
        24, crop_scale=(0.5, 0.9), crop_ratio=(1.0, 1.0), flip=0.1, jitter=(0.1, 0.2, 0.3, 0.05), jitter_p=0.6,
        grayscale=0.3, blur=0.7, blur_sigma=(0.2, 0.4), rotation=0.25, texture=0.35,
    )  # fmt: skip
    operation = {operation.name: operation for operation in augmentation.operations}
    assert (operation["crop"].size, operation["crop"].scale, operation["crop"].ratio) == (24, (0.5, 0.9), (1.0, 1.0))
    assert operation["jitter"] == ColorJitter(brightness=0.1, contrast=0.2, saturation=0.3, hue=0.05, p=0.6)
    assert operation["blur"].sigma == (0.2, 0.4)
    chances = {"flip": 0.1, "grayscale": 0.3, "blur": 0.7, "rotation": 0.25, "texture": 0.35}
    assert {name: operation[name].p for name in chances} == chances


def test_apply_is_one_operation_after_the_other():
    pictures, draw = images(), ALL.sample(24, (3, 32, 32), seeded())
    expected = pictures
    for operation in ALL.operations:
        expected = operation.apply(expected, draw[operation.name])
    assert torch.equal(ALL.apply(pictures, draw), expected)


def test_images_do_not_depend_on_their_batch(monkeypatch):
    pictures, draw = images(), ALL.sample(24, (3, 32, 32), seeded())
    whole = ALL.apply(pictures, draw)
    monkeypatch.setattr("mixviz.augment.views.CHUNK", 5 * 32 * 32)
    torch.testing.assert_close(ALL.apply(pictures, draw), whole, atol=1e-6, rtol=0)
    third = {name: parameters[3:4] for name, parameters in draw.items()}
    torch.testing.assert_close(ALL.apply(pictures[3:4], third), whole[3:4], atol=1e-6, rtol=0)


def test_every_view_is_the_batch_changed_by_its_own_parameters():
    pictures = images()
    for view in make_views(pictures, ALL, seeded(), (None, "rotation", "color")):
        torch.testing.assert_close(view.inputs, ALL.apply(pictures, view.parameters), atol=1e-6, rtol=0)


@pytest.mark.parametrize("group", GROUPS)
def test_key_view_copies_one_group_of_the_query(group):
    query, first, key = make_views(images(64), ALL, seeded(), (None, group))
    for operation in ALL.operations:
        name = operation.name
        assert same(query.parameters[name], key.parameters[name]) == (operation.group == group)
        assert not same(query.parameters[name], first.parameters[name])
        assert not same(key.parameters[name], first.parameters[name])


def test_what_is_shared_has_the_same_effect():
    """Where the key's other operations did nothing, as the query's, the two images are equal."""
    only_color = build_augmentation(32, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0.5, blur=0.0)
    query, first, key = make_views(images(64), only_color, seeded(), (None, "color"))
    alike = query.parameters["flip"].applied == key.parameters["flip"].applied
    assert 0 < alike.sum() < 64
    assert torch.equal(query.inputs[alike], key.inputs[alike])
    equal = (query.inputs == first.inputs).flatten(1).all(dim=1)
    assert equal.sum() < 6  # both left in their own colours, by chance


def test_sharing_all_augmentations_makes_the_query_again():
    only_color = build_augmentation(32, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0, blur=0)
    query, key = make_views(images(), only_color, seeded(), ("color",))
    assert torch.equal(query.inputs, key.inputs)


def test_rotation_of_the_negatives_differs_from_the_query():
    views = make_views(images(200, 8), build_augmentation(8, rotation=0.5), seeded(), (None, "rotation", "color"))
    query, first, rotation, color = (view.parameters["rotation"].turns for view in views)
    assert torch.equal(query, rotation)
    assert (first != query).all()
    assert (color != query).all()
    assert not torch.equal(first, color)


def test_rotation_is_free_to_agree_where_it_is_not_shared():
    views = make_views(images(200, 8), build_augmentation(8, rotation=0.5), seeded(), (None, "color"))
    query, *keys = (view.parameters["rotation"].turns for view in views)
    for key in keys:
        assert 0 < (key == query).sum() < 200


@pytest.mark.parametrize("shared", [(None, "color"), (None, "rotation", "color"), (None, "texture", "flip")])
def test_base_and_looc_draw_the_same_query_and_first_key(shared):
    """But for the angles and flips that are drawn again, in which they must differ from the query's."""
    base, looc = make_views(images(), ALL, seeded()), make_views(images(), ALL, seeded(), shared)
    assert torch.equal(base[0].inputs, looc[0].inputs)
    for operation in ALL.operations:
        name = operation.name
        assert same(base[0].parameters[name], looc[0].parameters[name])
        if not (name in ("rotation", "flip") and name in shared):
            assert same(base[1].parameters[name], looc[1].parameters[name])
    if "rotation" in shared:
        free = base[1].parameters["rotation"].turns != base[0].parameters["rotation"].turns
        assert torch.equal(base[1].inputs[free], looc[1].inputs[free])


def test_views_depend_on_the_generator_only():
    torch.manual_seed(0)
    once = make_views(images(), ALL, seeded(3), (None, "color"))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    again = make_views(images(), ALL, seeded(3), (None, "color"))
    assert torch.equal(torch.get_rng_state(), state)
    other = make_views(images(), ALL, seeded(4), (None, "color"))
    for a, b, c in zip(once, again, other, strict=True):
        assert torch.equal(a.inputs, b.inputs)
        assert not torch.equal(a.inputs, c.inputs)


def test_input_stays_as_it_is_and_results_stay_in_range():
    pictures = images().requires_grad_()
    before = pictures.detach().clone()
    for view in make_views(pictures, ALL, seeded(), (None, *GROUPS)):
        assert not view.inputs.requires_grad
        assert view.inputs.dtype == torch.float32
        assert view.inputs.is_contiguous()
        assert view.inputs.min() >= -1e-6
        assert view.inputs.max() <= 1 + 1e-6
    assert torch.equal(pictures, before)


@pytest.mark.parametrize("operation", ALL.operations, ids=lambda operation: operation.name)
def test_operations_leave_their_input_alone(operation: Operation):
    pictures = images()
    before = pictures.clone()
    operation.apply(pictures, operation.sample(24, (3, 32, 32), seeded()))
    assert torch.equal(pictures, before)


@pytest.mark.parametrize("operation", ALL.operations[1:], ids=lambda operation: operation.name)
def test_probability_of_zero_is_the_identity(operation: Operation):
    options = {field.name: getattr(operation, field.name) for field in fields(operation)}
    off, pictures = type(operation)(**options | {"p": 0.0}), images()
    assert torch.equal(off.apply(pictures, off.sample(24, (3, 32, 32), seeded())), pictures)
    assert Augmentation((off,)).groups == ()


def test_parameters_of_some_images():
    draw = ColorJitter().sample(10, (3, 8, 8), seeded())
    mask = torch.arange(10) > 6
    for part in (draw[mask], draw[7:], draw[torch.tensor([7, 8, 9])], draw.take(torch.tensor([7, 8, 9]))):
        assert isinstance(part, type(draw))
        assert len(part) == 3
        assert same(part, draw[7:])


@pytest.mark.parametrize(("group", "valid"), [("colour", "crop, flip, color, blur"), ("rotation", "crop, flip, color")])
def test_group_that_is_unknown_or_off_is_refused(group, valid):
    with pytest.raises(UserError, match=f"no augmentation '{group}'.*{valid}"):
        make_views(images(), build_augmentation(32), seeded(), (None, group))


def test_integer_images_are_refused():
    with pytest.raises(UserError, match="to_float"):
        make_views(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), ALL, seeded())


def test_probability_out_of_range_is_refused():
    with pytest.raises(UserError, match="flip must lie in"):
        build_augmentation(32, flip=1.5)


def test_to_float_moves_the_channels_to_the_front():
    pixels = torch.randint(0, 256, (5, 6, 7, 3), dtype=torch.uint8, generator=seeded())
    floats = to_float(pixels)
    assert (floats.shape, floats.dtype, floats.is_contiguous()) == ((5, 3, 6, 7), torch.float32, True)
    assert floats[4, 2, 3, 1] == pixels[4, 3, 1, 2] / 255
    assert torch.equal((floats * 255).round().to(torch.uint8), pixels.permute(0, 3, 1, 2))


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_operations_write_into_what_is_theirs_only(p):
    """Without a crop the first operations may hand on the very input; then nobody may write into it.

    Names are drawn by, so the two flips share their draw.
    """
    pictures = images(6, 16)
    early = (HorizontalFlip(p), RandomRotation90(p), RandomTexture(p=p), ColorJitter(p=p))
    augmentation = Augmentation((*early, RandomGrayscale(1.0), GaussianBlur(p=0.5), HorizontalFlip(p)))
    draw = augmentation.sample(6, (3, 16, 16), seeded())
    draw["blur"] = replace(draw["blur"], applied=torch.arange(6) % 2 == 0)
    before, expected = pictures.clone(), pictures
    for operation in augmentation.operations:
        expected = operation.apply(expected, draw[operation.name])
    assert torch.equal(augmentation.apply(pictures, draw), expected)
    assert torch.equal(pictures, before)


@dataclass(frozen=True)
class Negate(Operation):
    """Changes the sign of inputs of any shape."""

    name: ClassVar[str] = "negate"
    group: ClassVar[str] = "sign"

    p: float = 0.5

    def sample(self, n: int, shape: Shape, generator: torch.Generator) -> Parameters:
        return Parameters(applied=bernoulli(n, self.p, generator))

    def apply(self, inputs: torch.Tensor, parameters: Parameters, in_place: bool = False) -> torch.Tensor:
        return apply_to_marked(lambda part, _: -part, inputs, parameters, in_place)


@pytest.mark.parametrize("shape", [(54,), (7, 3), (1, 6, 6)])
def test_inputs_may_be_of_any_shape(shape):
    inputs = torch.rand(20, *shape, generator=seeded()) + 0.1
    query, key, same_sign = make_views(inputs, Augmentation((Negate(),)), seeded(), (None, "sign"))
    for view in (query, key, same_sign):
        signs = torch.where(view.parameters["negate"].applied, -1.0, 1.0).view(-1, *[1] * len(shape))
        assert torch.equal(view.inputs, inputs * signs)
    assert torch.equal(same_sign.inputs, query.inputs)
    assert not torch.equal(key.inputs, query.inputs)
