"""The protocols by name, and making one from a name and options."""

from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from mixviz.errors import UserError, unknown
from mixviz.evaluate.augmented import LinearAugmented, LinearOnline
from mixviz.evaluate.base import Protocol, Readout
from mixviz.evaluate.fewshot import LinearFewLabels, LinearFewShot
from mixviz.evaluate.finetuning import FineTuning
from mixviz.evaluate.retrieval import Retrieval
from mixviz.evaluate.robustness import LinearCorrupted
from mixviz.evaluate.stored import Knn, LinearFeatures, Logistic

KINDS = (
    *(LinearFeatures, Knn, LinearAugmented, LinearOnline, Logistic, LinearFewShot, LinearFewLabels, LinearCorrupted),
    *(Retrieval, FineTuning),
)
PROTOCOLS: dict[str, Protocol] = {kind.name: kind() for kind in KINDS}
DEFAULTS = ("linear-features", "knn")  # protocols that take seconds


def protocol(name: str, **options: Any) -> Protocol:
    """A protocol by name, with its options checked. Raises UserError.

    The name may carry options: ``knn:k=20,layer=head``, ``linear-features:lrs=0.1/1,solver=sgd``.
    """
    name, _, given = name.partition(":")
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    kind = type(PROTOCOLS[name])
    known = {field.name: field for field in fields(kind)}
    for option in filter(None, given.split(",")):
        key, _, value = option.partition("=")
        options[key] = value
    for key, value in options.items():
        if key not in known:
            raise unknown(f"option of {name}", key, known)
        if isinstance(value, str):
            options[key] = _parsed(value, isinstance(known[key].default, tuple))
    try:
        return TypeAdapter(kind).validate_python(options)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"][0].lower() + first["msg"][1:]
        raise UserError(f"{name}: {first['loc'][0]} {first['input']}: {message}") from error


def read_out_knn(features: Tensor, labels: Tensor, test_features: Tensor, seed: int) -> Readout:
    """Protocol ``knn`` with its defaults."""
    return PROTOCOLS["knn"](features, labels, test_features, seed)


def as_protocol(given: str | Protocol) -> Protocol:
    """A protocol as it is, or by its name. Raises UserError."""
    return given if isinstance(given, Protocol) else protocol(given)


def _parsed(text: str, several: bool) -> Any:
    """An option's text for pydantic to convert: ``none``, or parts with / between them."""
    if several:
        return tuple(text.split("/"))
    return None if text == "none" else text
