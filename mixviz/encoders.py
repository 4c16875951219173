"""Encoders: backbones, heads, and the embedder that joins them; BatchNorm that can be split as if over devices."""

import copy
import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from types import FunctionType
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mixviz.errors import UserError, unknown
from mixviz.model_zoo import is_of_library, network

Norm = Callable[[int], nn.Module]  # channels -> BatchNorm
Backbone = Callable[[Norm, tuple[int, ...]], nn.Module]  # (n, *shape) -> (n, F)


class Normalise(nn.Module):
    """inputs (n, ...) -> (inputs - mean) / std.

    mean, std: of the training data, of a shape that broadcasts with an input. memory_format: of the result.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor, memory_format: torch.memory_format = torch.contiguous_format):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.memory_format = memory_format

    def forward(self, inputs: Tensor) -> Tensor:
        return ((inputs - self.mean) / self.std).contiguous(memory_format=self.memory_format)


class Embedder(nn.Module):
    """inputs -> normalise -> backbone -> one projector for each embedding space: (n, H, D), not of unit length.

    normalise:  (n, ...) -> (n, ...), with statistics of the training data.
    backbone:   (n, ...) -> (n, F).
    projectors: one for each embedding space, (n, F) -> (n, D).
    branches:   LooC++: a last stage for each space, put behind the backbone's trunk.
    dtype:      in which backbone and projectors compute; weights, statistics and outputs stay float32.
    """

    def __init__(
        self,
        normalise: nn.Module,
        backbone: nn.Module,
        projectors: Sequence["Head"],
        branches: Sequence[nn.Module] = (),
        bn_splits: int = 1,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        self.normalise, self.backbone = normalise, backbone
        self.projectors, self.branches = nn.ModuleList(projectors), nn.ModuleList(branches)
        self.bn_splits, self.dtype = bn_splits, dtype
        self.spaces, self.dim, self.hidden = len(projectors), projectors[0].dim, projectors[0].hidden
        self.to(memory_format=torch.channels_last)
        self.register_load_state_dict_pre_hook(_rename_statistics)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, ...) -> (n, H, D)."""
        with self._autocast(inputs):
            features = self._features(inputs)
            return torch.stack([head(part) for head, part in zip(self.projectors, features, strict=True)], dim=1)

    def features(self, inputs: Tensor) -> Tensor:
        """(n, ...) -> (n, F) float32, what evaluations read: the backbone's output, LooC++: all branches'."""
        with self._autocast(inputs):
            features = self._features(inputs)
        return (torch.cat(features, dim=1) if self.branches else features[0]).float()

    def _features(self, inputs: Tensor) -> list[Tensor]:
        """One (n, F) for each space; the same tensor for all if there are no branches. Raises UserError."""
        if not inputs.is_floating_point():
            raise UserError(f"an encoder takes floats, images in [0, 1], and not {inputs.dtype}: divide bytes by 255")
        features = self.backbone(self.normalise(inputs))
        return [branch(features) for branch in self.branches] or [features] * self.spaces

    def _autocast(self, inputs: Tensor) -> torch.autocast:
        return torch.autocast(inputs.device.type, self.dtype, enabled=self.dtype != torch.float32)


def _rename_statistics(embedder: Embedder, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Let an embedder load states of older runs, which have ``mean`` and ``std`` of the images as its own buffers."""
    for name in ("mean", "std"):
        if prefix + name in state:
            state[f"{prefix}normalise.{name}"] = state.pop(prefix + name)


class SpaceWise(nn.Module):
    """One module for each embedding space, side by side: (n, H, D) -> (n, H, D); BYOL's predictor."""

    def __init__(self, modules: Sequence[nn.Module], dtype: torch.dtype = torch.float32):
        super().__init__()
        self.spaces, self.dtype = nn.ModuleList(modules), dtype

    def forward(self, embeddings: Tensor) -> Tensor:
        with torch.autocast(embeddings.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return torch.stack([module(embeddings[:, h]) for h, module in enumerate(self.spaces)], dim=1)


def convnet(norm: Norm, shape: tuple[int, ...], width: float = 1.0) -> nn.Sequential:
    """The laptop's backbone of (n, C, H, W): four 3x3 convolutions, 0.41 M parameters, 256 features.

    It halves the image at once and keeps the last stage at 4x4: of five architectures tried, the fastest on a CPU and
    the most accurate. width: a factor to all channels.
    """
    widths = (shape[0], *(round(width * channels) for channels in (64, 64, 128, 256)))
    strides = (2, 2, 2, 1 if max(shape[1:]) <= 40 else 2)

    def stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
        conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        return nn.Sequential(conv, norm(outputs), nn.ReLU(inplace=True))

    stages = [stage(i, o, s) for i, o, s in zip(widths[:-1], widths[1:], strides, strict=True)]
    return nn.Sequential(*stages, global_pool())


def residual(name: str, norm: Norm, shape: tuple[int, ...]) -> nn.Sequential:
    """torchvision's ResNet; up to 64 px with a 3x3 stem of stride 1 and without max-pool, as is usual on CIFAR."""
    from torchvision.models import resnet  # slow to import

    net = getattr(resnet, name)(norm_layer=norm)
    stem = [net.conv1, net.bn1, net.relu, net.maxpool]
    if max(shape[1:]) <= 64:
        stem = [_conv(shape[0], 3), net.bn1, net.relu]
    elif shape[0] != 3:
        stem[0] = _conv(shape[0], 7, stride=2)
    return nn.Sequential(nn.Sequential(*stem), net.layer1, net.layer2, net.layer3, net.layer4, global_pool())


def _conv(channels: int, size: int, stride: int = 1) -> nn.Conv2d:
    """The first convolution of a ResNet, initialised as torchvision does."""
    conv = nn.Conv2d(channels, 64, size, stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def vit_tiny(norm: Norm, shape: tuple[int, ...]) -> nn.Module:
    """ViT-Tiny (DeiT-Ti, arXiv:2012.12877) of (n, 3, H, H): 12 layers of 3 heads, 192 features; torchvision's.

    Patches are of 16 px on 224 px, and of 4 px or more on small images: at most 14 x 14 of them. Raises UserError.
    """
    from torchvision.models import VisionTransformer  # slow to import

    size = shape[-1]
    patch = next((p for p in range(max(4, -(-size // 14)), size // 2 + 1) if size % p == 0), None)
    if patch is None:
        raise UserError(f"vit-tiny cannot cut {size} px into equal patches: give --image-size {max(8, size // 4 * 4)}")
    net = VisionTransformer(size, patch, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768)
    net.heads = nn.Sequential()
    return net


def global_pool() -> nn.Sequential:
    """(n, F, h, w) -> (n, F)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


BACKBONES: dict[str, Backbone] = {  # of images
    "convnet": convnet,
    "convnet-narrow": partial(convnet, width=0.5),
    "resnet18": partial(residual, "resnet18"),
    "resnet34": partial(residual, "resnet34"),
    "resnet50": partial(residual, "resnet50"),
}
IMAGE_BACKBONES: dict[str, Backbone] = BACKBONES | {"vit-tiny": vit_tiny}
WIDE = ("convnet",)  # backbones with a width


def build_backbone(
    name: str,
    shape: tuple[int, ...],
    bn_splits: int = 1,
    backbones: Mapping[str, Backbone] = IMAGE_BACKBONES,
    width: float = 1.0,
) -> nn.Module:
    """A backbone by name, of a library as ``torchvision:NAME`` or ``timm:NAME``, or your own by import path.

    Your own is ``package.module:Class``, called without arguments. That imports and runs code: for a run folder, only
    if it is trusted (``Run.config_on``).

    shape: of one input. backbones: the known ones by name, by default those of images. width: a factor to the
    channels of those in ``WIDE``.
    Weights come from torch's global generator: seed it around the call. Raises UserError.
    """
    if name in backbones:
        norm = SplitBatchNorm1d if len(shape) == 1 else SplitBatchNorm2d
        make: Callable[..., nn.Module] = backbones[name]
        return make(partial(norm, splits=bn_splits), shape, **({"width": width} if name in WIDE else {}))
    if is_of_library(name):
        return _with_splits(network(name, shape), bn_splits, name)
    if not is_code(name):
        raise unknown("backbone", name, [*backbones, "torchvision:NAME", "timm:NAME", "package.module:Class"])
    module, _, attribute = name.partition(":")
    try:
        made_by = getattr(importlib.import_module(module), attribute)
        if not _makes_modules(made_by, module):
            raise TypeError("it is neither a subclass of torch.nn.Module nor a function of that package")
        backbone = made_by()
    except (Exception, SystemExit) as error:
        raise UserError(f"cannot make the backbone {name!r}: {type(error).__name__}: {error}") from error
    if not isinstance(backbone, nn.Module):
        raise UserError(f"the backbone {name!r} is a {type(backbone).__name__}: make it a torch.nn.Module")
    return backbone


def is_code(backbone: str) -> bool:
    """Whether a backbone is named by import path."""
    return ":" in backbone and not is_of_library(backbone)


def _with_splits(backbone: nn.Module, splits: int, name: str) -> nn.Module:
    """The backbone with BatchNorm split over parts of the batch. Raises UserError for an unknown kind of BatchNorm."""
    norms: list[Any] = [layer for layer in backbone.modules() if isinstance(layer, _BatchNorm)]
    for layer in norms if splits > 1 else []:
        if type(layer) not in SPLIT:
            raise UserError(f"the {type(layer).__name__} of {name} cannot be split: give --bn-splits 1")
        layer.__class__, layer.splits = SPLIT[type(layer)], splits
    return backbone


def _makes_modules(called: Any, module: str) -> bool:
    """Whether calling it may make a backbone: a class of modules, or a function defined in the same package."""
    if isinstance(called, type):
        return issubclass(called, nn.Module)
    package = module.partition(".")[0]
    return isinstance(called, FunctionType) and called.__module__.partition(".")[0] == package


def feature_dim(backbone: nn.Module, shape: tuple[int, ...]) -> int:
    """F of a backbone (n, *shape) -> (n, F), from a forward pass. Raises UserError."""
    training = backbone.training
    try:
        with torch.no_grad():
            features = backbone.eval()(torch.zeros(2, *shape))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the backbone does not take inputs of {' x '.join(map(str, shape))}: {reason}") from error
    finally:
        backbone.train(training)
    if features.dim() != 2:
        raise UserError(f"the backbone gives features of shape {tuple(features.shape)}: make them (n, F)")
    return features.shape[1]


def split_last_stage(backbone: nn.Module, spaces: int) -> tuple[nn.Module, list[nn.Module]]:
    """LooC++: the trunk, and one copy of the last stage, pooling included, for each space. Raises UserError."""
    if not isinstance(backbone, nn.Sequential) or len(backbone) < 3:
        raise UserError("LooC++ needs a backbone that is an nn.Sequential and ends with its last stage and pooling")
    return backbone[:-2], [copy.deepcopy(backbone[-2:]) for _ in range(spaces)]


class MaxOut(nn.Module):
    """The largest of each ``pieces`` consecutive numbers, (n, pieces * F) -> (n, F) (Goodfellow et al. 2013)."""

    def __init__(self, pieces: int):
        super().__init__()
        self.pieces = pieces

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.unflatten(1, (-1, self.pieces)).amax(dim=2)


def mlp(norm: Norm, shape: tuple[int, ...], width: int = 256) -> nn.Sequential:
    """i-Mix's backbone of rows (arXiv:2010.08887), (n, F) -> (n, width): five layers, the last one max-out of 4 pieces.

    The authors' is 2,048 wide, behind one linear layer of 64 units for each kind of column, which is left out here.
    """
    widths = (*shape, width, width, 2 * width, 2 * width)
    layers = [
        nn.Sequential(nn.Linear(inputs, outputs, bias=False), norm(outputs), nn.ReLU(inplace=True))
        for inputs, outputs in pairwise(widths)
    ]
    return nn.Sequential(*layers, nn.Linear(2 * width, 4 * width), MaxOut(4))


HeadKind = Literal["linear", "mlp", "mlpbn1", "mlpbn"]
HEADS: tuple[HeadKind, ...] = get_args(HeadKind)
NO_HEADS = "of this recording the backbone alone was kept: take one with heads, see `recordings list`"


class Head(nn.Sequential):
    """A projector or predictor, (n, inputs) -> (n, dim).

    linear: one layer (MoCo). mlp: two layers with ReLU (MoCo-v2, SimCLR). mlpbn1: BatchNorm before the ReLU
    (BYOL). mlpbn: BatchNorm after both layers (N-pair in i-Mix). Raises UserError.
    """

    def __init__(self, kind: HeadKind, inputs: int, hidden: int, dim: int, bn_splits: int = 1):
        if kind not in HEADS:
            raise unknown("head", kind, HEADS)
        if kind == "linear":
            super().__init__(nn.Linear(inputs, dim))
        else:
            between = [SplitBatchNorm1d(hidden, splits=bn_splits)] if kind != "mlp" else []
            after = [SplitBatchNorm1d(dim, splits=bn_splits)] if kind == "mlpbn" else []
            super().__init__(nn.Linear(inputs, hidden), *between, nn.ReLU(), nn.Linear(hidden, dim), *after)
        self.dim, self.hidden = dim, dim if kind == "linear" else hidden


class NoHead(nn.Module):
    """In place of a projector whose weights were not kept."""

    def forward(self, features: Tensor) -> Tensor:
        raise UserError(NO_HEADS)


class SplitBatchNorm1d(nn.BatchNorm1d):
    """BatchNorm over (n, F), each of several equal parts of the batch with its own statistics; see split_batch_norm."""

    def __init__(self, features: int, splits: int = 1):
        super().__init__(features)
        self.splits = splits

    def forward(self, inputs: Tensor) -> Tensor:
        return split_batch_norm(self, inputs) if self.training and self.splits > 1 else super().forward(inputs)


class SplitBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm over (n, C, H, W), each of several parts of the batch with its own statistics; see split_batch_norm."""

    def __init__(self, features: int, splits: int = 1):
        super().__init__(features)
        self.splits = splits

    def forward(self, inputs: Tensor) -> Tensor:
        return split_batch_norm(self, inputs) if self.training and self.splits > 1 else super().forward(inputs)


SPLIT = {nn.BatchNorm1d: SplitBatchNorm1d, nn.BatchNorm2d: SplitBatchNorm2d}


def split_batch_norm(layer: SplitBatchNorm1d | SplitBatchNorm2d, inputs: Tensor) -> Tensor:
    """Normalise consecutive parts of the batch separately, as if each were on its own device.

    On one device a MoCo encoder can infer from the batch's statistics which key belongs to which query; shuffling the
    batch does not help, since the statistics stay the same. The running statistics take all parts in turn, with a
    momentum such that one batch counts as much as without splits.
    """
    assert layer.momentum is not None
    assert layer.num_batches_tracked is not None
    momentum = 1 - (1 - layer.momentum) ** (1 / layer.splits)
    layer.num_batches_tracked.add_(1)
    parts = [
        F.batch_norm(part, layer.running_mean, layer.running_var, layer.weight, layer.bias, True, momentum, layer.eps)
        for part in inputs.tensor_split(layer.splits)
    ]
    return torch.cat(parts)


@torch.no_grad()
def recompute_statistics(embedder: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace every BatchNorm's running statistics by the mean statistics of these batches, (n, *shape) each.

    Training leaves statistics of its inputs, including blends and augmented images; evaluation uses them on clean
    images. Weights and mode do not change.
    """
    norms: list[Any] = [layer for layer in embedder.modules() if isinstance(layer, _BatchNorm)]
    before = [(layer.momentum, getattr(layer, "splits", 1)) for layer in norms]
    training = embedder.training
    embedder.train()
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum, layer.splits = None, 1  # None: a plain mean over the batches
    for images in batches:
        embedder(images)
    for layer, (momentum, splits) in zip(norms, before, strict=True):
        layer.momentum, layer.splits = momentum, splits
    embedder.train(training)


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 if the device computes it fast, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    has_bf16 = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return torch.bfloat16 if device.type == "cpu" and has_bf16 else torch.float32
