"""How paint and light mix: pigment over skin, sheen, gloss, the picture's light.

A pixel is taken apart into light × shading × reflectance. Pigment changes the reflectance alone,
so pores, folds, shadows and highlights of the skin stay where they are. Coverage follows
Kubelka-Munk theory, so that a pastel covers dark skin as chalk does and a dark stain sinks into
light skin as wine does, from one opacity.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_training.cosmetics.geometry import Map, Window

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Rec. 709 luminance of linear red, green, blue."""

SKIN_CHROMATICITY = np.array([0.50, 0.29, 0.21], np.float32)
"""Share of linear red, green and blue in skin under white light (light and dark skin are close)."""

_GRAY = 0.26
"""Mean reflectance of skin; what exposure is guessed against."""

_DARKEST = 0.045
"""Reflectance of the darkest skin: what sends less stands in dim light."""

_CODES = np.arange(256, dtype=np.float64) / 255.0
_TO_LINEAR = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)


def to_linear(image_bgr: NDArray[np.uint8]) -> Map:
    """uint8 (H, W, 3) sRGB in BGR order to float32 (H, W, 3) linear light in RGB order."""
    return _TO_LINEAR[image_bgr[..., ::-1]]


def to_srgb(linear: Map) -> NDArray[np.uint8]:
    """float32 (H, W, 3) linear light in RGB order to uint8 sRGB in BGR order; clips. Inverse of
    `to_linear`: a byte comes back as it was."""
    light = np.clip(linear[..., ::-1], 0.0, 1.0)
    srgb = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.power(light, 1 / 2.4) - 0.055)
    return np.round(srgb * 255.0).astype(np.uint8)


def luminance(linear: Map) -> Map:
    """float32 (H, W, 3) linear RGB to float32 (H, W)."""
    return linear @ LUMINANCE


@dataclass(frozen=True)
class Light:
    """The light a face stands in, guessed from its skin.

    Attributes:
        color: float32 (3,), what a white matte surface at the cheek would send, linear RGB.
        skin: float32 (3,), the cheeks' own linear RGB.
        skin_luminance: of `skin`.
        side: in [-1, 1], positive when the light comes from the picture's right.
    """

    color: NDArray[np.float32]
    skin: NDArray[np.float32]
    skin_luminance: float
    side: float

    @classmethod
    def from_skin(cls, linear: Map, cheeks: Map, right: NDArray[np.bool_]) -> "Light":
        """Guess the light.

        Whether a dark cheek is dark skin or dim light cannot be known; a prior on both gives a
        third of the deviation from mean skin to the light. Half of the deviation of the skin's
        chromaticity from that of skin under white light counts as the light's cast.

        Args:
            linear: float32 (H, W, 3).
            cheeks: float32 (H, W), weight of the pixels that show cheek.
            right: bool (H, W), the pixels right of the face's midline.
        """
        sample = cheeks > 0.5
        pixels = linear[sample]
        if len(pixels) < 16:
            pixels, sample = linear.reshape(-1, 3), np.ones(cheeks.shape, bool)
        y = pixels @ LUMINANCE
        low, high = np.percentile(y, (35, 80))
        middle = pixels[(y >= low) & (y <= high)]
        skin = np.maximum(middle.mean(axis=0), 1e-3).astype(np.float32)
        skin_luminance = max(float(skin @ LUMINANCE), 4e-3)
        exposure = float(np.clip((skin_luminance / _GRAY) ** 0.35, 0.1, 1.25))
        exposure = min(exposure, skin_luminance / _DARKEST)
        cast = np.clip(np.sqrt(skin / skin.sum() / SKIN_CHROMATICITY), 0.8, 1.25)
        cast = cast / float(cast @ LUMINANCE)
        sides = [
            float(np.median(luminance(linear)[sample & s]))
            if (sample & s).any()
            else skin_luminance
            for s in (right, ~right)
        ]
        side = (sides[0] - sides[1]) / max(sum(sides), 1e-3)
        return cls((exposure * cast).astype(np.float32), skin, skin_luminance, side)


def kubelka_munk(ground: Map, color: Map, opacity: Map) -> Map:
    """Reflectance of a layer of paint over a ground (Kubelka & Munk, 1931).

    With a = (1/R∞ + R∞)/2 and b = (1/R∞ − R∞)/2 a layer reflects
    (1 − R_g (a − b coth τ)) / (a − R_g + b coth τ), τ the optical thickness b·S·x. Opacity is
    tanh τ: 0 leaves the ground, 1 shows R∞.

    Args:
        ground: float32 (..., 3), reflectance R_g in [0, 1).
        color: float32 (..., 3), reflectance R∞ of a thick layer in (0, 1).
        opacity: float32 (..., 1) in [0, 1].

    Returns:
        float32 (..., 3).
    """
    color = np.clip(color, 0.012, 0.95)
    a, b = 0.5 * (1.0 / color + color), 0.5 * (1.0 / color - color)
    return (opacity * (1.0 - a * ground) + b * ground) / (opacity * (a - ground) + b)


class Canvas:
    """A picture in linear light, the light in it, and where paint is allowed."""

    def __init__(self, linear: Map, light: Light, allowed: Map) -> None:
        """`linear` (H, W, 3) is painted in place; `allowed` (H, W) scales every layer."""
        self.linear = linear
        self.light = light
        self.allowed = allowed

    def paint(
        self,
        window: Window,
        opacity: Map,
        color: Map,
        *,
        hiding: float = 1.0,
        leveling: float = 0.15,
        base: float | None = None,
        lit: float = 1.0,
    ) -> None:
        """Lay a pigment.

        Args:
            window: where.
            opacity: float32 (h, w) in [0, 1].
            color: float32 (3,) or (h, w, 3), linear RGB of a thick layer.
            hiding: 1 for a product full of white filler, which hides darker skin as chalk does;
                toward 0 for a sheer one, which tints skin darker than itself but barely lightens.
            leveling: how far a full cover evens out the ground's light and dark.
            base: luminance of the bare ground in even light; the cheeks' by default. What differs
                from it is shading and stays.
            lit: how much of the face's light falls on this feature.
        """
        view = self.linear[window.slices]
        opacity = (opacity * self.allowed[window.slices])[..., None]
        base = self.light.skin_luminance if base is None else base
        shade = np.maximum(luminance(view) / base, 1e-3)[..., None]
        diffuse = np.where(shade > 1.15, 1.15 + 0.45 * (shade - 1.15), shade)
        light = self.light.color * lit
        ground = np.clip(view / (shade * light), 0.0, 0.97)
        lighter = np.maximum(
            luminance(np.asarray(color)) / np.maximum(luminance(ground), 0.01), 1.0
        )
        color = color * lighter[..., None] ** (hiding - 1.0)
        opacity = np.clip(opacity, 0.0, 1.0)
        level = diffuse ** (1.0 - leveling * opacity)
        view += light * (level * kubelka_munk(ground, color, opacity) - diffuse * ground)

    def scale(self, window: Window, factor: Map) -> None:
        """Multiply by factor (h, w) or (h, w, 3) where paint is allowed."""
        view = self.linear[window.slices]
        allowed = self.allowed[window.slices][..., None]
        factor = factor if factor.ndim == 3 else factor[..., None]
        view *= 1.0 + allowed * (factor - 1.0)

    def shine(self, window: Window, amount: Map, color: Map | None = None) -> None:
        """Add reflected light: `amount` (h, w) times the light, times a colour (3,) if given."""
        tint = self.light.color if color is None else self.light.color * color
        self.linear[window.slices] += (amount * self.allowed[window.slices])[..., None] * tint


def blur(values: Map, sigma: float) -> Map:
    """Gaussian blur with reflected borders; `sigma` in pixels."""
    result: Map = cv2.GaussianBlur(values, (0, 0), max(sigma, 0.3), borderType=cv2.BORDER_REFLECT)
    return result


def grain(rng: np.random.Generator, shape: tuple[int, ...], size: float) -> Map:
    """Smooth noise of zero mean and unit deviation; `size` is the blobs' radius in pixels."""
    noise = rng.standard_normal(shape[:2]).astype(np.float32)
    smooth = blur(noise, size)
    return (smooth - smooth.mean()) / max(float(smooth.std()), 1e-6)
