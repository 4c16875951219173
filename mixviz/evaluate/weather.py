"""Weather of ImageNet-C: fog, snow, spatter, and ice that stands in for the photographs of its frost."""

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, uniform_filter

from mixviz.evaluate.corruption_base import Array, Draws, pixels, smear, to_bytes, to_unit, zoom_weights

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # of the channels, as in ITU-R BT.601
WATER = np.array([175, 238, 238], np.float32) / 255
MUD = np.array([63, 42, 20], np.float32) / 255
ICE = np.array([0.85, 0.93, 1.0], np.float32)
CRYSTALS = 1.5  # decay of detail from scale to scale in ice


def fog(images: Array, parameters: tuple[float, float], draws: Draws) -> Array:
    """A plasma fractal added, and the sum scaled back to the image's own maximum."""
    thickness, decay = parameters
    height, width = images.shape[1:3]
    size = 1 << (max(height, width) - 1).bit_length()
    unit = to_unit(images)
    brightest = unit.max(axis=(1, 2, 3), keepdims=True)
    haze = np.float32(thickness) * plasma(draws, size, decay)[:, :height, :width, None]
    return to_bytes((unit + haze) * brightest / (brightest + np.float32(thickness)))


def plasma(draws: Draws, size: int, decay: float) -> Array:
    """(N, size, size) float32 clouds from 0 to 1, by diamonds and squares on a torus; size is a power of two.

    From each scale to the next finer one the random part shrinks by ``decay``.
    """
    wobbles = np.stack([draw.uniform(-1, 1, size * size - 1) for draw in draws]).astype(np.float32)
    heights, used = np.zeros((len(draws), size, size), np.float32), 0
    step, amplitude = size, np.float32(1)
    while step >= 2:
        half, count = step // 2, (size // step) ** 2
        corners = heights[:, ::step, ::step]
        parts = amplitude * wobbles[:, used : used + 3 * count].reshape(-1, 3, size // step, size // step)
        middles = (corners + np.roll(corners, -1, 1) + np.roll(corners + np.roll(corners, -1, 1), -1, 2)) / 4
        middles = heights[:, half::step, half::step] = middles + parts[:, 0]
        upper, left = middles + np.roll(middles, 1, 1), middles + np.roll(middles, 1, 2)
        heights[:, ::step, half::step] = (upper + corners + np.roll(corners, -1, 2)) / 4 + parts[:, 1]
        heights[:, half::step, ::step] = (left + corners + np.roll(corners, -1, 1)) / 4 + parts[:, 2]
        step, amplitude, used = half, amplitude / np.float32(decay), used + 3 * count
    heights -= heights.min(axis=(1, 2), keepdims=True)
    return heights / heights.max(axis=(1, 2), keepdims=True)


def snow(images: Array, parameters: tuple[float, ...], draws: Draws) -> Array:
    """Flakes that fall within 45 degrees of straight down, on an image that is whitened.

    parameters: mean and standard deviation of the noise that flakes are cut out of, its zoom, the least value of a
    flake, radius and standard deviation of the smear in pixels, and the share of the image that is not whitened.
    """
    mean, deviation, zoom, least, radius, spread, kept = parameters
    height, width = images.shape[1:3]
    noise = np.stack([draw.normal(mean, deviation, (height, width)) for draw in draws]).astype(np.float32)
    if zoom > 1:
        noise = zoom_weights(height, zoom) @ noise @ zoom_weights(width, zoom).T
    flakes = np.clip(np.where(noise < least, 0, noise), 0, 1)[..., None]
    angles = np.deg2rad([draw.uniform(-135, -45) for draw in draws])
    spread *= pixels(images)
    flakes = smear(flakes, angles, spread, int(min(3 * spread, 2 * radius * pixels(images))) + 1)
    unit = to_unit(images)
    white = np.maximum(unit, 1.5 * (unit @ GREY)[..., None] + np.float32(0.5))
    kept = np.float32(kept)
    return to_bytes(kept * unit + (1 - kept) * white + flakes + flakes[:, ::-1, ::-1])


def synthetic_frost(images: Array, parameters: tuple[float, float], draws: Draws) -> Array:
    """Veins of ice added: the ridges of a plasma fractal.

    ImageNet-C adds photographs of frost instead, so numbers of its frost cannot be compared with those of this kind.
    parameters: shares of the image and of the ice.
    """
    kept, added = map(np.float32, parameters)
    height, width = images.shape[1:3]
    size = 1 << (max(height, width) - 1).bit_length()
    ridges = 1 - np.abs(2 * plasma(draws, size, CRYSTALS)[:, :height, :width, None] - 1)
    return to_bytes(kept * to_unit(images) + added * ridges**2 * ICE)


def spatter(images: Array, parameters: tuple[float, ...], draws: Draws) -> Array:
    """Drops of water (severities 1 to 3) or mud (4 and 5).

    parameters: mean and standard deviation of the noise, its smoothness in pixels, the least value of a drop, the
    strength of water or the smoothness of mud, and whether it is mud. The relief of water is simpler than in the
    published code, which finds edges by Canny and equalises the distances to them.
    """
    mean, deviation, smoothness, least, strength, is_mud = parameters
    noise = np.stack([draw.normal(mean, deviation, images.shape[1:3]) for draw in draws])
    scale = pixels(images)
    liquid = gaussian_filter(noise, (0, smoothness * scale, smoothness * scale), mode="nearest")
    drops = liquid >= least
    if is_mud:
        cover = gaussian_filter(drops.astype(np.float32), (0, strength * scale, strength * scale), mode="nearest")
        cover = np.where(cover < 0.8, 0, cover)[..., None].astype(np.float32)
        return to_bytes(to_unit(images) * (1 - cover) + MUD * cover)
    depth = [np.asarray(distance_transform_edt(drop)) for drop in drops]
    relief = np.stack([uniform_filter(one * deep, 3, mode="nearest") for one, deep in zip(liquid, depth, strict=True)])
    highest = np.maximum(relief.max(axis=(1, 2), keepdims=True), 1e-6)
    return to_bytes(to_unit(images) + (strength * relief / highest).astype(np.float32)[..., None] * WATER)
