"""Photometric augmentation: light, colour, blur, noise, compression of a uint8 BGR picture."""

import cv2
import numpy as np

from makeup_kernels.types import Image


def relight(image: Image, rng: np.random.Generator) -> Image:
    """A randomly lit, coloured, blurred, noisy, compressed copy of uint8 (H, W, 3) BGR."""
    if rng.random() < 0.1:
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        image = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    elif rng.random() < 0.35:
        image = _saturate(image, rng.uniform(0.4, 1.5))
    if rng.random() < 0.35:
        image = _light_field(image, rng)
    image = cv2.LUT(image, _tone_table(rng))
    if rng.random() < 0.3:
        image = _lower_resolution(image, rng)
    if rng.random() < 0.25:
        image = _blur(image, rng)
    if rng.random() < 0.35:
        image = _noise(image, rng)
    if rng.random() < 0.3:
        quality = int(rng.integers(20, 90))
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return image


def _tone_table(rng: np.random.Generator) -> Image:
    """Gamma, contrast, brightness and colour cast as one (1, 256, 3) look-up table."""
    level = np.linspace(0, 1, 256)[:, None]
    gamma = np.exp(rng.normal(0, 0.3) + rng.normal(0, 0.07, 3))
    contrast, brightness = np.exp(rng.normal(0, 0.2)), rng.normal(0, 0.08)
    gain = np.exp(rng.normal(0, 0.1, 3))
    table = ((level**gamma - 0.5) * contrast + 0.5 + brightness) * gain
    return np.clip(table * 255 + 0.5, 0, 255).astype(np.uint8)[None]


def _saturate(image: Image, factor: float) -> Image:
    weights = np.array([0.114, 0.587, 0.299])
    mix = factor * np.eye(3) + (1 - factor) * weights
    return np.asarray(cv2.transform(image, mix), np.uint8)


def _light_field(image: Image, rng: np.random.Generator) -> Image:
    """Side light and shadows: a smooth random gain, slightly different per channel."""
    cells = int(rng.integers(2, 5))
    strength = rng.uniform(0.1, 0.5)
    coarse = np.exp(
        rng.normal(0, strength, (cells, cells, 1)) + rng.normal(0, 0.06, (cells, cells, 3))
    )
    field = cv2.resize(
        coarse.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(cv2.multiply(image, field, dtype=cv2.CV_8U), np.uint8)


def _lower_resolution(image: Image, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    factor = rng.uniform(0.3, 0.9)
    small = cv2.resize(
        image,
        (max(8, int(width * factor)), max(8, int(height * factor))),
        interpolation=cv2.INTER_AREA,
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _blur(image: Image, rng: np.random.Generator) -> Image:
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.8)), np.uint8)
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * (length / 2)
    middle = np.array([length / 2, length / 2])
    ends = np.round(np.stack([middle - reach, middle + reach])).astype(np.int32)
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0)
    kernel[length // 2, length // 2] = 1.0
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def _noise(image: Image, rng: np.random.Generator) -> Image:
    sigma = rng.uniform(1, 14)
    channels = 3 if rng.random() < 0.6 else 1
    noise = np.zeros((*image.shape[:2], channels), np.int16)
    cv2.setRNGSeed(int(rng.integers(1 << 30)))
    cv2.randn(noise, np.zeros(channels), np.full(channels, sigma))
    noisy = image.astype(np.int16) + noise.reshape(*image.shape[:2], channels)
    return np.clip(noisy, 0, 255).astype(np.uint8)
