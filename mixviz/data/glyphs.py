"""The built-in image set: coloured, textured, rotated glyphs with known factors, drawn from a seed in seconds."""

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from mixviz.data.dataset import Dataset
from mixviz.errors import UserError, unknown

Array = np.ndarray
SIZE = 32
HUES = 8
TEXTURES = ("solid", "stripes", "checker", "dots")
EDITION = 2  # of the images of a seed; the project's settings were chosen on edition 1
DEFAULT_IMAGES = {"train": 10_000, "test": 2_000}


def arc(x: float, y: float, rx: float, ry: float, start: float, stop: float, pieces: int = 8) -> list[tuple]:
    """Points on an ellipse around (x, y); angles in degrees, clockwise from the right as y points down."""
    angles = np.deg2rad(np.linspace(start, stop, pieces + 1))
    return [(x + rx * np.cos(angle), y + ry * np.sin(angle)) for angle in angles]


# Each class is a few polylines in the square [-1, 1]^2, y down. No class is symmetric under a quarter or half turn, and
# none is another one turned or mirrored: a rotation or a flip among the augmentations leaves the label readable.
SHAPES: dict[str, list[list[tuple]]] = {
    "F": [[(0.75, -1), (-0.65, -1), (-0.65, 1)], [(-0.65, -0.05), (0.5, -0.05)]],
    "G": [[*arc(0, 0, 0.9, 1, -40, -360, 10), (0.9, 0.05), (0.15, 0.05)]],
    "J": [[(-0.1, -1), (0.8, -1)], [(0.35, -1), *arc(-0.2, 0.4, 0.55, 0.6, 0, 180, 6)]],
    "P": [[(-0.6, 1), (-0.6, -1), *arc(0.05, -0.42, 0.65, 0.58, -90, 90, 6), (-0.6, 0.16)]],
    "R": [
        [(-0.65, 1), (-0.65, -1), *arc(0, -0.48, 0.65, 0.52, -90, 90, 6), (-0.65, 0.04)],
        [(-0.1, 0.04), (0.7, 1)],
    ],
    "2": [[*arc(0, -0.4, 0.7, 0.6, -170, 30, 7), (-0.7, 1), (0.75, 1)]],
    "4": [[(0.35, 1), (0.35, -1), (-0.8, 0.4), (0.9, 0.4)]],
    "Y": [[(0, 1), (0, 0)], [(-0.8, -1), (0, 0), (0.8, -1)]],
    "arrow": [[(0, 1), (0, -1)], [(-0.85, -0.1), (0, -1), (0.85, -0.1)]],
    "M": [[(-0.85, 1), (-0.85, -1), (0, 0.3), (0.85, -1), (0.85, 1)]],
    "key": [[*arc(0, -0.55, 0.5, 0.45, 90, 450, 10), (0, 1), (0.65, 1)], [(0, 0.4), (0.65, 0.4)]],
    "E": [[(0.7, -1), (-0.65, -1), (-0.65, 1), (0.7, 1)], [(-0.65, 0), (0.5, 0)]],
    "tick": [[(-0.9, 0.1), (-0.3, 0.8), (0.9, -0.8)]],
    "fork": [[(0, 1), (0, -1)], [(-0.8, -1), (-0.8, 0), (0.8, 0), (0.8, -1)]],
    "T": [[(-0.85, -1), (0.85, -1)], [(0, -1), (0, 1)]],
    "house": [[(-0.75, 1), (-0.75, -0.1), (0, -1), (0.75, -0.1), (0.75, 1), (-0.75, 1)]],
}


@dataclass(frozen=True, kw_only=True)
class GlyphParameters:
    """What is drawn, one entry for each of N images: replace a field and render again to vary just one factor."""

    shape: Array  # (N,) index into SHAPES
    hue: Array  # (N,) 0 .. HUES - 1
    texture: Array  # (N,) index into TEXTURES
    rotation: Array  # (N,) clockwise quarter turns, 0 .. 3
    hue_offset: Array  # (N,) within the hue's bin, in bins, -0.5 .. 0.5
    lightness: Array  # (N,) of the glyph's colour, OKLab, 0 .. 1
    phase: Array  # (N, 2) of the texture, in periods
    tilt: Array  # (N,) radians
    size: Array  # (N, 2) half width and half height in pixels
    centre: Array  # (N, 2) x and y in pixels
    bend: Array  # (N, 2, 3) displacement by x^2, xy and y^2, in glyph units
    stroke: Array  # (N,) width in pixels
    background: Array  # (N,) grey level, 0 .. 1
    slope: Array  # (N, 2) change of the grey level over the image, in x and y
    noise_seed: int  # of the pixel noise

    def __len__(self) -> int:
        return len(self.shape)


def make_glyphs(split: str = "train", seed: int = 0, images: int | None = None) -> Dataset:
    """Glyphs with known factors: label ``shape``, factors ``hue``, ``texture`` and ``rotation``, all independent.

    split: "train" (10,000 images) or "test" (2,000), from seeds that share nothing; images: another number of them, of
    which the first n are the same for every number. Equal arguments give equal bytes.

    Raises UserError on an unknown split, a negative seed, or fewer than one image.
    """
    if split not in DEFAULT_IMAGES:
        raise unknown("split of glyphs", split, DEFAULT_IMAGES)
    count = DEFAULT_IMAGES[split] if images is None else images
    if count < 1:
        raise UserError(f"{count} images of glyphs: ask for at least 1")
    if seed < 0:
        raise UserError(f"seed {seed} of glyphs: take 0 or more")
    parameters = sample_glyphs(count, [seed, list(DEFAULT_IMAGES).index(split), EDITION])
    return Dataset(
        name="glyphs",
        split=split,
        stored=render_glyphs(parameters),
        labels=parameters.shape,
        class_names=tuple(SHAPES),
        factors={name: getattr(parameters, name) for name in ("hue", "texture", "rotation")},
    )


def sample_glyphs(n: int, seed: int | list[int]) -> GlyphParameters:
    """Draw the parameters of n glyphs, each uniform and independent of the others; the centre, where the glyph fits."""
    uniform = np.random.default_rng(seed).random((n, 24))  # a row an image: the first rows do not depend on n
    columns = iter(uniform.T)

    def integers(count: int) -> Array:
        return (next(columns) * count).astype(np.int64)

    def between(low: float, high: float, *shape: int) -> Array:
        values = np.stack([next(columns) for _ in range(math.prod(shape))], axis=1)
        return (low + (high - low) * values).astype(np.float32).reshape(n, *shape)

    size, stroke = between(8, 11, 2), between(3.5, 5)
    room = (SIZE - stroke) / 2 - size.max(axis=1)
    return GlyphParameters(
        shape=integers(len(SHAPES)),
        hue=integers(HUES),
        texture=integers(len(TEXTURES)),
        rotation=integers(4),
        hue_offset=between(-0.25, 0.25),
        lightness=between(0.55, 0.68),
        phase=between(0, 1, 2),
        tilt=between(-0.2, 0.2),
        size=size,
        centre=(SIZE - 1) / 2 + room[:, None] * between(-1, 1, 2),
        bend=between(-0.12, 0.12, 2, 3),
        stroke=stroke,
        background=between(0.78, 0.95),
        slope=between(-0.06, 0.06, 2),
        noise_seed=int(np.random.default_rng(seed).integers(2**31)),
    )


def render_glyphs(parameters: GlyphParameters, noise: float = 0.02, chunk: int = 256) -> Array:
    """(N, 32, 32, 3) uint8 images; ``noise`` is the standard deviation of a channel, 0 .. 1."""
    images = np.empty((len(parameters), SIZE, SIZE, 3), np.uint8)
    generator = np.random.default_rng(parameters.noise_seed)
    for start in range(0, len(parameters), chunk):
        part = rows(parameters, slice(start, start + chunk))
        coverage = render_masks(part)[..., None]
        pixels = coverage * fill(part) + (1 - coverage) * ground(part)[..., None]
        pixels += noise * generator.standard_normal(pixels.shape, dtype=np.float32)
        images[start : start + chunk] = np.clip(255 * pixels + 0.5, 0, 255)
    return images


def rows(parameters: GlyphParameters, index: Array | slice) -> GlyphParameters:
    """The parameters of some of the images."""
    values = {field.name: getattr(parameters, field.name) for field in fields(parameters)}
    return replace(parameters, **{name: value[index] for name, value in values.items() if isinstance(value, Array)})


def render_masks(parameters: GlyphParameters) -> Array:
    """(N, 32, 32) float32 coverage of each pixel by the glyph, 0 .. 1: the anti-aliased set of points near a stroke."""
    masks = np.empty((len(parameters), SIZE, SIZE), np.float32)
    for label, polylines in enumerate(SHAPES.values()):
        index = np.flatnonzero(parameters.shape == label)
        part = rows(parameters, index)
        squared = np.full((len(index), SIZE, SIZE), np.inf, np.float32)
        for polyline in polylines:
            points = place(np.array(polyline, np.float32), part)
            for corner in range(len(polyline) - 1):
                np.minimum(squared, squared_distance(points[:, corner], points[:, corner + 1]), out=squared)
        masks[index] = np.clip(part.stroke[:, None, None] / 2 - np.sqrt(squared) + 0.5, 0, 1)
    return masks


def place(points: Array, parameters: GlyphParameters) -> Array:
    """(P, 2) points of a glyph -> (N, P, 2) pixels: bent, turned, scaled and moved."""
    x, y = points.T
    bent = points + np.einsum("nck,kp->npc", parameters.bend, np.stack([x * x, x * y, y * y]))
    angle = parameters.tilt + np.float32(np.pi / 2) * parameters.rotation.astype(np.float32)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    scaled = bent * parameters.size[:, None]
    turned = np.stack(
        [cos * scaled[..., 0] - sin * scaled[..., 1], sin * scaled[..., 0] + cos * scaled[..., 1]], axis=2
    )
    return turned + parameters.centre[:, None]


def squared_distance(start: Array, stop: Array) -> Array:
    """(N, 32, 32) squared distance of each pixel's centre to the N segments from start to stop, both (N, 2)."""
    pixel = np.arange(SIZE, dtype=np.float32)
    right = (pixel - start[:, :1])[:, None, :]
    down = (pixel - start[:, 1:])[:, :, None]
    dx, dy = (stop - start).T[:, :, None, None]
    along = (right * dx + down * dy) / (dx * dx + dy * dy)
    np.clip(along, 0, 1, out=along)
    return (right - along * dx) ** 2 + (down - along * dy) ** 2


def ground(parameters: GlyphParameters) -> Array:
    """(N, 32, 32) grey level of the background, 0 .. 1: a gentle ramp."""
    pixel = np.linspace(-0.5, 0.5, SIZE, dtype=np.float32)
    across, down = parameters.slope.T[:, :, None, None]
    return parameters.background[:, None, None] + across * pixel + down * pixel[:, None]


def fill(parameters: GlyphParameters) -> Array:
    """(N, 32, 32, 3) colour of the glyph's inside: its hue, darkened where the texture says so."""
    hue = 2 * np.pi * (parameters.hue + parameters.hue_offset) / HUES
    colour = oklch_to_srgb(parameters.lightness, 0.16, hue.astype(np.float32))
    dark = oklch_to_srgb(parameters.lightness - 0.3, 0.10, hue.astype(np.float32))
    ink = texture(parameters)[..., None]
    return colour[:, None, None] * (1 - ink) + dark[:, None, None] * ink


def texture(parameters: GlyphParameters, period: float = 6.0) -> Array:
    """(N, 32, 32) darkness of the filling, 0 .. 1, with soft edges; period in pixels."""
    pixel = np.arange(SIZE, dtype=np.float32) / period
    across, down = 2 * np.pi * (pixel + parameters.phase[:, :, None]).transpose(1, 0, 2)
    across, down = across[:, None, :], down[:, :, None]
    kind = parameters.texture[:, None, None]
    wave = np.select(
        [kind == 1, kind == 2, kind == 3],
        [np.sin(across + down), 1.5 * np.sin(across) * np.sin(down), np.cos(across) + np.cos(down) - 0.7],
        default=-1,
    )
    return np.clip(2 * wave + 0.5, 0, 1).astype(np.float32)


def oklch_to_srgb(lightness: Array, chroma: float, hue: Array) -> Array:
    """(N,) lightness and hue (radians) -> (N, 3) sRGB, 0 .. 1, clipped to its gamut (OKLab, Ottosson 2020)."""
    a, b = chroma * np.cos(hue), chroma * np.sin(hue)
    cones = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    linear = OKLAB_TO_RGB @ cones**3
    linear = np.clip(linear, 0, 1)
    return np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear).T.astype(np.float32)


OKLAB_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ],
    dtype=np.float32,
)
