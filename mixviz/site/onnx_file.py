"""A convnet and its heads as the bytes of an ONNX file, without the package onnx, whose exporter the site would need.

Only what these networks consist of is written. Field numbers are those of ``onnx.proto`` (https://onnx.ai). Weights
that float16 holds exactly, as recordings keep them, are stored so and cast when the file is opened.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from mixviz.analysis.heads import BACKBONE
from mixviz.encoders import Embedder, Normalise
from mixviz.errors import UserError

IR_VERSION, OPSET = 8, 17
FLOAT, FLOAT16 = 1, 10  # TensorProto.DataType
Value = int | float | bytes | str


def to_onnx(embedder: Embedder, names: Sequence[str], shape: tuple[int, ...]) -> bytes:
    """``inputs`` (n, *shape) -> ``backbone`` (n, F) and one (n, D) for each of ``names``, all rows of unit length.

    names: of the embedding spaces, as from ``head_names``. Raises UserError for layers that are not a convnet's.
    """
    graph = Graph()
    normalise = embedder.normalise
    assert isinstance(normalise, Normalise)
    if embedder.branches:
        raise UserError("a LooC++ encoder, with a last stage for each space, is not written for the site")
    flat = graph.node("Sub", "inputs", graph.weight(normalise.mean[None]))
    flat = graph.node("Div", flat, graph.weight(normalise.std[None]))
    features = graph.layer(embedder.backbone, flat)
    found = {BACKBONE: features}
    found |= {name: graph.layer(head, features) for name, head in zip(names, embedder.projectors, strict=True)}
    for name, value in found.items():
        graph.node("LpNormalization", value, output=name, axis=1, p=2)
    outputs = b"".join(message(12, tensor_type(name)) for name in found)
    inputs = message(11, tensor_type("inputs", shape))
    body = b"".join(graph.nodes) + message(2, "network") + b"".join(graph.weights) + inputs + outputs
    return message(1, IR_VERSION) + message(2, "mixviz") + message(7, body) + message(8, message(2, OPSET))


@dataclass
class Graph:
    """Nodes and weights in the order of computation; every value has the number of its node as its name."""

    nodes: list[bytes] = field(default_factory=list)
    weights: list[bytes] = field(default_factory=list)

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: int | float | Sequence[int]) -> str:
        """Add an operation; the name of its result."""
        output = output or f"value{len(self.nodes)}"
        names = b"".join(message(1, name) for name in inputs) + message(2, output)
        given = b"".join(message(5, attribute(name, value)) for name, value in attributes.items())
        self.nodes.append(message(1, names + message(4, kind) + given))
        return output

    def weight(self, values: Tensor) -> str:
        """Add a constant; the name of its float32 value."""
        values = values.detach()
        half = values.to(torch.float16)
        exact = bool((half.float() == values).all())
        array = (half if exact else values.float()).numpy()
        name = f"weight{len(self.weights)}"
        dims = b"".join(message(1, size) for size in array.shape)
        raw = np.ascontiguousarray(array).tobytes()
        kind = FLOAT16 if exact else FLOAT
        self.weights.append(message(5, dims + message(2, kind) + message(8, name) + message(9, raw)))
        return self.node("Cast", name, to=FLOAT) if exact else name

    def layer(self, module: nn.Module, value: str) -> str:
        """Add a layer, or several in a row; the name of its result. Raises UserError for one that is unknown."""
        if isinstance(module, nn.Sequential):
            for part in module:
                value = self.layer(part, value)
            return value
        if isinstance(module, nn.Conv2d):
            (across, down), (up, left) = module.stride, map(int, module.padding)
            weights = self.weight(module.weight)
            return self.node("Conv", value, weights, strides=[across, down], pads=[up, left, up, left])
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            parts = (getattr(module, name) for name in ("weight", "bias", "running_mean", "running_var"))
            return self.node("BatchNormalization", value, *map(self.weight, parts), epsilon=module.eps)
        if isinstance(module, nn.Linear):
            return self.node("Gemm", value, self.weight(module.weight), self.weight(module.bias), transB=1)
        simple = {nn.ReLU: "Relu", nn.AdaptiveAvgPool2d: "GlobalAveragePool", nn.Flatten: "Flatten"}
        if type(module) not in simple:
            raise UserError(f"the site's network cannot have a {type(module).__name__}: take a convnet")
        return self.node(simple[type(module)], value)


def attribute(name: str, value: int | float | Sequence[int]) -> bytes:
    """An AttributeProto: a float, an integer or several."""
    if isinstance(value, float):
        return message(1, name) + message(2, value) + message(20, 1)
    if isinstance(value, int):
        return message(1, name) + message(3, value) + message(20, 2)
    return message(1, name) + b"".join(message(8, each) for each in value) + message(20, 7)


def tensor_type(name: str, shape: tuple[int, ...] = ()) -> bytes:
    """A ValueInfoProto of float32 numbers, of any number of rows; without a shape, of any shape."""
    sizes = b"".join(message(1, message(1, size)) for size in shape)
    known = message(2, message(1, message(2, "n")) + sizes) if shape else b""
    return message(1, name) + message(2, message(1, message(1, FLOAT) + known))


def message(number: int, value: Value) -> bytes:
    """One field of a protocol buffer: an integer as a varint, a float in 4 bytes, anything else after its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else bytes(value)
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
