"""Common corruptions of small images: the kinds of ImageNet-C at five severities, made here from a seed.

Each image has draws of its own, which torchvision's operations do not give: its noise comes from the global generator,
and its elastic transform displaces all images alike.
"""

import io
from collections.abc import Callable
from hashlib import blake2b
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import gaussian_filter

from mixviz.errors import UserError, unknown
from mixviz.evaluate.corruption_base import Array, Draws, pixels, smear, to_bytes, to_unit, zoom_weights
from mixviz.evaluate.weather import fog, snow, spatter, synthetic_frost

CHUNK = 500  # images corrupted together

# One entry a severity, 1 to 5: those of CIFAR-10-C (the code of Hendrycks & Dietterich 2019, arXiv:1903.12261), but for
# two kinds of which its severities do not rise: elastic_transform, whose second is milder than its first, and
# motion_blur, whose third and fourth are alike (2 pixels). Those of glass_blur, snow, spatter and saturate are as
# published, and do not rise on all images either. The photographs of its frost are not here.
Corruption = Literal[
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "motion_blur", "zoom_blur", "fog", "brightness",
    "contrast", "elastic_transform", "pixelate", "jpeg_compression", "speckle_noise", "gaussian_blur", "glass_blur",
    "snow", "synthetic_frost", "spatter", "saturate",
]  # fmt: skip
STANDARD: tuple[Corruption, ...] = get_args(Corruption)[:12]  # those of a mean unless others are named
SEVERITIES: dict[str, tuple[Any, ...]] = {
    "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),  # standard deviation of a channel in [0, 1]
    "shot_noise": (500, 250, 100, 75, 50),  # photons at full brightness
    "impulse_noise": (0.01, 0.02, 0.03, 0.05, 0.07),  # share of values that become 0 or 1
    "defocus_blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),  # radius, softness of the disk, pixels
    "motion_blur": (1, 1.5, 2, 2.25, 2.5),  # standard deviation along the path, pixels
    "zoom_blur": (1.05, 1.10, 1.15, 1.20, 1.25),  # largest zoom, from 1 in steps of 0.01
    "fog": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),  # thickness, decay of detail from scale to scale
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),  # added to HSV's value
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),  # of what is left around the mean of each channel
    "elastic_transform": ((0.6, 0.1, 1.9), (0.9, 0.2, 1.9), (1.2, 0.3, 1.6), (1.5, 0.45, 1.3), (1.8, 0.6, 1.0)),
    # reach of the affine part, standard deviation and smoothness of the displacement, pixels
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),  # of the resolution
    "jpeg_compression": (80, 65, 58, 50, 40),  # quality
    "speckle_noise": (0.06, 0.1, 0.12, 0.16, 0.2),  # standard deviation, as a share of the value
    "gaussian_blur": (0.4, 0.6, 0.7, 0.8, 1),  # standard deviation, pixels
    "glass_blur": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    # standard deviation of the blur before and after, reach of a swap, both in pixels, and rounds of swaps
    "snow": (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),  # as in ``snow``
    "synthetic_frost": ((1, 0.1), (1, 0.2), (0.95, 0.35), (0.9, 0.5), (0.85, 0.65)),  # shares of image and ice; our own
    "spatter": (
        (0.62, 0.1, 0.7, 0.7, 0.5, 0), (0.65, 0.1, 0.8, 0.7, 0.5, 0), (0.65, 0.3, 1, 0.69, 0.5, 0),
        (0.65, 0.1, 0.7, 0.69, 0.6, 1), (0.65, 0.1, 0.5, 0.68, 0.6, 1),
    ),  # as in ``spatter``
    "saturate": ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),  # HSV's saturation times the first plus the other
}  # fmt: skip


def corrupt(images: Array, kind: str, severity: int, seed: int = 0) -> Array:
    """Images (N, H, W, 3) uint8, corrupted; the input stays as it is.

    kind: of ``SEVERITIES``; severity: 1 to 5. What is drawn for an image depends only on its pixels, the kind and the
    seed, so its bytes are the same in every batch, and its five severities share their draws. Raises UserError for an
    unknown kind or severity, and for images of another form.
    """
    if kind not in SEVERITIES:
        raise unknown("corruption", kind, SEVERITIES)
    if severity not in range(1, 6):
        raise UserError(f"severity {severity} of a corruption: take 1, 2, 3, 4 or 5")
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise UserError(f"corruptions take (N, H, W, 3) uint8 images, not {images.shape} {images.dtype}")
    parameters, corrupted = SEVERITIES[kind][severity - 1], np.empty(images.shape, np.uint8)
    for start in range(0, len(images), CHUNK):
        part = np.ascontiguousarray(images[start : start + CHUNK])
        corrupted[start : start + CHUNK] = KINDS[kind](part, parameters, draws(part, kind, seed))
    return corrupted


def draws(images: Array, kind: str, seed: int) -> Draws:
    """A generator for each image, seeded by a hash of its pixels, the kind and the seed."""
    keys = [blake2b(image.tobytes() + f"{kind} {seed}".encode(), digest_size=16).digest() for image in images]
    return [np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little"))) for key in keys]


def gaussian_noise(images: Array, deviation: float, draws: Draws) -> Array:
    noise = np.stack([draw.standard_normal(images.shape[1:], dtype=np.float32) for draw in draws])
    return to_bytes(to_unit(images) + np.float32(deviation) * noise)


def shot_noise(images: Array, photons: int, draws: Draws) -> Array:
    """Poisson counts of photons."""
    expected = images * (photons / 255)
    counts = np.stack([draw.poisson(light) for draw, light in zip(draws, expected, strict=True)])
    return to_bytes((counts / photons).astype(np.float32))


def impulse_noise(images: Array, share: float, draws: Draws) -> Array:
    """Salt and pepper in equal parts, each channel by itself."""
    chance = np.stack([draw.random(images.shape[1:], dtype=np.float32) for draw in draws])
    pepper, salt = chance < share / 2, chance >= 1 - share / 2
    return np.where(pepper, 0, np.where(salt, 255, images)).astype(np.uint8)


def speckle_noise(images: Array, deviation: float, draws: Draws) -> Array:
    """Gaussian noise in proportion to each value."""
    noise = np.stack([draw.standard_normal(images.shape[1:], dtype=np.float32) for draw in draws])
    unit = to_unit(images)
    return to_bytes(unit + np.float32(deviation) * unit * noise)


def gaussian_blur(images: Array, deviation: float, draws: Draws) -> Array:
    return to_bytes(blurred(to_unit(images), deviation * pixels(images)))


def blurred(unit: Array, deviation: float) -> Array:
    """(N, H, W, C) by a Gaussian of so many pixels; the edge goes on beyond the image."""
    return gaussian_filter(unit, (0, deviation, deviation, 0), mode="nearest")


def glass_blur(images: Array, parameters: tuple[float, float, int], draws: Draws) -> Array:
    """Each pixel changes places with one up to a reach above and to the left of it, between two blurs.

    The published code means a swap, but writes through a view of the array, and so copies the neighbour.
    """
    deviation, reach, rounds = parameters[0] * pixels(images), round(parameters[1] * pixels(images)), parameters[2]
    reach = max(1, reach)
    shaken = to_bytes(blurred(to_unit(images), deviation))
    height, width = images.shape[1:3]
    rows, columns = (range(length - reach, reach, -1) for length in (height, width))
    offsets = np.stack([draw.integers(-reach, reach, (rounds, len(rows), len(columns), 2)) for draw in draws])
    image = np.arange(len(images))
    for turn, (i, row), (j, column) in product(range(rounds), enumerate(rows), enumerate(columns)):
        there = image, row + offsets[:, turn, i, j, 0], column + offsets[:, turn, i, j, 1]
        shaken[:, row, column], shaken[there] = shaken[there], shaken[:, row, column].copy()
    return to_bytes(blurred(to_unit(shaken), deviation))


def defocus_blur(images: Array, parameters: tuple[float, float], draws: Draws) -> Array:
    """A disk with a soft rim, as out of focus; mirrored at the edges."""
    kernel = soft_disk(*(pixels(images) * length for length in parameters))
    reach = len(kernel) // 2
    margins = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    padded, blurred = np.pad(to_unit(images), margins, mode="reflect"), np.zeros(images.shape, np.float32)
    height, width = images.shape[1:3]
    for (down, right), weight in np.ndenumerate(kernel):
        if weight > 0:
            blurred += weight * padded[:, down : down + height, right : right + width]
    return to_bytes(blurred)


def soft_disk(radius: float, softness: float) -> Array:
    """(K, K) float32 kernel that sums to one: a disk of pixels, blurred by a Gaussian that is cut to 3 x 3."""
    reach = int(radius) + 1
    offset = np.arange(-reach, reach + 1)
    disk = (offset**2 + offset[:, None] ** 2 <= radius**2).astype(float)
    blurred = gaussian_filter(disk, softness, mode="constant", radius=1)
    return (blurred / blurred.sum()).astype(np.float32)


def motion_blur(images: Array, deviation: float, draws: Draws) -> Array:
    """Half a Gaussian along a line at an angle of -45 to 45 degrees; the edge pixels are repeated beyond the image."""
    deviation *= pixels(images)
    angles = np.deg2rad([draw.uniform(-45, 45) for draw in draws])
    return to_bytes(smear(to_unit(images), angles, deviation, int(3 * deviation) + 1))


def zoom_blur(images: Array, largest: float, draws: Draws) -> Array:
    """The mean of the image and of zooms into its middle, from 1 to the largest."""
    unit = torch.from_numpy(to_unit(images)).permute(0, 3, 1, 2).contiguous()
    zooms = np.arange(1, largest + 0.005, 0.01).tolist()
    total = unit.clone()
    for zoom in zooms:
        rows, columns = (torch.from_numpy(zoom_weights(length, zoom)) for length in images.shape[1:3])
        zoomed_across = unit @ columns.T
        total += (zoomed_across.mT @ rows.T).mT
    return to_bytes((total / (len(zooms) + 1)).permute(0, 2, 3, 1).numpy())


def brightness(images: Array, added: float, draws: Draws) -> Array:
    """HSV's value raised, at the same hue and saturation: all channels grow by one factor, and black becomes grey."""
    unit = to_unit(images)
    value = unit.max(axis=3, keepdims=True)
    raised = np.clip(value + np.float32(added), 0, 1)
    return to_bytes(np.where(value > 0, unit * (raised / np.maximum(value, np.float32(1e-6))), raised))


def contrast(images: Array, kept: float, draws: Draws) -> Array:
    """Each channel drawn to its mean over the image."""
    sums = images.sum(axis=(1, 2), keepdims=True, dtype=np.int64)  # exact in any order
    mean = (sums / (255 * images[0, :, :, 0].size)).astype(np.float32)
    return to_bytes(mean + np.float32(kept) * (to_unit(images) - mean))


def saturate(images: Array, parameters: tuple[float, float], draws: Draws) -> Array:
    """HSV's saturation changed at the same hue and value; the hue of grey is red, as conversions to HSV have it."""
    factor, added = map(np.float32, parameters)
    unit = to_unit(images)
    value, least = unit.max(axis=3, keepdims=True), unit.min(axis=3, keepdims=True)
    spread = value - least
    saturation = spread / np.maximum(value, np.float32(1e-6))
    changed = np.clip(factor * saturation + added, 0, 1)
    distance = np.where(
        spread > 0, (value - unit) / np.maximum(spread, np.float32(1e-6)), np.array([0, 1, 1], np.float32)
    )
    return to_bytes(value * (1 - changed * distance))


def elastic_transform(images: Array, parameters: tuple[float, float, float], draws: Draws) -> Array:
    """A random affine map by three points, and a smooth random displacement, sampled once, bilinearly."""
    reach, deviation, smoothness = (pixels(images) * length for length in parameters)
    height, width = images.shape[1:3]
    corners = np.stack([draw.uniform(-reach, reach, (3, 2)) for draw in draws])  # of the points below, (N, 3, 2)
    noise = np.stack([draw.uniform(-1, 1, (2, height, width)) for draw in draws])
    wave = gaussian_filter(noise, (0, 0, smoothness, smoothness), mode="reflect", truncate=3)
    wave *= deviation * np.sqrt(3) * 2 * np.sqrt(np.pi) * smoothness  # a smoothed uniform's deviation becomes 1
    down, right = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    # Points at (2/3, 2/3), (2/3, -2/3) and (-2/3, -2/3) of the half image move by the corners' displacements.
    weights = np.stack([0.5 + 0.75 * down, 0.75 * (right - down), 0.5 - 0.75 * right])
    moved = np.einsum("nkd,khw->ndhw", corners, weights) + wave  # (N, 2, H, W) pixels, right and down
    scale = np.array([2 / width, 2 / height])
    still = np.stack([right * (1 - 1 / width), down * (1 - 1 / height)], axis=-1)
    grid = torch.from_numpy((still + np.moveaxis(moved, 1, 3) * scale).astype(np.float32))
    unit = torch.from_numpy(to_unit(images)).permute(0, 3, 1, 2)
    sampled = F.grid_sample(unit, grid, padding_mode="reflection", align_corners=False)
    return to_bytes(sampled.permute(0, 2, 3, 1).numpy())


def pixelate(images: Array, share: float, draws: Draws) -> Array:
    """Fewer pixels, and as many again, by areas."""
    height, width = images.shape[1:3]
    small, full = (int(width * share), int(height * share)), (width, height)
    box = Image.Resampling.BOX
    return np.stack([np.asarray(Image.fromarray(image).resize(small, box).resize(full, box)) for image in images])


def jpeg_compression(images: Array, quality: int, draws: Draws) -> Array:
    """Written as JPEG, colours at half resolution, and read again."""
    compressed = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=quality)
        compressed.append(np.asarray(Image.open(buffer)))
    return np.stack(compressed)


KINDS: dict[str, Callable[[Array, Any, Draws], Array]] = {
    function.__name__: function
    for function in (
        gaussian_noise, shot_noise, impulse_noise, defocus_blur, motion_blur, zoom_blur, fog, brightness, contrast,
        elastic_transform, pixelate, jpeg_compression, speckle_noise, gaussian_blur, glass_blur, snow, synthetic_frost,
        spatter, saturate,
    )
}  # fmt: skip
