"""The ear hears the blend of two waves, the network sees the blend of two spectrograms: both made by hand."""

import io
import wave

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mixviz.augment.audio import LogMel
from mixviz.errors import UserError
from mixviz.plots.style import figure
from mixviz.widgets import BlendedSounds, networks
from mixviz.widgets.blended_sounds import HEARD, RECORDED, wav

PLAIN, IMIX = "n-pair", "n-pair + imix"


@pytest.fixture(scope="module")
def shared() -> BlendedSounds:
    return BlendedSounds()


@pytest.fixture
def sounds(shared) -> BlendedSounds:
    return shared.set(**shared.defaults)


def stored(*rows: int) -> np.ndarray:
    return networks.network(RECORDED[0]).held_out.stored[list(rows)]


def spectrograms(waves: np.ndarray) -> torch.Tensor:
    return LogMel(rate=8000).apply(torch.from_numpy(waves.copy()).float() / 2**15)


def heard(sounds: BlendedSounds, name: str) -> np.ndarray:
    with wave.open(io.BytesIO(sounds.players[name].value)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


@pytest.mark.parametrize(("network", "place"), [(PLAIN, 0), (IMIX, 1)])
def test_the_row_is_the_softmax_of_a_blend_of_spectrograms_made_by_hand(sounds, network, place):
    sounds.set(network=network, first=3, second=5, lam=0.6, temperature=0.1)
    found = networks.network(RECORDED[place])
    held = len(found.held_out)
    inputs = spectrograms(stored(6, 11, *range(held - 6, held)))
    asked = torch.cat([inputs, 0.6 * inputs[:1] + 0.4 * inputs[1:2]])
    with torch.no_grad():
        embedded = F.normalize(found.encoder(asked)[:, 0], dim=1)
    cosines = embedded[:-1] @ embedded[-1]
    probabilities = (cosines / 0.1).softmax(dim=0)
    numbers = sounds.numbers()
    assert numbers["targets"] == pytest.approx([0.6, 0.4])
    assert numbers["cosines"] == pytest.approx(cosines[:2].tolist(), abs=1e-4)
    assert numbers["probabilities"] == pytest.approx(probabilities[:2].tolist(), rel=1e-3)
    assert numbers["share"] == pytest.approx(float(probabilities[0] / probabilities[:2].sum()), rel=1e-3)


def test_the_players_hold_both_waves_and_their_sum_by_shares(sounds):
    sounds.set(first=2, second=7, lam=0.3)
    first, second = stored(4, 15)
    np.testing.assert_array_equal(heard(sounds, "first"), first)
    np.testing.assert_array_equal(heard(sounds, "second"), second)
    np.testing.assert_allclose(heard(sounds, "blend"), 0.3 * first.astype(float) + 0.7 * second, atol=0.5 + 1e-6)
    rms = [np.sqrt(np.mean((heard(sounds, name) / 2**15) ** 2)) for name in HEARD]
    assert sounds.numbers()["loudness"] == pytest.approx(rms)


def test_what_is_seen_is_not_the_spectrogram_of_what_is_heard(sounds):
    sounds.set(first=3, second=3, lam=0.5)
    first, second, seen, heard_one = sounds.result.spectrograms.values()
    torch.testing.assert_close(seen, 0.5 * first + 0.5 * second)
    torch.testing.assert_close(heard_one[None], spectrograms(heard(sounds, "blend")[None]))
    assert (heard_one - seen).abs().max() > 0.1
    assert "blend of the two spectrograms" in sounds.caption()


def test_sounds_are_called_by_their_classes(sounds):
    data = networks.network(RECORDED[0]).held_out
    sounds.set(first=3, second=5)
    names = [data.class_names[data.labels[row]] for row in (6, 11, *range(len(data) - 6, len(data)))]
    assert list(sounds.result.spectrograms)[:2] == [f"first: {names[0]}", f"second: {names[1]}"]
    assert sounds.result.row["candidate"].tolist() == ["first", *names[2:5], "second", *names[5:]]


def test_the_axes_say_what_they_are(sounds):
    axes = sounds.draw_static(figure())
    assert [axes[f"spectrogram_{place}"].get_ylabel() for place in (0, 2)] == ["pitch", "pitch"]
    assert [axes[f"spectrogram_{place}"].get_xlabel() for place in (2, 3)] == ["time (1 s)", "time (1 s)"]


def test_every_control_moves_the_picture(sounds):
    sounds.set(first=3, second=3)
    for name, other in {"network": IMIX, "first": 5, "second": 9, "lam": 0.4, "temperature": 0.5}.items():
        before, start = bytes(sounds.picture_widget.value), sounds.values[name]
        sounds.set(**{name: other})
        assert bytes(sounds.picture_widget.value) != before, name
        sounds.set(**{name: start})


def test_state_goes_there_and_back(sounds):
    sounds.set(network=IMIX, first=4, lam=0.45)
    again = BlendedSounds.from_state(sounds.state())
    assert again.values == sounds.values
    assert str(again.numbers()) == str(sounds.numbers())


def test_one_run_has_no_other_to_choose():
    assert BlendedSounds(RECORDED[1]).controls["network"].disabled


def test_a_run_of_images_is_refused_in_one_line():
    with pytest.raises(UserError, match="is of image data and this plays sounds"):
        BlendedSounds(networks.GLYPHS)


def test_a_wav_is_a_second_whatever_the_rate():
    with wave.open(io.BytesIO(wav(np.zeros(16_000, np.int16)))) as file:
        assert file.getnframes() / file.getframerate() == 1.0
