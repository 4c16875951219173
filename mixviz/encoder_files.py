"""A run's encoder as a file that is used without mixviz.

``.safetensors``, ``.pt``   the backbone's weights, with the entries of ``about``: mean, std, shape, ...
``.onnx``                   inputs -> features, normalisation included, for a batch of any size

Weights of a ResNet have torchvision's names, which are timm's too, and load strictly once its classifier is gone. For
images of up to 64 px the stem is a 3x3 convolution of stride 1 without max-pool:

    net = torchvision.models.resnet18()  # or timm.create_model("resnet18", num_classes=0)
    net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()  # only up to 64 px
    net.fc = nn.Identity()
    net.load_state_dict(safetensors.torch.load_file("encoder.safetensors"))
    features = net.eval()((images - mean) / std)

Weights of ``torchvision:NAME`` and ``timm:NAME`` load strictly into the network of that name, in torchvision once its
last linear layer is an ``nn.Identity()``, in timm with ``num_classes=0``, both made for the size of the images. Those
of ``vit-tiny`` load strictly into torchvision's

    net = torchvision.models.VisionTransformer(32, 4, 12, 3, 192, 768)  # px of images and of patches
    net.heads = nn.Identity()

Weights of a ``convnet`` (of ``--width`` 1) load strictly into

    def stage(i, o, stride):
        return nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU())

    net = nn.Sequential(stage(3, 64, 2), stage(64, 64, 2), stage(64, 128, 2), stage(128, 256, 1))  # over 40 px 2, not 1
    net.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))

Inputs are images (n, 3, H, W) in [0, 1], rows as the readers of tables standardise them, or log-mel spectrograms.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import mixviz
from mixviz.encoders import Embedder, Normalise
from mixviz.errors import UserError, unknown
from mixviz.files import write_whole
from mixviz.pretrained import find
from mixviz.runs import Run

SUFFIXES = (".safetensors", ".pt", ".onnx")


def export_encoder(run: Run | str | Path, path: str | Path) -> Path:
    """Write the encoder of a run or recording, in the format of the path's suffix. Raises UserError.

    LooC++ has a last stage for each space, so it can only be written as .onnx.

    >>> file = export_encoder("glyphs-moco-v2-seed1", "encoder.pt")
    >>> sorted(torch.load(file, weights_only=True))[:4]
    ['backbone', 'config', 'mean', 'mixviz']
    """
    run, path = find(run), Path(path)
    writers: dict[str, Callable[[Run, Embedder, Path], None]] = dict(
        zip(SUFFIXES, (_write_safetensors, _write_pt, _write_onnx), strict=True)
    )
    if path.suffix not in writers:
        raise unknown("kind of file", path.suffix or path.name, SUFFIXES)
    embedder = run.encoder(device="cpu")
    write_whole(path, lambda part: writers[path.suffix](run, embedder, part))
    return path


def about(run: Run, embedder: Embedder) -> dict[str, Any]:
    """What a reader of the weights needs: backbone, shape of an input, mean and std of its channels, and the config.

    mean and std have one value for each channel of images and each mel band of sounds; they are None for rows, which
    are not normalised.
    """
    normalise = embedder.normalise if isinstance(embedder.normalise, Normalise) else None
    return {
        "backbone": run.config.encoder.backbone,
        "shape": list(run.shape),
        "mean": None if normalise is None else normalise.mean.flatten().tolist(),
        "std": None if normalise is None else normalise.std.flatten().tolist(),
        "config": run.config.model_dump(mode="json"),
        "mixviz": mixviz.__version__,
    }


def portable_weights(run: Run, embedder: Embedder) -> dict[str, Tensor]:
    """The backbone's state, a ResNet's with torchvision's names. Raises UserError for LooC++."""
    if embedder.branches:
        raise UserError(f"{run.name} is a LooC++ run, with a last stage for each space: take .onnx")
    state = embedder.backbone.state_dict()
    if run.config.encoder.backbone.startswith("resnet"):
        stem = {"0.0.": "conv1.", "0.1.": "bn1."}
        names = stem | {f"{i}.": f"layer{i}." for i in range(1, 5)}
        state = {_renamed(name, names): value for name, value in state.items()}
    return {name: value.contiguous() for name, value in state.items()}


def _renamed(name: str, prefixes: dict[str, str]) -> str:
    old = next(prefix for prefix in prefixes if name.startswith(prefix))
    return prefixes[old] + name.removeprefix(old)


def _write_safetensors(run: Run, embedder: Embedder, part: Path) -> None:
    """Metadata can only be text, so each value is written as JSON."""
    from safetensors.torch import save_file

    metadata = {name: json.dumps(value) for name, value in about(run, embedder).items()}
    save_file(portable_weights(run, embedder), part, metadata)


def _write_pt(run: Run, embedder: Embedder, part: Path) -> None:
    """A dictionary with ``state_dict``, for ``torch.load(..., weights_only=True)``."""
    with part.open("wb") as file:
        torch.save({"state_dict": portable_weights(run, embedder)} | about(run, embedder), file)


class _Features(nn.Module):
    """inputs (n, ...) -> features (n, F), computed in float32, whatever the run's dtype."""

    def __init__(self, embedder: Embedder):
        super().__init__()
        self.normalise, self.backbone, self.branches = embedder.normalise, embedder.backbone, embedder.branches

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.backbone(self.normalise(inputs))
        return torch.cat([branch(features) for branch in self.branches], dim=1) if self.branches else features


def _write_onnx(run: Run, embedder: Embedder, part: Path) -> None:
    """Raises UserError if a package is missing."""
    try:
        import onnx  # noqa: F401  # pyright: ignore[reportMissingImports]
        import onnxscript  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(f"{error.name} is missing: pip install 'mixviz[export]'") from error
    torch.onnx.export(
        _Features(embedder).eval(),
        (torch.zeros(2, *run.shape),),
        part,
        input_names=["inputs"],
        output_names=["features"],
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
