"""Sounds as a domain: spectrograms, augmentations, factors, and a run from its config to its read-outs."""

import numpy as np
import pytest
import torch

from mixviz.augment.audio import LogMel
from mixviz.build import TrainSets, build_method
from mixviz.config import RunConfig
from mixviz.data import Dataset, load
from mixviz.data.tones import make_tones
from mixviz.domains import DOMAINS, augmentation_of, clean, inputs_of, prepared
from mixviz.domains.audio import AudioAugment
from mixviz.errors import UserError
from mixviz.evaluate import Source, evaluate
from mixviz.train import train
from mixviz.widgets import HardnessMicroscope, InvarianceFingerprint, MixingLab, networks

AUDIO = DOMAINS["audio"]


@pytest.fixture(scope="module")
def tones() -> Dataset:
    return make_tones("train", clips=160)


def test_config_takes_the_domain_from_the_data():
    config = RunConfig.of(data="tones", audio_time_mask=0.5)
    assert (config.data.domain, config.encoder.backbone) == ("audio", "convnet")
    assert config.augment == AudioAugment(time_mask=0.5)
    assert RunConfig.parse(config.model_dump()) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop_min": 0.5}, "--crop-min is for"),
        ({"audio_speed_most": 1.0}, "--audio-speed-most 1.0"),
        ({"backbone": "mlp"}, "unknown backbone 'mlp'"),
        ({"mixing": ("imix",), "imix_kind": "cutmix"}, "CutMix pastes boxes of images, and this is audio data"),
        ({"mixing": ("looc",), "looc_left_out": ("time-mask",)}, "give --audio-time-mask a probability over 0"),
    ],
)
def test_what_means_nothing_for_sounds_is_refused(settings, message):
    with pytest.raises(UserError) as caught:
        build_method(RunConfig.of(**{"data": "tones", **settings}), (1, 32, 32))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("tones", {"image_size": 32}, "--image-size 32"),
        ("tones", {"target": "y"}, "--target y is of tables"),
        ("wine", {"sample_rate": 8000}, "--sample-rate 8000 is of sounds"),
    ],
)
def test_options_of_other_data_are_refused(source, options, message):
    with pytest.raises(UserError) as caught:
        load(source, "train", progress=False, **options)
    assert message in str(caught.value)


def test_an_encoder_sees_log_mels(tones):
    assert prepared(tones, slice(3)).abs().max() <= 1
    seen = clean(tones, slice(3))
    torch.testing.assert_close(seen, LogMel(rate=8000).apply(torch.from_numpy(tones.stored[:3]).float() / 2**15))
    shape, normalise = inputs_of(tones)
    assert shape == (1, 32, 32)
    normalised = normalise(clean(tones))
    assert normalised.mean(dim=(0, 1, 3)).abs().max() < 1e-4
    loud = normalise.std.flatten() > 0.051
    assert (normalised.std(dim=(0, 1, 3))[loud] - 1).abs().max() < 1e-3


def test_mels_that_are_silent_in_train_are_not_blown_up():
    normalise = AUDIO.normaliser((1, 32, 32), torch.zeros(8, 8000, dtype=torch.int16))
    assert normalise(torch.ones(1, 1, 32, 32)).max() <= 20


def test_pictures_have_high_notes_on_top(tones):
    low, high = (np.sin(2 * np.pi * f * np.arange(8000) / 8000) * 2**14 for f in (300, 3000))
    pictures = AUDIO.thumbnail(np.stack([low, high]).astype(np.int16))
    assert (pictures.shape, pictures.dtype) == ((2, 32, 32, 3), np.uint8)
    rows = pictures[..., 0].mean(axis=2).argmax(axis=1)
    assert rows[0] > 16 > rows[1]


def test_the_way_to_spectrograms_is_always_there(tones):
    def names(**settings: float) -> list[str]:
        return [operation.name for operation in augmentation_of(AudioAugment(**settings), tones).operations]

    assert names() == ["gain", "shift", "speed", "background noise", "log-mel"]
    assert names(gain=0, shift=0, speed=0, noise=0) == ["log-mel"]
    assert names(time_mask=0.1, frequency_mask=0.1)[-3:] == ["log-mel", "time mask", "frequency mask"]


@pytest.mark.parametrize("name", AUDIO.factors)
def test_factors_move_sounds_the_more_the_stronger(name, tones, generator):
    waves, factor = prepared(tones, slice(100)), AUDIO.factors[name]
    before, moved = AUDIO.finish(waves), []
    for strength in factor.strengths:
        operation, drawn = factor.change(torch.full((100,), strength), (8000,), generator)
        moved.append(float((AUDIO.finish(operation.apply(waves, drawn)) - before).abs().mean()))
    assert moved[0] == 0
    assert moved == sorted(moved)
    assert moved[-1] > 0.03


def test_images_sounds_and_tables_are_distinguished(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(UserError, match="sounds are read by sounds:PATH"):
        load(f"folder:{tmp_path}", "train")


def test_widgets_of_images_refuse_a_run_of_sounds(tones, tmp_path, monkeypatch):
    config = RunConfig.of(data="tones", batch_size=32, epochs=1, film_frames=0, backbone="convnet-narrow")
    run = train(config, "heard", images=tones, root=tmp_path, progress=False)
    monkeypatch.setattr(networks, "images", lambda data: (TrainSets(data=data, all_train=tones), False))
    for widget in (HardnessMicroscope, InvarianceFingerprint, MixingLab):
        with pytest.raises(UserError, match="heard is of audio data and this shows images"):
            widget(run)


def test_a_run_from_config_to_read_outs(tones, tmp_path):
    settings = {
        "batch_size": 32,
        "epochs": 1,
        "film_frames": 2,
        "backbone": "convnet-narrow",
        "looc_left_out": ("speed",),
    }
    config = RunConfig.of(data="tones", mixing=("imix", "looc"), **settings)
    run = train(config, "sounds", images=tones, root=tmp_path, progress=False)
    assert run.metrics["loss"].notna().all()
    found = evaluate(Source.of_run(run, (tones, make_tones("test", clips=60))), ["label", "pitch"], ["knn"])
    assert [result.target for result in found] == ["label", "pitch"]
    with pytest.raises(UserError, match="linear-augmented needs image data"):
        evaluate(Source.of_run(run, (tones, tones.select(range(60)))), protocols=["linear-augmented"])
