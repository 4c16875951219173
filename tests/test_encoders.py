"""Encoders: shapes, split BatchNorm against separate batches, heads, own backbones, computing dtype."""

import copy
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mixviz.build import build_embedder
from mixviz.config import RunConfig
from mixviz.encoders import (
    BACKBONES,
    Embedder,
    Head,
    Normalise,
    SplitBatchNorm1d,
    SplitBatchNorm2d,
    build_backbone,
    fast_dtype,
    feature_dim,
    mlp,
    recompute_statistics,
    split_last_stage,
)
from mixviz.errors import UserError
from mixviz.model_zoo import published_weights


class OwnBackbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3 * 16 * 16, 5)

    def forward(self, images):
        return self.layer(images.flatten(1))


def not_a_module():
    return 3


def breaks():
    raise OSError("no weights")


def embedder_of(backbone, features, spaces=1, **arguments):
    heads = [Head("mlp", features, features, 8) for _ in range(spaces)]
    return Embedder(arguments.pop("normalise", nn.Identity()), backbone, heads, **arguments)


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("convnet", 256),
        ("resnet18", 512),
        ("resnet34", 512),
        ("resnet50", 2048),
        ("vit-tiny", 192),
        ("torchvision:resnet18", 512),
        ("torchvision:mobilenet_v3_small", 1024),
    ],
)
def test_feature_dim(name, features):
    assert feature_dim(build_backbone(name, (3, 32, 32)), (3, 32, 32)) == features


@pytest.mark.parametrize("image_size", [28, 32, 48, 64, 96])
def test_convnet_takes_any_size(image_size):
    assert feature_dim(build_backbone("convnet", (3, image_size, image_size)), (3, image_size, image_size)) == 256


def test_convnet_is_of_laptop_size():
    parameters = sum(p.numel() for p in build_backbone("convnet", (3, 32, 32)).parameters())
    assert 0.2e6 < parameters < 0.45e6


def test_a_width_multiplies_the_channels_of_convnet():
    assert feature_dim(build_backbone("convnet", (3, 32, 32), width=1.5), (3, 32, 32)) == 384
    narrow, half = build_backbone("convnet-narrow", (3, 32, 32)), build_backbone("convnet", (3, 32, 32), width=0.5)
    assert [p.shape for p in narrow.parameters()] == [p.shape for p in half.parameters()]
    config = RunConfig.of(width=0.5)
    assert build_embedder(config, (3, 32, 32)).backbone[0][0].weight.shape[0] == 32


@pytest.mark.parametrize(("size", "patches"), [(16, 4), (28, 7), (32, 8), (64, 8), (96, 12), (224, 14)])
def test_vit_tiny_cuts_any_size_that_has_equal_patches(size, patches):
    net = build_backbone("vit-tiny", (3, size, size))
    assert net.encoder.pos_embedding.shape == (1, patches**2 + 1, 192)
    assert 5e6 < sum(p.numel() for p in net.parameters()) < 6e6


def test_a_network_of_a_library_has_its_names_and_split_batch_norm():
    net = build_backbone("torchvision:resnet18", (3, 32, 32), bn_splits=2)
    models = pytest.importorskip("torchvision").models
    assert net.state_dict().keys() == {k for k in models.resnet18().state_dict() if not k.startswith("fc.")}
    norms = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert {(type(layer), layer.splits) for layer in norms} == {(SplitBatchNorm2d, 2)}
    images = torch.randn(8, 3, 32, 32)
    plain = build_backbone("torchvision:resnet18", (3, 32, 32))
    plain.load_state_dict(net.state_dict())
    halves = torch.cat([plain(part) for part in images.split(4)])
    torch.testing.assert_close(net(images), halves, rtol=1e-4, atol=1e-4)


def test_timm_by_name():
    pytest.importorskip("timm")
    assert feature_dim(build_backbone("timm:resnet18", (3, 32, 32), bn_splits=2), (3, 32, 32)) == 512
    assert feature_dim(build_backbone("timm:vit_tiny_patch16_224", (3, 64, 64)), (3, 64, 64)) == 192
    with pytest.raises(UserError, match="cannot be split: give --bn-splits 1"):
        build_backbone("timm:efficientnet_b0", (3, 32, 32), bn_splits=2)
    with pytest.raises(UserError, match="did you mean 'resnet18"):
        build_backbone("timm:resnet18x", (3, 32, 32))


def test_a_missing_timm_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"^timm is missing: pip install 'mixviz\[encoders\]'$"):
        build_backbone("timm:resnet18", (3, 32, 32))


def test_published_weights_are_those_of_the_library_and_refused_if_they_cannot_be_had(monkeypatch):
    models = pytest.importorskip("torchvision").models
    published = models.resnet18()

    def get_model(name, weights, **settings):
        if weights is None:
            return models.resnet18()
        if name == "resnet34":
            raise OSError("no route to host")
        return copy.deepcopy(published)

    monkeypatch.setattr(models, "get_model", get_model)
    found = published_weights("torchvision:resnet18", (3, 32, 32))
    assert all(torch.equal(found[name], published.state_dict()[name]) for name in found)
    assert len(found) == len(published.state_dict()) - 2
    for name, message in [("torchvision:resnet34", "no route to host"), ("resnet18", "--init published is for")]:
        with pytest.raises(UserError, match=message) as caught:
            published_weights(name, (3, 32, 32))
        assert "\n" not in str(caught.value)


def test_resnet_stem_keeps_small_images_large():
    small, large = build_backbone("resnet18", (3, 64, 64)), build_backbone("resnet18", (3, 96, 96))
    images = torch.zeros(1, 3, 64, 64)
    assert small[0](images).shape[2:] == (64, 64)
    assert large[0](images).shape[2:] == (16, 16)


def test_backbones_end_with_a_stage_and_pooling():
    for name in BACKBONES:
        trunk, stages = split_last_stage(build_backbone(name, (3, 32, 32)), spaces=3)
        features = trunk.eval()(torch.zeros(2, 3, 32, 32))
        assert features.dim() == 4
        assert [stage.eval()(features).dim() for stage in stages] == [2, 2, 2]


def test_own_backbone_by_import_path():
    backbone = build_backbone(f"{__name__}:OwnBackbone", (3, 16, 16))
    assert feature_dim(backbone, (3, 16, 16)) == 5
    with pytest.raises(UserError, match="does not take inputs of 3 x 32 x 32"):
        feature_dim(backbone, (3, 32, 32))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet19", "did you mean 'resnet18'"),
        ("no_such_module:Net", "No module named"),
        (f"{__name__}:Nothing", "no attribute 'Nothing'"),
        (f"{__name__}:not_a_module", "is a int: make it a torch.nn.Module"),
        (f"{__name__}:breaks", "no weights"),
        ("torchvision:resnet19", "unknown network of torchvision 'resnet19': did you mean 'resnet18'"),
        ("torchvision:squeezenet1_0", "does not end with a linear classifier"),
    ],
)
def test_backbones_that_cannot_be_made(name, message):
    with pytest.raises(UserError, match=message) as caught:
        build_backbone(name, (3, 32, 32))
    assert "\n" not in str(caught.value)


def test_shapes_that_a_network_cannot_take_are_refused():
    with pytest.raises(UserError, match="37 px into equal patches: give --image-size 36"):
        build_backbone("vit-tiny", (3, 37, 37))
    with pytest.raises(UserError, match="torchvision:resnet18 is for images"):
        build_backbone("torchvision:resnet18", (64,))
    with pytest.raises(UserError, match="does not take inputs of 1 x 32 x 20"):
        feature_dim(build_backbone("torchvision:resnet18", (1, 32, 20)), (1, 32, 20))


def test_features_that_are_no_vectors_are_refused():
    with pytest.raises(UserError, match=r"make them \(n, F\)"):
        feature_dim(nn.Conv2d(3, 4, 3), (3, 16, 16))


@pytest.mark.parametrize("kind", ["linear", "mlp", "mlpbn1", "mlpbn"])
def test_heads(kind):
    layers = [type(layer).__name__ for layer in Head(kind, 6, 7, 4)]
    expected = {
        "linear": ["Linear"],
        "mlp": ["Linear", "ReLU", "Linear"],
        "mlpbn1": ["Linear", "SplitBatchNorm1d", "ReLU", "Linear"],
        "mlpbn": ["Linear", "SplitBatchNorm1d", "ReLU", "Linear", "SplitBatchNorm1d"],
    }
    assert layers == expected[kind]
    made = Head(kind, 6, 7, 4)
    assert made(torch.randn(5, 6)).shape == (5, 4)
    assert (made.dim, made.hidden) == (4, 4 if kind == "linear" else 7)


@pytest.mark.parametrize("splits", [2, 4])
@pytest.mark.parametrize("shape", [(8, 3), (8, 3, 5, 5)])
def test_split_batch_norm_treats_parts_apart(splits, shape):
    layer = (SplitBatchNorm1d if len(shape) == 2 else SplitBatchNorm2d)(3, splits=splits).double()
    inputs = torch.randn(shape, dtype=torch.float64) * 3 + 1
    parts = [F.batch_norm(part, None, None, training=True) for part in inputs.chunk(splits)]
    torch.testing.assert_close(layer(inputs), torch.cat(parts))


def test_split_batch_norm_takes_uneven_parts():
    layer = SplitBatchNorm1d(3, splits=4)
    inputs = torch.randn(10, 3)
    parts = [F.batch_norm(part, None, None, training=True) for part in inputs.tensor_split(4)]
    torch.testing.assert_close(layer(inputs), torch.cat(parts))


def test_split_running_statistics_follow_those_without_splits():
    """The same data in every part, so that order does not matter: one step counts as one step."""
    part = torch.randn(16, 3, 4, 4, dtype=torch.float64)
    split, whole = SplitBatchNorm2d(3, splits=4).double(), nn.BatchNorm2d(3).double()
    for _ in range(3):
        split(part.repeat(4, 1, 1, 1))
        whole(part)
    torch.testing.assert_close(split.running_mean, whole.running_mean)
    torch.testing.assert_close(split.running_var, whole.running_var)
    assert split.num_batches_tracked == 3
    images = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(split.eval()(images), whole.eval()(images))


def test_embedder_normalises_and_embeds_each_space():
    mean, std = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1), torch.tensor([1.0, 2.0, 4.0]).view(3, 1, 1)
    embedder = embedder_of(OwnBackbone(), 5, spaces=3, normalise=Normalise(mean, std, torch.channels_last))
    images = torch.rand(4, 3, 16, 16)
    normalised = (images - mean) / std
    assert embedder.normalise(images).is_contiguous(memory_format=torch.channels_last)
    features = embedder.backbone(normalised)
    torch.testing.assert_close(embedder.features(images), features)
    expected = torch.stack([projector(features) for projector in embedder.projectors], dim=1)
    torch.testing.assert_close(embedder(images), expected)
    assert (embedder.spaces, embedder.dim, embedder.hidden, embedder.device) == (3, 8, 5, torch.device("cpu"))
    with pytest.raises(UserError, match=r"floats, images in \[0, 1\], and not torch.uint8: divide bytes by 255"):
        embedder.features((255 * images).byte())


def test_states_of_older_runs_name_the_statistics_otherwise():
    """They are loaded into a momentum encoder, a copy, as well."""
    mean, std = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1), torch.tensor([1.0, 2.0, 4.0]).view(3, 1, 1)
    online = embedder_of(OwnBackbone(), 5, normalise=Normalise(torch.zeros_like(mean), torch.ones_like(std)))
    older = {name: tensor for name, tensor in online.state_dict().items() if not name.startswith("normalise")}
    older |= {"mean": mean, "std": std}
    both = nn.ModuleDict({"online": online, "target": copy.deepcopy(online)})
    both.load_state_dict({f"{part}.{name}": tensor for part in both for name, tensor in older.items()})
    for embedder in both.values():
        torch.testing.assert_close(embedder.normalise.mean, mean)
        torch.testing.assert_close(embedder.normalise.std, std)


def test_branches_give_each_space_its_own_features():
    trunk, branches = split_last_stage(build_backbone("convnet", (3, 32, 32)), spaces=2)
    embedder = embedder_of(trunk, 256, spaces=2, branches=branches).eval()
    with torch.no_grad():
        branches[1][0][0].weight.mul_(-1)
    images = torch.rand(2, 3, 32, 32)
    features = embedder.features(images)
    assert features.shape == (2, 512)
    assert not torch.allclose(features[:, :256], features[:, 256:])
    torch.testing.assert_close(embedder(images)[:, 1], embedder.projectors[1](features[:, 256:]))


def test_bfloat16_gives_float32_features_close_to_float32():
    torch.manual_seed(0)
    embedder = embedder_of(build_backbone("convnet", (3, 32, 32)), 256).eval()
    images = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        exact = embedder.features(images)
        embedder.dtype = torch.bfloat16
        rounded = embedder.features(images)
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05 * float(exact.abs().max()))


def test_fast_dtype_is_one_that_the_device_has():
    assert fast_dtype(torch.device("cpu")) in (torch.float32, torch.bfloat16)


def test_recomputed_statistics_are_those_of_the_images_and_nothing_else_changes():
    torch.manual_seed(0)
    embedder = build_embedder(RunConfig.of(bn_splits=2, projector="mlpbn", dtype="float32", device="cpu"), (3, 16, 16))
    before = {name: tensor.clone() for name, tensor in embedder.state_dict().items()}
    images = torch.rand(96, 3, 16, 16)
    embedder.eval()
    recompute_statistics(embedder, images.split(48))
    assert not embedder.training
    first = embedder.backbone[0]
    inside = first[0](embedder.normalise(images))
    torch.testing.assert_close(first[1].running_mean, inside.mean(dim=(0, 2, 3)))
    parts = torch.stack([part.var(dim=(0, 2, 3)) for part in inside.split(48)])
    torch.testing.assert_close(first[1].running_var, parts.mean(dim=0))
    changed = {name for name, tensor in embedder.state_dict().items() if not torch.equal(tensor, before[name])}
    assert all(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in changed)
    assert (first[1].momentum, first[1].splits) == (0.1, 2)


def test_mlp_is_five_layers_the_last_of_them_max_out():
    backbone = mlp(SplitBatchNorm1d, (54,), width=2048)
    sizes = [tuple(layer.weight.shape[::-1]) for layer in backbone.modules() if isinstance(layer, nn.Linear)]
    assert sizes == [(54, 2048), (2048, 2048), (2048, 4096), (4096, 4096), (4096, 8192)]
    small = mlp(SplitBatchNorm1d, (7,), width=12).eval()
    rows = torch.randn(5, 7)
    last = small[:-1](rows)
    assert last.shape == (5, 48)
    assert torch.equal(
        small(rows), torch.stack([last[:, 4 * i : 4 * i + 4].max(dim=1).values for i in range(12)], dim=1)
    )


def test_mlp_ends_with_a_stage_that_spaces_can_have_of_their_own():
    trunk, branches = split_last_stage(mlp(SplitBatchNorm1d, (7,), width=12), spaces=2)
    assert [branch(trunk(torch.randn(4, 7))).shape for branch in branches] == [(4, 12), (4, 12)]
