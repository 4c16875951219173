"""What is a blend of two sounds? To the ear, as a spectrogram, and to networks trained with and without blends."""

import io
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mixviz.analysis.mixpath import share_of_first
from mixviz.analysis.targets import contrast_table, query_row
from mixviz.domains import domain_of
from mixviz.method import Draws
from mixviz.mixing import IMix, IMixDraw
from mixviz.plots.sounds import plot_spectrogram
from mixviz.plots.targets import draw_row, name_row
from mixviz.runs import Run
from mixviz.widgets import networks
from mixviz.widgets.base import Widget
from mixviz.widgets.controls import choice, slider
from mixviz.widgets.mixing import BATCH, BOTH, CHOICE, batch_of, looc, pairs_of
from mixviz.widgets.networks import Network

RECORDED = ("tones-n-pair-seed1", "tones-n-pair+imix-seed1")
HEARD = ("first", "blend", "second")
QUEUE = 256
NOT_THE_SAME = (
    "You hear λ times the first wave plus 1 − λ times the second. The network is given the blend of the two "
    "spectrograms instead, as i-Mix blends an encoder's inputs; no sound has this spectrogram."
)


@dataclass(frozen=True, kw_only=True)
class SoundBlend:
    """One blend, heard and seen."""

    waves: tuple[np.ndarray, np.ndarray, np.ndarray]  # first, blend, second: int16 (T,), a second each
    spectrograms: dict[str, Tensor]  # title -> (1, mels, frames)
    row: pd.DataFrame  # the query's candidates
    targets: list[float]  # of the two keys
    probabilities: list[float]  # of the two keys; NaN without negatives
    cosines: Tensor  # (2,) to the two keys
    share: float  # of the first key among the two


class BlendedSounds(Widget):
    """Two sounds and their blend: to hear, as spectrograms, and as a network's row of the contrast table under i-Mix.

    run: the encoder's, or several to compare; by default two recordings on the built-in tones, without and with i-Mix.
    Every network is used with the framework that it was trained on.
    """

    size = (9.0, 4.4)
    animated = frozenset({"first", "second", "lam", "temperature"})

    def __init__(self, run: Run | str | Path | Sequence[Run | str] | None = None, **values: Any):
        self.networks = networks.by_method(networks.sound_network, run, RECORDED)
        self.players = {name: ipywidgets.Audio(format="wav", autoplay=False, loop=False) for name in HEARD}
        last = min(CHOICE, *map(pairs_of, self.networks.values())) - 1
        temperature = next(iter(self.networks.values())).run.config.method.temperature or 0.1
        controls = {
            "network": choice("network", list(self.networks), next(iter(self.networks)), "which one answers"),
            "first": slider("first sound", 0, last, 0, 1, "the query's own"),
            "second": slider("second sound", 0, last, min(1, last), 1, "its partner"),
            "lam": slider("share λ", 0.0, 1.0, 0.7, 0.05, "of the first sound; i-Mix never draws less than ½"),
            "temperature": slider("temperature τ", 0.02, 1.0, temperature, 0.02, "of the softmax"),
        }
        super().__init__(controls, values)
        labelled = [ipywidgets.VBox([ipywidgets.HTML(f"listen: {name}"), one]) for name, one in self.players.items()]
        row = ipywidgets.Box(labelled, layout={"flex_flow": "row wrap", "max_width": "100%"})
        self.box.children = [self.box.children[0], row, *self.box.children[1:]]

    def compute(self, network: str, first: int, second: int, lam: float, temperature: float) -> SoundBlend:
        found = self.networks[network]
        rows = batch_of(found, first, second)
        inputs, waves = found.pixels(rows), [found.held_out.stored[rows[place]] for place in BOTH]
        heard = (lam * waves[0] + (1 - lam) * waves[1]).round().astype(np.int16)
        framework = found.run.config.method.framework
        method = found.method(framework, *looc(found), IMix(), temperature=temperature, queue_length=QUEUE)
        draw = IMixDraw(torch.full((BATCH,), lam), torch.arange(BATCH).roll(BATCH // 2))
        term = method.terms([inputs] * (1 + len(method.shared)), draws=Draws(queries=[draw]))[0]
        table = contrast_table(method.framework, term)
        names = _names(found, rows)
        cosines = table.similarities[0, BOTH]
        return SoundBlend(
            waves=(waves[0], heard, waves[1]),
            spectrograms={
                f"first: {names[BOTH[0]]}": inputs[BOTH[0]],
                f"second: {names[BOTH[1]]}": inputs[BOTH[1]],
                "blend, as the network sees it": term.query.inputs[0],
                "blend, as you hear it": domain_of(found.held_out).clean(torch.from_numpy(heard)[None])[0],
            },
            row=_named(query_row(table, 0, count=4), names),
            targets=table.targets[0, BOTH].tolist(),
            probabilities=table.probabilities[0, BOTH].tolist(),
            cosines=cosines,
            share=float(share_of_first(cosines[0], cosines[1], temperature)),
        )

    def unused(self, **_: Any) -> Mapping[str, str]:
        return {"network": networks.ONLY_ONE} if len(self.networks) == 1 else {}

    def refresh(self) -> None:
        """Analyse and draw again, and pass the sounds to their players."""
        super().refresh()
        for name, sound in zip(HEARD, self.result.waves if self.result else (), strict=False):
            self.players[name].value = wav(sound)

    def numbers(self) -> dict[str, Any]:
        found = self.result
        loudness = [float(np.sqrt(np.mean((sound / 2**15) ** 2))) for sound in found.waves]
        return {
            "sounds": " | ".join(list(found.spectrograms)[:2]),
            "loudness": loudness,
            "targets": found.targets,
            "probabilities": found.probabilities,
            "cosines": found.cosines.tolist(),
            "share": found.share,
        }

    def draw_static(self, figure: Figure) -> dict[str, Axes]:
        left, right = figure.add_gridspec(1, 2, width_ratios=[3, 2.6])
        sheet = left.subgridspec(2, 2)
        axes = {f"spectrogram_{place}": figure.add_subplot(sheet[place]) for place in range(4)}
        for ax, spectrogram in zip(axes.values(), self.result.spectrograms.values(), strict=True):
            plot_spectrogram(ax, spectrogram)
        for place in (0, 2):
            axes[f"spectrogram_{place}"].set_ylabel("pitch", fontsize=8)
        for place in (2, 3):
            axes[f"spectrogram_{place}"].set_xlabel("time (1 s)", fontsize=8)
        return axes | {"row": name_row(figure.add_subplot(right), self.result.row)}

    def draw(self, figure: Figure, row: Axes, **sheet: Axes) -> None:
        for ax, (title, spectrogram) in zip(sheet.values(), self.result.spectrograms.items(), strict=True):
            plot_spectrogram(ax, spectrogram, title)
        draw_row(row, self.result.row)

    def caption(self) -> str:
        first, second = self.result.targets
        asked = f"Target: {first:.2f} on the first sound's key, {second:.2f} on the second's. Of the two, "
        return f"{asked}{self.values['network']} gives {self.result.share:.2f} to the first. {NOT_THE_SAME}"


def wav(sound: np.ndarray) -> bytes:
    """A second of sound, int16 (T,), as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(len(sound))
        file.writeframes(sound.astype("<i2").tobytes())
    return buffer.getvalue()


def _names(network: Network, rows: Sequence[int]) -> list[str]:
    """What each sound of the batch is: its class, or its number if there are no classes."""
    data = network.held_out
    if data.labels is None:
        return [f"sound {row}" for row in rows]
    return [data.class_names[data.labels[row]] for row in rows]


def _named(row: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The query's row, with the two sounds marked and the others of the batch by their names."""
    called = {f"key {place}": name for place, name in enumerate(names)}
    called |= {f"key {place}": which for place, which in zip(BOTH, ("first", "second"), strict=True)}
    return row.assign(candidate=row["candidate"].replace(called))
