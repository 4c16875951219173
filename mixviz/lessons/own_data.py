"""Exercises of notebook 09, and an example of your own mixing."""

import torch
from torch import Generator, Tensor

from mixviz.build import fixed_generator
from mixviz.lessons.exercise import Exercise
from mixviz.lessons.question import Question
from mixviz.mixing import Mixing
from mixviz.terms import Query


class Halves(Mixing):
    """Queries whose right half is another image's, so that each should match two keys, half each: an example."""

    slot = "queries"

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """(n,) the image from which each takes its right half."""
        return torch.randperm(n, generator=generator)

    def queries(self, view: Tensor, draw: Tensor) -> list[Query]:
        middle = view.shape[3] // 2
        pasted = torch.cat([view[..., :middle], view[draw][..., middle:]], dim=3)
        own = torch.eye(len(view))
        return [Query(inputs=pasted, targets=(own + own[draw]) / 2, mixed=True, candidates="batch")]


def _images_seen(images: int, held_out: int, batch: int, epochs: int) -> int:
    return (images - held_out) // batch * batch * epochs


def _held_out_too(images: int, held_out: int, batch: int, epochs: int) -> int:
    return _images_seen(images, 0, batch, epochs)


def _rest_too(images: int, held_out: int, batch: int, epochs: int) -> int:
    return (images - held_out) * epochs


def _one_epoch(images: int, held_out: int, batch: int, epochs: int) -> int:
    return _images_seen(images, held_out, batch, 1)


def _steps(images: int, held_out: int, batch: int, epochs: int) -> int:
    return (images - held_out) // batch * epochs


images_seen = Exercise(
    name="images_seen",
    solution=_images_seen,
    wrong={
        "the images that the monitor queries with are held out: they are not trained on.": _held_out_too,
        "a batch that is not full is left out: round down to whole batches.": _rest_too,
        "every epoch sees them again: multiply by the epochs.": _one_epoch,
        "that is the number of steps: each takes a batch of images.": _steps,
    },
    cases=((800, 80, 64, 3), (10_000, 1000, 128, 6), (100, 0, 100, 1)),
    why="Divided by images/s this is what the panel's bar counts down.",
)


def _pooled(maps: Tensor) -> Tensor:
    return maps.mean(dim=(2, 3))


def _flattened(maps: Tensor) -> Tensor:
    return maps.flatten(1)


def _over_channels(maps: Tensor) -> Tensor:
    return maps.mean(dim=1).flatten(1)


def _summed(maps: Tensor) -> Tensor:
    return maps.sum(dim=(2, 3))


def _one_number(maps: Tensor) -> Tensor:
    return maps.mean(dim=(1, 2, 3))


def _maps(*shape: int) -> Tensor:
    return torch.rand(shape, generator=fixed_generator())


pooled = Exercise(
    name="pooled",
    solution=_pooled,
    wrong={
        "that keeps every position separate, so F depends on the image's size: average over the positions.": _flattened,
        "average over the positions (height and width), not over the channels.": _over_channels,
        "a sum grows with the image's size: take the mean.": _summed,
        "one feature for each channel must be left: (n, F).": _one_number,
    },
    cases=((_maps(2, 5, 4, 3),), (_maps(3, 4, 2, 2),)),
    why="Any nn.Module that takes (n, 3, H, W) and gives (n, F) can be trained.",
)


def _targets(partner: list[int]) -> Tensor:
    own = torch.eye(len(partner))
    return (own + own[partner]) / 2


def _whole_images(partner: list[int]) -> Tensor:
    return 2 * _targets(partner)


def _own_alone(partner: list[int]) -> Tensor:
    return torch.eye(len(partner))


def _partner_alone(partner: list[int]) -> Tensor:
    return torch.eye(len(partner))[partner]


def _transposed(partner: list[int]) -> Tensor:
    return _targets(partner).T


halves = Exercise(
    name="halves",
    solution=_targets,
    wrong={
        "a row of targets sums to one: each half weighs one half.": _whole_images,
        "the right half is the partner's: its key is a target too.": _own_alone,
        "the left half is the image's own: its own key is a target too.": _partner_alone,
        "rows are queries, columns are keys: row i has its partner's column.": _transposed,
    },
    cases=(([1, 2, 0],), ([0, 3, 1, 2],), ([1, 0],)),
    why="This is all that a mixing at the query slot has to define: its inputs, and what they should match.",
)


higher = Question(
    text="After three epochs, will the loss with MixCo be higher or lower than without?",
    why="Losses of two methods have different terms, so don't compare them. The other two curves can be compared: how "
    "often a query's own key ranks first, and kNN among images that were held out of train. Test images are not used "
    "for any of them.",
    options=("Lower: blends are further examples.", "Higher: there is one more term."),
)

after_seconds = Question(
    text="After so short a training, how often is a linear probe right on test images?",
    why="A few dozen steps are not enough: the random features of an untrained convolutional network are a strong "
    "baseline, and training first has to get past them.",
    unit="%",
    given="untrained",
)

QUESTIONS = (higher, after_seconds)
EXERCISES = (images_seen, pooled, halves)
