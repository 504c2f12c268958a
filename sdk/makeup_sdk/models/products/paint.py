"""Paint products on a face: on bare skin, or over another makeup."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_kernels.types import Image
from makeup_sdk.cosmetics.canvas import Patch
from makeup_sdk.cosmetics.carry import CarriedPaint
from makeup_sdk.cosmetics.light import SkinLight
from makeup_sdk.cosmetics.paint import paint
from makeup_sdk.cosmetics.view import FaceView
from makeup_sdk.faces.memory import Memory
from makeup_sdk.faces.smoothing import SmoothingOptions, Step
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.base import TONE
from makeup_sdk.makeup.products import Product
from makeup_sdk.models.base import Follower, Paint, Painter, Remembering, Strength, scaled

_NEW_LIGHT = 0.15
"""Deviation of the skin's log light from its average that counts as a change of light."""

_MOST_FRAMES = 1000
"""Frames of an average from which on their number changes nothing."""


@dataclass(frozen=True)
class PatchPaint:
    """Changes of a face's light, applied in order. A `Paint`."""

    patches: Sequence[Patch]

    def put(self, image: Image, face: FaceAnalysis, *, color: str, threads: int | None) -> None:
        """See `Paint.put`; keeps the frame's detail, because its own pixels are multiplied."""
        for patch in self.patches:
            patch.put(image, face.matrix, color=color, threads=threads)


class ProductsPainter(Painter):
    """Products, prepared for painting. Immutable; may be shared by threads.

    Args:
        products: the products.
    """

    def __init__(self, products: Sequence[Product]) -> None:
        self.products = tuple(products)

    def paint(self, face: FaceAnalysis, strength: Strength) -> PatchPaint:
        """See `Painter.paint`."""
        return self.paint_over(face, face.crop, None, strength)

    def paint_over(
        self, face: FaceAnalysis, made_up: Image, light: SkinLight | None, strength: Strength
    ) -> PatchPaint:
        """Paint a face that already has another makeup.

        Args:
            face: the bare face.
            made_up: uint8 (256, 256, 3), BGR, its crop with that makeup.
            light: the light on it; None: measured on the bare face.
            strength: see `Strength`.
        """
        if light is None and made_up is face.crop:
            view = face.once("view", partial(FaceView.of, face))
            return PatchPaint(paint(view, self.products, strength))
        if light is None:
            light = face.once("light", partial(measured, face))
        view = FaceView.of(replace(face, crop=made_up), light)
        return PatchPaint(paint(view, self.products, strength))

    def follow(self, options: SmoothingOptions) -> Follower:
        """See `Painter.follow`; averages the light over time."""
        return _ProductsFollower(self, options)


class LayeredPainter(Painter):
    """Products over another makeup.

    Args:
        base: paints the makeup below.
        regions: the regions that it may paint.
        over: paints the products.
    """

    def __init__(self, base: Painter, regions: frozenset[Region], over: ProductsPainter) -> None:
        self._base, self._regions, self._over = base, regions, over

    def paint(self, face: FaceAnalysis, strength: Strength) -> "LayeredPaint":
        """See `Painter.paint`."""
        under = self._base.paint(face, below(strength, self._regions))
        return LayeredPaint(
            under, self._over.paint_over(face, painted(under, face), None, strength)
        )

    def follow(self, options: SmoothingOptions) -> Follower:
        """See `Painter.follow`."""
        return _LayeredFollower(self._base.follow(options), self._regions, self._over, options)


@dataclass(frozen=True)
class LayeredPaint:
    """A makeup with products over it. A `Paint`."""

    below: Paint
    over: PatchPaint

    def put(self, image: Image, face: FaceAnalysis, *, color: str, threads: int | None) -> None:
        """See `Paint.put`."""
        self.below.put(image, face, color=color, threads=threads)
        self.over.put(image, face, color=color, threads=threads)


class _ProductsFollower:
    """Products on one face of a stream. See `Follower`."""

    def __init__(self, painter: ProductsPainter, options: SmoothingOptions) -> None:
        self._over = _Carrier(painter, options)

    def paint(
        self, face: FaceAnalysis, step: Step | None, strength: Strength, opacity: float
    ) -> PatchPaint:
        return self._over.paint(face, face.crop, step, scaled(strength, opacity))

    def remember(self, memory: Memory) -> None:
        self._over.remember(memory)

    def recall(self, memory: Memory) -> None:
        self._over.recall(memory)


class _LayeredFollower:
    """Products over another makeup on one face of a stream. See `Follower`."""

    def __init__(
        self,
        base: Follower,
        regions: frozenset[Region],
        over: ProductsPainter,
        options: SmoothingOptions,
    ) -> None:
        self._base, self._regions, self._over = base, regions, _Carrier(over, options)

    def paint(
        self, face: FaceAnalysis, step: Step | None, strength: Strength, opacity: float
    ) -> LayeredPaint:
        under = self._base.paint(face, step, below(strength, self._regions), opacity)
        crop = painted(under, face)
        return LayeredPaint(under, self._over.paint(face, crop, step, scaled(strength, opacity)))

    def remember(self, memory: Memory) -> None:
        self._over.remember(memory)
        if isinstance(self._base, Remembering):
            self._base.remember(memory.below("base"))

    def recall(self, memory: Memory) -> None:
        self._over.recall(memory)
        if isinstance(self._base, Remembering):
            self._base.recall(memory.below("base"))


class _Carrier:
    """Products on one face of a stream: averages the light and moves the paint with the face."""

    def __init__(self, painter: ProductsPainter, options: SmoothingOptions) -> None:
        self._paint = CarriedPaint(painter.products)
        self._light = LightSmoother(options.colors)

    def paint(
        self, face: FaceAnalysis, made_up: Image, step: Step | None, strength: Strength
    ) -> PatchPaint:
        """Paint the next frame; `made_up` is the crop with the makeup below."""
        bare = FaceView.of(face)
        light = self._light(bare.light, step.seconds if step else 0.0)

        def view() -> FaceView:
            if made_up is face.crop:
                return replace(bare, light=light)
            return FaceView.of(replace(face, crop=made_up), light)

        news = None if step is None else step.news
        patches = self._paint.patches(view, bare.points, light, bare.frame_pixel, strength, news)
        return PatchPaint(patches)

    def remember(self, memory: Memory) -> None:
        """Store only the light; the parts are repainted, as they are every few frames."""
        self._light.remember(memory)

    def recall(self, memory: Memory) -> None:
        self._light.recall(memory)


class LightSmoother:
    """Averages a face's light over time; a change of light takes effect at once.

    Args:
        seconds: time constant in constant light.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._values: NDArray[np.float64] | None = None
        self._count = 0

    def __call__(self, light: SkinLight, dt: float) -> SkinLight:
        """Take a measurement, dt seconds after the last; returns the smoothed one."""
        values = np.array([*np.log(light.skin), np.log(light.reflectance), light.side])
        if self._values is not None:
            drift = values - self._values
            if np.abs(drift[:3]).max() < _NEW_LIGHT:
                slow = 1 - np.exp(-dt / self._seconds) if self._seconds > 0 else 1.0
                values = self._values + max(slow, 1 / (self._count + 1)) * drift
        self._values = values
        self._count += 1
        skin = np.exp(values[:3]).astype(np.float32)
        return SkinLight.of(skin, float(np.exp(values[3])), float(values[4]))

    def remember(self, memory: Memory) -> None:
        """Keep the average."""
        if self._values is not None:
            memory.put("light", self._values)
            memory.put("light count", min(self._count, _MOST_FRAMES))

    def recall(self, memory: Memory) -> None:
        """Go on from it.

        Raises:
            InvalidInputError: it is not of this kind.
        """
        if "light" in memory:
            self._values = memory.take("light", (5,)).astype(np.float64)
            self._count = memory.take_count("light count", _MOST_FRAMES)


def measured(face: FaceAnalysis) -> SkinLight:
    """The light of a bare face."""
    points = face.crop_landmarks.astype(np.float64)
    return SkinLight.measure(face.crop, points, face.regions)


def below(strength: Strength, regions: frozenset[Region]) -> Strength:
    """The part of a strength for the makeup below the products, which paints `regions`."""
    return {part: share for part, share in strength.items() if part in regions or part == TONE}


def painted(paint: Paint, face: FaceAnalysis) -> Image:
    """uint8 (256, 256, 3): the crop of a face with a paint."""
    crop: Image = face.crop.copy()
    there = replace(face, landmarks=face.crop_landmarks, matrix=np.eye(2, 3))
    paint.put(crop, there, color="bgr", threads=1)
    return crop
