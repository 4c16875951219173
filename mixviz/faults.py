"""Where a training's numbers stop being finite: the step, the layer and the batch, found by repeating the epoch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mixviz.files import write_arrays

BATCH = "not-finite.npz"  # in the run folder


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The first step of an epoch with a number that is NaN or infinite, both counted from 0."""

    epoch: int
    step: int  # of the epoch
    place: str  # such as "the output of backbone.0"
    rows: Tensor  # (n,) of the batch in the training part of the data
    stored: Tensor  # (n, ...) the examples, before augmentation

    def save(self, folder: Path) -> None:
        """Write the batch, to look at or to compute the step again: rows, stored, epoch, step. Raises UserError."""
        arrays = {"rows": self.rows.cpu().numpy(), "stored": self.stored.cpu().numpy()}
        write_arrays(folder / BATCH, {"epoch": self.epoch, "step": self.step, **arrays})


def first_layer(module: nn.Module, forward: Callable[[], object]) -> str:
    """The first layer whose output is not finite, by its name in the module; empty if there is none.

    forward: computes with the module; what it returns is not used.
    """
    found: list[str] = []

    def watching(name: str) -> Callable[..., None]:
        def look(layer: nn.Module, inputs: Any, output: Any) -> None:
            if not found and isinstance(output, Tensor) and not output.isfinite().all():
                found.append(name)

        return look

    leaves = {name: layer for name, layer in module.named_modules() if not any(layer.children())}
    hooks = [layer.register_forward_hook(watching(name)) for name, layer in leaves.items()]
    try:
        with torch.no_grad():
            forward()
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else ""


def faulty_gradient(module: nn.Module) -> str:
    """Of the parameters whose gradient is not finite, the one that was reached first; empty if there is none."""
    names = [name for name, p in module.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    return names[-1] if names else ""


def faulty_weight(module: nn.Module) -> str:
    """The first parameter that is not finite, by name; empty if there is none."""
    return next((name for name, p in module.named_parameters() if not p.isfinite().all()), "")
