"""Exported encoders give the run's own features without mixviz, as the README says."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors import safe_open
from torch import nn

from mixviz.__main__ import main
from mixviz.build import build_method
from mixviz.config import RunConfig
from mixviz.encoder_files import export_encoder
from mixviz.encoders import Normalise
from mixviz.errors import UserError
from mixviz.runs import Run

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture
def make_run(tmp_path):
    """A run as its first epoch leaves it, and images in [0, 1]; weights and statistics are random, none is trained."""

    def make(size: int = 16, **settings) -> tuple[Run, torch.Tensor]:
        random = torch.Generator().manual_seed(0)
        mean, std = torch.rand((2, 3, 1, 1), generator=random) + 0.1
        config = RunConfig.of(framework="n-pair", dim=8, hidden=16, dtype="float32", **settings)
        method = build_method(config, (3, size, size), Normalise(mean, std))
        for name, buffer in method.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.copy_(torch.rand(buffer.shape, generator=random) + 0.5)
        run = Run.create(config, f"run-{size}", tmp_path / "runs")
        run.save_checkpoint({"epoch": 1, "shape": (3, size, size), "method": method.state_dict()})
        return run, torch.rand((3, 3, size, size), generator=random)

    return make


def features(run: Run, images: torch.Tensor) -> np.ndarray:
    return run.encoder(device="cpu").features(images).numpy()


def check_features(net: nn.Module, file: dict, run: Run, images: torch.Tensor) -> None:
    """Loaded from the exported file, the network computes the run's features."""
    net.load_state_dict(file["state_dict"])
    mean, std = (torch.tensor(file[name]).view(3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        np.testing.assert_allclose(net.eval()((images - mean) / std), features(run, images), atol=1e-4)


def snippet(word: str) -> str:
    """The README's block of code about exported encoders that contains this word."""
    section = README.read_text(encoding="utf-8").partition("### Take the encoder with you")[2].partition("\n## ")[0]
    (found,) = (block for block in re.findall("```python\n(.*?)```", section, re.DOTALL) if word in block)
    return found


def run_snippet(word: str, images, folder: Path, monkeypatch) -> np.ndarray:
    """The features that the README's block computes in the folder of the exported file."""
    monkeypatch.chdir(folder)
    names = {"images": images}
    with torch.no_grad():
        exec(snippet(word), names)
    return np.asarray(names["features"])


def test_a_convnet_by_the_readme(make_run, tmp_path, monkeypatch):
    for size in (16, 48):
        run, images = make_run(size)
        export_encoder(run, tmp_path / "encoder.pt")
        found = run_snippet("encoder.pt", images, tmp_path, monkeypatch)
        np.testing.assert_allclose(found, features(run, images), atol=1e-4)


def test_a_resnet_loads_strictly_into_torchvisions_by_the_readme(make_run, tmp_path, monkeypatch, capsys):
    run, images = make_run(backbone="resnet18")
    out = tmp_path / "encoder.safetensors"
    assert main(["export-encoder", str(run.path), "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith(f"{out}: 44.")
    found = run_snippet("torchvision", images, tmp_path, monkeypatch)
    np.testing.assert_allclose(found, features(run, images), atol=1e-4)
    with safe_open(out, "pt") as file:
        about = {name: json.loads(value) for name, value in file.metadata().items()}
    assert about["shape"] == [3, 16, 16]
    assert RunConfig.parse(about["config"]) == run.config


def test_a_resnet_loads_strictly_into_timms(make_run, tmp_path):
    timm = pytest.importorskip("timm")
    run, images = make_run(backbone="resnet18")
    file = torch.load(export_encoder(run, tmp_path / "encoder.pt"), weights_only=True)
    net = timm.create_model("resnet18", num_classes=0)
    net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    check_features(net, file, run, images)


def test_a_resnet_of_large_images_has_torchvisions_own_stem(make_run, tmp_path):
    run, images = make_run(65, backbone="resnet18")
    file = torch.load(export_encoder(run, tmp_path / "encoder.pt"), weights_only=True)
    net = torchvision.models.resnet18()
    net.fc = nn.Identity()
    check_features(net, file, run, images)


def test_vit_tiny_and_torchvisions_networks_load_strictly_into_torchvisions(make_run, tmp_path):
    run, images = make_run(16, backbone="vit-tiny")
    net = torchvision.models.VisionTransformer(16, 4, 12, 3, 192, 768)
    net.heads = nn.Identity()
    check_features(net, torch.load(export_encoder(run, tmp_path / "vit.pt"), weights_only=True), run, images)
    run, images = make_run(32, backbone="torchvision:mobilenet_v3_small")
    net = torchvision.models.mobilenet_v3_small()
    net.classifier[3] = nn.Identity()
    check_features(net, torch.load(export_encoder(run, tmp_path / "mobile.pt"), weights_only=True), run, images)


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "efficientnet_b0"])
def test_timms_networks_load_strictly_into_timms(make_run, tmp_path, name):
    timm = pytest.importorskip("timm")
    run, images = make_run(32, backbone=f"timm:{name}")
    file = torch.load(export_encoder(run, tmp_path / "encoder.pt"), weights_only=True)
    size = {"img_size": 32} if name.startswith("vit") else {}
    check_features(timm.create_model(name, num_classes=0, **size), file, run, images)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("settings", [{}, {"mixing": ["looc"], "looc_plus_plus": True}], ids=["plain", "looc++"])
def test_onnx_by_the_readme(make_run, tmp_path, monkeypatch, settings):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    run, images = make_run(**settings)
    export_encoder(run, tmp_path / "encoder.onnx")
    for part in (images, images[:1]):
        found = run_snippet("onnxruntime", part.numpy(), tmp_path, monkeypatch)
        np.testing.assert_allclose(found, features(run, part), atol=1e-4)


def test_a_missing_package_is_one_line(make_run, tmp_path, monkeypatch):
    run, _ = make_run()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"^onnx is missing: pip install 'mixviz\[export\]'$"):
        export_encoder(run, tmp_path / "encoder.onnx")
    assert not (tmp_path / "encoder.onnx").exists()


def test_what_cannot_be_exported_is_refused(make_run, tmp_path):
    run, _ = make_run(mixing=["looc"], looc_plus_plus=True)
    with pytest.raises(UserError, match=r"LooC\+\+ run, .* take \.onnx"):
        export_encoder(run, tmp_path / "encoder.pt")
    with pytest.raises(UserError, match=r"unknown kind of file '\.h5'"):
        export_encoder(run, tmp_path / "encoder.h5")
