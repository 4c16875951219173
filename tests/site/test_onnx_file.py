"""ONNX files written without the package onnx: their encoding here, what they compute in the browser's tests."""

import pytest
import torch
from torch import nn

from mixviz.build import build_method
from mixviz.config import RunConfig
from mixviz.encoders import Normalise
from mixviz.errors import UserError
from mixviz.site.onnx_file import FLOAT, FLOAT16, Graph, message, to_onnx, varint


@pytest.fixture
def embedder():
    """Makes an encoder with random weights."""

    def make(**settings):
        random = torch.Generator().manual_seed(0)
        mean, std = torch.rand((2, 3, 1, 1), generator=random) + 0.1
        config = RunConfig.of(framework="n-pair", dim=8, hidden=16, dtype="float32", **settings)
        return build_method(config, (3, 16, 16), Normalise(mean, std)).framework.online.eval()

    return make


@pytest.mark.parametrize(("value", "coded"), [(0, "00"), (127, "7f"), (300, "ac02"), (2**21, "80808001")])
def test_varints_are_those_of_protocol_buffers(value, coded):
    assert varint(value).hex() == coded


def test_fields_are_those_of_protocol_buffers():
    assert message(1, 150) == b"\x08\x96\x01"
    assert message(2, "testing") == b"\x12\x07testing"
    assert message(2, 1.0) == b"\x15\x00\x00\x80\x3f"


def test_weights_are_halves_only_if_that_loses_nothing():
    graph = Graph()
    graph.weight(torch.tensor([0.5, 1.0]))
    graph.weight(torch.tensor([0.1, 1.0]))
    kinds = [message(2, kind) in weight for weight, kind in zip(graph.weights, (FLOAT16, FLOAT), strict=True)]
    assert kinds == [True, True]
    assert len(graph.nodes) == 1  # one of them is cast


def test_an_unknown_layer_and_branches_are_refused(embedder):
    with pytest.raises(UserError, match="cannot have a GELU: take a convnet"):
        Graph().layer(nn.GELU(), "inputs")
    with pytest.raises(UserError, match=r"LooC\+\+"):
        to_onnx(embedder(mixing=["looc"], looc_plus_plus=True), ("all", "color"), (3, 16, 16))


@pytest.mark.parametrize("settings", [{}, {"mixing": ["looc"]}], ids=["one head", "two heads"])
def test_an_onnx_runtime_computes_what_the_encoder_does(embedder, settings):
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'mixviz[export]'")
    from mixviz.analysis.heads import heads

    made = embedder(**settings)
    names = ("all", "color")[: made.spaces]
    images = torch.rand((3, 3, 16, 16), generator=torch.Generator().manual_seed(1))
    session = onnxruntime.InferenceSession(to_onnx(made, names, (3, 16, 16)), providers=["CPUExecutionProvider"])
    found = session.run(None, {"inputs": images.numpy()})
    for given, wanted in zip(found, heads(made, images, names).values(), strict=True):
        torch.testing.assert_close(torch.from_numpy(given), wanted, atol=1e-5, rtol=0)
