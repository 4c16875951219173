"""Tones: known factors can be heard, draws are independent and repeatable, one factor can be varied alone."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from mixviz.data.tones import (
    ENVELOPES,
    LENGTH,
    LOWEST,
    MOTIFS,
    PITCHES,
    RATE,
    TIMBRES,
    ToneParameters,
    clips_of,
    heights,
    make_tones,
    render_tones,
    sample_tones,
    sound,
)
from mixviz.errors import UserError


@pytest.fixture(scope="module")
def parameters() -> ToneParameters:
    return sample_tones(2000, 0)


def notes_of(parameters: ToneParameters, wave: np.ndarray, i: int) -> list[float]:
    """The lowest strong frequency in the middle of each note, in Hz."""
    found = []
    for note in range(4):
        middle = parameters.onset[i] + (note + 0.5) * parameters.tempo[i]
        part = wave[int((middle - 0.05) * RATE) : int((middle + 0.05) * RATE)]
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 8 * RATE))
        found.append(float((spectrum > 0.4 * spectrum.max()).argmax()) / 8)
    return found


def test_motif_and_pitch_can_be_heard(parameters):
    for i in range(24):
        one = replace(parameters, envelope=np.zeros_like(parameters.envelope))
        heard = notes_of(one, sound(clips_of(one, np.array([i])))[0], i)
        base = LOWEST * 2 ** ((parameters.pitch[i] + parameters.detune[i]) / PITCHES)
        expected = [base * 2 ** (step / 12) for step in list(MOTIFS.values())[parameters.motif[i]]]
        np.testing.assert_allclose(heard, expected, atol=12)


def test_no_motif_is_another_at_another_pitch():
    relative = [tuple(np.diff(motif)) for motif in MOTIFS.values()]
    assert len(set(relative)) == len(MOTIFS)


def test_partials_stay_below_half_the_rate(parameters):
    bright = replace(parameters, timbre=np.full_like(parameters.timbre, 2), pitch=np.full_like(parameters.pitch, 7))
    wave = sound(clips_of(bright, np.array([3])))[0]
    spectrum = np.abs(np.fft.rfft(wave))
    assert spectrum[: LENGTH // 2 - 100].max() > 50 * spectrum[LENGTH // 2 - 50 :].max()


def test_only_one_factor_is_varied(parameters):
    one = clips_of(parameters, np.array([5]))
    waves = [render_tones(replace(one, timbre=np.array([timbre]))) for timbre in range(len(TIMBRES))]
    assert all(not np.array_equal(a, b) for a, b in combinations(waves, 2))
    loud = [np.abs(wave[0].astype(float)) > 1500 for wave in waves]
    assert all((a & b).sum() / (a | b).sum() > 0.3 for a, b in combinations(loud, 2))  # the same notes at the same time
    assert np.array_equal(render_tones(one), render_tones(one))


def test_envelopes_begin_and_end_in_silence():
    within = np.linspace(-0.5, 1.5, 201)[None].repeat(4, axis=0)
    height = heights(np.arange(4), within)
    assert (height[:, [0, 50, 150, 200]] < 1e-6).all()
    assert ((height >= 0) & (height <= 1)).all()
    middle = height[:, 50:151]
    organ, pluck, swell, tremolo = (middle[ENVELOPES.index(name)] for name in ENVELOPES)
    assert (organ[10:-10] == 1).all()
    assert pluck[10] > 5 * pluck[60]
    assert swell[80] > 5 * swell[20]
    assert ((tremolo[1:-1] > tremolo[:-2]) & (tremolo[1:-1] >= tremolo[2:])).sum() == 3


def test_factors_are_uniform_and_independent(parameters):
    for name, kinds in [("motif", len(MOTIFS)), ("pitch", PITCHES), ("timbre", 4), ("envelope", 4)]:
        counts = np.bincount(getattr(parameters, name), minlength=kinds)
        assert len(counts) == kinds
        assert abs(counts - 2000 / kinds).max() < 5 * np.sqrt(2000 / kinds)
    for first, second in combinations(("motif", "pitch", "timbre", "envelope"), 2):
        table = np.zeros((12, 12))
        np.add.at(table, (getattr(parameters, first), getattr(parameters, second)), 1)
        table = table[table.any(axis=1)][:, table.any(axis=0)]
        assert chi2_contingency(table).pvalue > 1e-3


def test_the_motif_fits_into_the_clip(parameters):
    assert (parameters.onset >= 0).all()
    assert (parameters.onset + 4 * parameters.tempo <= LENGTH / RATE + 1e-6).all()


def test_a_set_and_its_splits():
    train, test = make_tones("train", clips=40), make_tones("test", clips=20)
    assert (train.stored.shape, train.stored.dtype) == ((40, LENGTH), np.int16)
    assert np.abs(train.stored.astype(int)).max() < 2**15
    assert np.array_equal(train.labels[:10], make_tones("train", clips=10).labels)
    assert np.array_equal(train.stored, make_tones("train", clips=40).stored)
    assert not np.array_equal(train.labels[:20], test.labels)
    assert not np.array_equal(train.labels, make_tones("train", seed=1, clips=40).labels)
    assert set(train.factors) == {"pitch", "timbre", "envelope"}


def test_what_is_refused():
    for arguments in ({"split": "valid"}, {"clips": 0}, {"seed": -1}):
        with pytest.raises(UserError):
            make_tones(**arguments)
