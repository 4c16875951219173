"""The button that fetches the images that a network was trained on."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from cifar import published
from torchvision.datasets import CIFAR10

from mixviz.widgets import HardnessMicroscope, networks
from mixviz.widgets.fetching import FetchButton, fetch_buttons
from mixviz.widgets.networks import GLYPHS, network

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
LABELS = np.arange(20) % 10


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "data"))


def test_a_click_fetches_and_networks_are_loaded_anew(tmp_path, monkeypatch):
    button, before = FetchButton("cifar10"), network(GLYPHS)
    with published(tmp_path, monkeypatch, IMAGES, LABELS):
        button.button.click()
    assert "cifar10 is here: run this cell again" in button.status.value
    assert (tmp_path / "data" / "datasets" / CIFAR10.base_folder / "train").exists()
    assert network(GLYPHS) is not before
    assert button.button.disabled


def test_in_a_notebook_the_kernel_stays_free_meanwhile(tmp_path, monkeypatch):
    async def click() -> str:
        button = FetchButton("cifar10")
        button.button.click()
        said = button.status.value
        assert button._task is not None
        await button._task
        assert "is here" in button.status.value
        return said

    with published(tmp_path, monkeypatch, IMAGES, LABELS):
        assert "fetching cifar10: 32 px, 10 classes" in asyncio.run(click())


def test_without_a_network_it_says_why_and_can_be_pressed_again(monkeypatch):
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    button = FetchButton("cifar10")
    button.button.click()
    assert "cannot be downloaded" in button.status.value
    assert not button.button.disabled


def test_only_widgets_whose_images_are_missing_offer_it(monkeypatch):
    glyphs = network(GLYPHS)
    assert fetch_buttons(glyphs) == []
    photos = replace(network("cifar-10-jpeg-moco-v2-seed1"), encoder=glyphs.encoder)
    assert photos.stand_in
    assert "which is not on this machine: glyphs replace it; python -m mixviz data get cifar10 fetches" in photos.note
    (button,) = fetch_buttons(photos, photos, glyphs)
    assert button.source == "cifar10"
    monkeypatch.setattr(networks, "network", lambda run: photos)
    assert isinstance(HardnessMicroscope().box.children[-1], FetchButton)
