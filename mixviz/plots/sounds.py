"""Pictures of sounds: spectrograms, low notes at the bottom."""

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from torch import Tensor


def plot_spectrogram(ax: Axes, spectrogram: Tensor, title: str = "") -> Axes:
    """One spectrogram (1, mels, frames) in [0, 1] of a second: silence has the background's colour.

    Time runs to the right and pitch upwards.
    """
    paper, ink = mpl.rcParams["axes.facecolor"], mpl.rcParams["text.color"]
    shades = LinearSegmentedColormap.from_list("loudness", [paper, "#0091d5", ink])
    ax.imshow(spectrogram[0].numpy(), shades, origin="lower", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.set_title(" ", fontsize=9)  # room for text that may change
    ax.text(0, 1.03, title, transform=ax.transAxes, fontsize=9)
    return ax
