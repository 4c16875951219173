"""Pictures of images: sheets of samples, and what augmentation makes of them."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from PIL import Image


def plot_sheet(ax: Axes, rows: Sequence[np.ndarray], row_labels: Sequence[str] = (), gap: int = 2) -> Axes:
    """Images side by side, one row a group.

    rows: each (n, H, W, 3), uint8 or floats in [0, 1], n the same; row_labels: a name a row, or none.
    """
    height, width = rows[0].shape[1:3]
    columns = len(rows[0])
    sheet = np.full((len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 4), 0.0)
    for i, row in enumerate(rows):
        pixels = row / 255 if row.dtype == np.uint8 else np.clip(row, 0, 1)
        for j, image in enumerate(pixels):
            top, left = i * (height + gap), j * (width + gap)
            sheet[top : top + height, left : left + width, :3] = image
            sheet[top : top + height, left : left + width, 3] = 1
    ax.imshow(sheet, interpolation="nearest")
    ax.set_xticks([])
    centres = [i * (height + gap) + height / 2 for i in range(len(row_labels))]
    ax.set_yticks(centres, list(row_labels))
    ax.tick_params(length=0)
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def png_sheet(images: np.ndarray, columns: int, side: int) -> bytes:
    """Images (N, H, W, 3) uint8 as one PNG, row by row without gaps, each scaled to ``side`` pixels."""
    sheet = Image.new("RGB", (columns * side, -(-len(images) // columns) * side))
    for i, image in enumerate(images):
        tile = Image.fromarray(image)
        tile = tile if tile.size == (side, side) else tile.resize((side, side))
        sheet.paste(tile, (i % columns * side, i // columns * side))
    buffer = io.BytesIO()
    sheet.save(buffer, "png")
    return buffer.getvalue()
