"""Textures fixed to the face: powder, mica, glitter, lashes.

They are generated once, in a feature's local axes, and sampled at the frame's resolution, so that
they move with the face and are stable on a still face.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from makeup_kernels.types import FloatArray
from makeup_sdk.cosmetics.axes import Axes
from makeup_sdk.cosmetics.maps import blur

_TILE = 512
_TILE_SCALE = 128.0
"""Texels of powder per eye width."""
_LASH_SCALE = 512.0
"""Texels of lashes per eye width."""
LASH_SPAN, LASH_HEIGHT = (-0.25, 1.65), 0.55
"""Extent of the lash texture: range of t, and height above the lid's edge."""
_VARIANTS = 8
_HAIR_SLANT = np.float32(0.35)
"""How much hairs slant down towards the outside of the face."""


@dataclass(frozen=True)
class Hand:
    """Randomness of the application.

    Attributes:
        seed: seed of tremor, powder and lashes.
        tremor: 0 is exact, 1 as unsteady as a person.
    """

    seed: int = 0
    tremor: float = 0.0

    def vary(self, what: str, spread: float, count: int = 1) -> FloatArray:
        """float32 (count,) factors around 1, the same for the same seed and `what`."""
        if self.tremor == 0:
            return np.ones(count, np.float32)
        noise = self.generator(what).standard_normal(count)
        return (1.0 + self.tremor * spread * np.clip(noise, -2.5, 2.5)).astype(np.float32)

    def generator(self, what: str) -> np.random.Generator:
        """The random generator for one purpose."""
        return np.random.default_rng([self.seed, *what.encode()])

    def variant(self, what: str) -> int:
        """Number of the texture variant for one purpose."""
        return (self.seed + sum(what.encode())) % _VARIANTS


STEADY = Hand()
"""Exact and always the same."""


class Texture:
    """A mipmapped picture: each level has half the resolution; sampling interpolates levels.

    Args:
        image: float32 (h, w).
        scale: texels per eye width.
        wrap: whether it repeats beyond its borders; else it is 0 there.
    """

    def __init__(self, image: FloatArray, scale: float, *, wrap: bool) -> None:
        self._levels = [image]
        self._scale = scale
        self._border = cv2.BORDER_WRAP if wrap else cv2.BORDER_CONSTANT
        while min(self._levels[-1].shape) > 8:
            rows, columns = self._levels[-1].shape
            self._levels.append(
                cv2.resize(
                    self._levels[-1], (columns // 2, rows // 2), interpolation=cv2.INTER_AREA
                )
            )

        self._between: dict[int, FloatArray] = {}

    def at(self, x: FloatArray, y: FloatArray, cell: float) -> FloatArray:
        """float32: the texture at positions in eye widths, for cells of that size."""
        image = self._for(cell)
        rows, columns = self._levels[0].shape
        to_x = np.float32(self._scale * image.shape[1] / columns)
        to_y = np.float32(self._scale * image.shape[0] / rows)
        shape = np.broadcast(x, y).shape
        map_x, map_y = np.empty((2, *shape), np.float32)
        np.subtract(x * to_x, np.float32(0.5), out=map_x)
        np.subtract(y * to_y, np.float32(0.5), out=map_y)
        sampled: FloatArray = cv2.remap(
            image, map_x, map_y, cv2.INTER_LINEAR, borderMode=self._border
        )
        return sampled

    def _for(self, cell: float) -> FloatArray:
        """The picture for cells of this size, interpolated between levels in eighths."""
        level = np.clip(np.log2(max(cell * self._scale, 1e-6)), 0, len(self._levels) - 1)
        eighths = round(8 * float(level))
        low, part = divmod(eighths, 8)
        if part == 0:
            return self._levels[low]
        if eighths not in self._between:
            fine, coarse = self._levels[low], self._levels[low + 1]
            coarse = cv2.resize(coarse, fine.shape[::-1], interpolation=cv2.INTER_LINEAR)
            self._between[eighths] = fine + np.float32(part / 8) * (coarse - fine)
        return self._between[eighths]


def _noise(seed: int, size: float) -> FloatArray:
    """float32 (512, 512): seamless noise, mean 0, deviation 1; `size` is the blobs' radius."""
    noise = np.random.default_rng(seed).standard_normal((_TILE, _TILE)).astype(np.float32)
    margin = 16
    wrapped = cv2.copyMakeBorder(noise, margin, margin, margin, margin, cv2.BORDER_WRAP)
    smooth = blur(wrapped, size)[margin:-margin, margin:-margin]
    even: FloatArray = (smooth - smooth.mean()) / smooth.std()
    return even


@lru_cache(maxsize=8)
def powder(variant: int) -> Texture:
    """Fine grain of zero mean and unit deviation."""
    return Texture(_noise(100 + variant, 1.6), _TILE_SCALE, wrap=True)


@lru_cache(maxsize=8)
def mica(variant: int) -> Texture:
    """Isolated bright grains on 0, most of them small."""
    return Texture(np.clip(_noise(200 + variant, 1.1) - 1.2, 0.0, 2.0), _TILE_SCALE, wrap=True)


@lru_cache(maxsize=8)
def glitter(variant: int) -> Texture:
    """Sparse, large, very bright flakes on 0, with individual brightness."""
    rng = np.random.default_rng(300 + variant)
    flakes = np.zeros((_TILE, _TILE), np.float32)
    count = 2600
    places = rng.integers(2, _TILE - 2, (count, 2))
    for (x, y), bright in zip(places, rng.gamma(1.2, 0.8, count), strict=True):
        flakes[y, x] = max(flakes[y, x], min(bright, 3.0))
    return Texture(3.2 * blur(flakes, 0.75), _TILE_SCALE, wrap=True)


@lru_cache(maxsize=8)
def hairs(variant: int) -> Texture:
    """Fine strokes along t, of zero mean and unit deviation."""
    noise = _noise(400 + variant, 0.9)
    along = cv2.blur(noise, (15, 1), borderType=cv2.BORDER_REFLECT)
    return Texture((along - along.mean()) / along.std(), _TILE_SCALE, wrap=True)


@lru_cache(maxsize=32)
def lashes(length: float, volume: float, lower: bool, variant: int) -> Texture:
    """Coverage of lashes with their roots on the texture's lower border.

    Upper lashes are longest three quarters outward, bend outward, and taper; with more volume they
    are denser, thicker, and clump. Lower ones are short and sparse.
    """
    rng = np.random.default_rng(500 + variant + 50 * lower)
    columns = round((LASH_SPAN[1] - LASH_SPAN[0]) * _LASH_SCALE)
    rows = round(LASH_HEIGHT * _LASH_SCALE)
    ink = np.zeros((rows, columns), np.uint8)
    count = round((20 + 14 * volume) if lower else (34 + 44 * volume))
    roots = np.linspace(0.14 if lower else 0.07, 0.99, count)
    roots = roots + rng.normal(0, 0.35 / count, count)
    points = np.round(roots * (7 + 5 * volume)) / (7 + 5 * volume)  # centres of clumps
    for root, point in zip(roots, points, strict=True):
        envelope = 0.5 + 0.6 * np.exp(-(((root - 0.78) / 0.42) ** 2))
        reach = (0.055 + 0.05 * length) if lower else (0.10 + 0.19 * length)
        reach = reach * envelope * float(rng.uniform(0.62, 1.08))
        lean = 0.95 * (root - 0.40) + float(rng.normal(0, 0.10))
        s = np.linspace(0.0, 1.0, 12)
        sweep = lean * reach * s**1.35 + 0.3 * volume * (point - root) * s**1.5
        path = np.stack([root + sweep, reach * (0.75 * s + 0.25 * s**2)], axis=1)
        pixels = (path - (LASH_SPAN[0], 0.0)) * _LASH_SCALE
        thick = (0.008 + 0.007 * volume) * (0.6 if lower else 1.0) * _LASH_SCALE
        for index in range(len(s) - 1):
            width = max(1, round(thick * (1.0 - 0.93 * s[index])))
            start, end = np.round(pixels[index : index + 2] * 16).astype(int)
            cv2.line(ink, tuple(start), tuple(end), 255, width, cv2.LINE_AA, 4)
    return Texture(ink.astype(np.float32) / 255.0, _LASH_SCALE, wrap=False)


def sparkle(axes: Axes, kind: str, hand: Hand, what: str) -> FloatArray:
    """float32 (h, w), read-only: grains of "mica" or "glitter" over a feature."""
    return _laid(axes, kind, hand.variant(what))


def strokes(axes: Axes, hand: Hand, what: str) -> FloatArray:
    """float32 (h, w), read-only: fine hairs over a feature, of zero mean and unit deviation."""
    return _laid(axes, "hairs", hand.variant(what))


def grain(axes: Axes, hand: Hand, what: str, spread: float) -> FloatArray:
    """float32 (h, w): factors around 1, uneven like powder."""
    uneven: FloatArray = _laid(axes, "powder", hand.variant(what)) * np.float32(spread)
    uneven += np.float32(1)
    np.maximum(uneven, np.float32(0.7), out=uneven)
    np.minimum(uneven, np.float32(1.3), out=uneven)
    return uneven


_KINDS = {"powder": powder, "mica": mica, "glitter": glitter, "hairs": hairs}


def _laid(axes: Axes, kind: str, variant: int) -> FloatArray:
    """A texture on a feature's cells, cut from a cached sheet of its lattice."""
    side = max(axes.cells // 4, 1)
    (top, left), (rows, columns) = axes.corner, axes.shape
    first = top // side, left // side
    last = -((-top - rows) // side), -((-left - columns) // side)
    sheet = _sheet(kind, variant, axes.cells, first, last)
    y, x = top - first[0] * side, left - first[1] * side
    return sheet[y : y + rows, x : x + columns]


@lru_cache(maxsize=24)
def _sheet(
    kind: str, variant: int, cells: int, first: tuple[int, int], last: tuple[int, int]
) -> FloatArray:
    """A texture on a lattice, from `first` to `last` in quarters of its unit, read-only."""
    side = max(cells // 4, 1)
    v, s = (
        (np.arange(a * side, b * side) / cells).astype(np.float32)
        for a, b in zip(first, last, strict=True)
    )
    slant = _HAIR_SLANT if kind == "hairs" else np.float32(0)
    sheet = _KINDS[kind](variant).at(s[None] + 1, v[:, None] + slant * s[None] + 1, 1 / cells)
    sheet.setflags(write=False)
    return sheet
