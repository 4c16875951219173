"""Pictures of mix paths: a blend's similarity to its sources, and whether it follows their shares."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from torch import Tensor

from mixviz.analysis.mixpath import Calibration, MixPath
from mixviz.plots.style import COLOURS, colour_of, log_scale

LINES = {"mixup": "-", "cutmix": "--"}
LAM = "λ, share of the first image"
ERROR = "mean |share − λ|"
COLUMNS = (0.68, 0.82, 1.0)  # right edges of error, temperature and range in the table below the curves


def plot_mix_path(ax: Axes, path: MixPath, title: str = "") -> Axes:
    """Mean cosine of the blends to the first source, the second and the other images, against λ.

    Coloured bands contain the middle half of the pairs. The grey band of the others is from their mean to their 95 %
    quantile: a source above it is nearer than 95 % of all other images. Networks drawn side by side share the axis.
    """
    lam = path.lam.mean(dim=0).cpu().numpy()
    others = [part.mean(dim=0).cpu().numpy() for part in (path.others_mean, path.others_high)]
    ax.fill_between(lam, others[0], others[1], color=COLOURS["reference"], alpha=0.3, linewidth=0)
    ax.plot(lam, others[0], color=COLOURS["plain"], linewidth=1.2)
    ax.text(0.5, others[0][len(lam) // 2] + 0.02, "others, mean to 95 %", ha="center", va="bottom", fontsize=9)
    for cosines, colour, name, end in ((path.first, "#0091d5", "first", -1), (path.second, "#e69f00", "second", 0)):
        values = cosines.cpu().numpy()
        ax.fill_between(lam, *np.quantile(values, [0.25, 0.75], axis=0), color=colour, alpha=0.2, linewidth=0)
        mean = values.mean(axis=0)
        ax.plot(lam, mean, color=colour, linewidth=2)
        side = "right" if end else "left"
        ax.annotate(name, (lam[end], mean[end]), (0, 6), textcoords="offset points", ha=side, color=colour)
    ax.set_xlabel(LAM)
    ax.set_ylabel("cosine of the blend to the key\n(bands: middle half of the pairs)")
    ax.set_xlim(0, 1)
    ax.set_ylim(min(-0.3, ax.get_ylim()[0]), 1.12)
    ax.set_title(title)
    return ax


def plot_calibration(ax: Axes, calibrations: Mapping[str, Calibration | Mapping[str, Calibration]]) -> Axes:
    """The share that goes to the first source against λ; the diagonal is ideal, nearer to it is better.

    calibrations: method -> its calibration, or kind of blend (mixup, cutmix) -> calibration. One line each, coloured
    by method, CutMix dashed; in the legend the temperature and the mean |share - λ| over pairs and λ, lower is better.
    """
    draw_calibration(name_calibration(ax), calibrations)
    ax.legend(title=f"{ERROR}, lower is better", fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return ax


def name_calibration(ax: Axes) -> Axes:
    """The axes of shares over λ, and the ideal."""
    ax.plot([0, 1], [0, 1], color=mpl.rcParams["text.color"], linewidth=1, linestyle=":")
    ax.text(0.05, 0.04, "ideal", rotation=45, rotation_mode="anchor", va="top", fontsize=9)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_aspect("equal")
    ax.set_xlabel(LAM)
    ax.set_ylabel("share of the first among the two")
    return ax


def draw_calibration(ax: Axes, calibrations: Mapping[str, Calibration | Mapping[str, Calibration]]) -> Axes:
    """Only the lines of ``plot_calibration``."""
    for method, found in calibrations.items():
        for kind, result in found.items() if isinstance(found, Mapping) else {"mixup": found}.items():
            label = f"{method}, {kind}" if isinstance(found, Mapping) else method
            label += f": {result.error:.3f} at τ = {result.temperature:.2g}"
            lam, share = (part.mean(dim=0).cpu().numpy() for part in (result.lam, result.share))
            ax.plot(lam, share, LINES[kind], color=colour_of(method), linewidth=2, label=label)
    return ax


def plot_calibration_errors(ax: Axes, temperatures: Tensor, errors: Mapping[str, Tensor]) -> Axes:
    """Calibration error over the temperature, one line a method with a dot at its lowest point: lower is better.

    errors: method -> (T,) from ``calibration_errors`` at these temperatures. The axis of temperatures is logarithmic.
    """
    at = temperatures.cpu().numpy()
    for method, values in errors.items():
        best = int(values.argmin())
        label = f"{method}: {values[best]:.3f} at τ = {at[best]:.2g}"
        ax.plot(at, values.cpu().numpy(), color=colour_of(method), linewidth=2, label=label)
        ax.plot(at[best], values[best], "o", color=colour_of(method), markersize=7)
    log_scale(ax, "x")
    ticks = [tick for tick in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2) if at[0] <= tick <= at[-1]]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    ax.set_xlabel("temperature τ")
    ax.set_ylabel(ERROR)
    ax.legend(title="lowest error", fontsize=8, loc="lower right")
    return ax


def name_ranges(ax: Axes, ranges: Mapping[str, float]) -> Axes:
    """A small table without its first two columns: method -> range of its cosines, from ``cosine_range``."""
    ax.set_axis_off()
    ax.set_xlim(0, 1)
    ax.set_ylim(len(ranges) - 0.4, -1.3)
    for place, text in zip(COLUMNS, (ERROR, "τ", "range of\ncosines"), strict=True):
        ax.text(place, -0.55, text, ha="right", va="bottom", fontsize=8)
    for row, (method, reach) in enumerate(ranges.items()):
        ax.plot([0, 0.05], [row, row], color=colour_of(method), linewidth=2)
        ax.text(0.08, row, method, va="center", fontsize=9)
        ax.text(COLUMNS[2], row, f"{reach:.2f}", ha="right", va="center", fontsize=9)
    return ax


def write_calibrations(ax: Axes, calibrations: Mapping[str, Calibration]) -> Axes:
    """The first two columns of the table that ``name_ranges`` begins: error and temperature."""
    for row, result in enumerate(calibrations.values()):
        ax.text(COLUMNS[0], row, f"{result.error:.3f}", ha="right", va="center", fontsize=9)
        ax.text(COLUMNS[1], row, f"{result.temperature:.2f}", ha="right", va="center", fontsize=9)
    return ax


def mark_blend(ax: Axes, lam: float, curve: Sequence[float] = (), pair: Sequence[float] = ()) -> Axes:
    """One blend in a picture over λ: a line at its λ, filled dots on the curves, hollow ones for this pair alone."""
    ink = mpl.rcParams["text.color"]
    ax.axvline(lam, color=ink, linewidth=0.8, alpha=0.6)
    ax.plot([lam] * len(curve), curve, "o", color=ink, markersize=7, clip_on=False)
    ax.plot([lam] * len(pair), pair, "o", color=ink, markerfacecolor="none", markersize=8, clip_on=False)
    return ax


def plot_path_measure(ax: Axes, table: pd.DataFrame, label: str) -> Axes:
    """One measure of several methods as points with 95 % intervals, mixup filled and CutMix hollow.

    table: columns method, kind, mean, low, high, one row a method and kind; label: of the measure, with its good
    direction.
    """
    methods = list(dict.fromkeys(table["method"]))
    row: Any
    for row in table.itertuples():
        place = methods.index(row.method) + {"mixup": -0.15, "cutmix": 0.15}[row.kind]
        colour = colour_of(row.method)
        face = colour if row.kind == "mixup" else "none"
        ax.plot([row.low, row.high], [place, place], LINES[row.kind], color=colour, linewidth=1.5)
        ax.plot(row.mean, place, "o", color=colour, markerfacecolor=face)
        if row.method == methods[0]:
            ax.annotate(row.kind, (row.high, place), (5, 0), textcoords="offset points", va="center", fontsize=8)
    ax.set_yticks(range(len(methods)), methods)
    ax.set_ylim(len(methods) - 0.5, -0.5)
    ax.set_xlabel(label)
    ax.grid(visible=True, axis="x")
    ax.grid(visible=False, axis="y")
    return ax
