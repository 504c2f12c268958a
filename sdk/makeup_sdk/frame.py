"""Frames and results: channel order, output arrays, suitability of faces for makeup."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
from PIL import Image as Pillow

from makeup_kernels import InvalidInputError, Region
from makeup_kernels.types import Image
from makeup_sdk.arguments import as_number, as_region
from makeup_sdk.faces import (
    Face,
    FaceAnalysis,
    FaceStatus,
    pupil_distance,
    visible_share,
    yaw_degrees,
)
from makeup_sdk.images import check_frame, to_bgr, write_photo
from makeup_sdk.looks.look import Look
from makeup_sdk.makeup.base import MAKEUP_REGIONS, MAX_STRENGTH
from makeup_sdk.photos import Photo
from makeup_sdk.photos.color import ColorSpace
from makeup_sdk.plot import plot_faces

StrengthLike: TypeAlias = float | Mapping[Region, float] | Mapping[str, float]
"""A strength argument: one number, or one per region, by `Region` or by name."""

_MIN_PUPIL_DISTANCE = 10.0
_MIN_SCORE = 0.5
_MIN_VISIBLE = 0.4
_SIDE_VIEW = (30.0, 48.0)
"""Degrees of yaw between which makeup fades out."""


@dataclass(frozen=True)
class Result:
    """The result of `MakeupEngine.process_detailed`.

    Attributes:
        image: the frame with makeup, in the input's layout.
        faces: every detected face, most confident first, painted or not (`Face.status`).
        timings: milliseconds per stage: detect, analyze, generate, composite.
        color: channel order of the image, "bgr" or "rgb".
    """

    image: Image
    faces: tuple[Face, ...]
    timings: Mapping[str, float]
    color: str = field(default="bgr", kw_only=True)

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        painted = sum(face.painted for face in self.faces)
        return (
            f"{type(self).__name__}({width}x{height}, {len(self.faces)} faces, {painted} painted, "
            f"{sum(self.timings.values()):.1f} ms)"
        )

    def _repr_png_(self) -> bytes:
        """The image, for notebooks."""
        file = io.BytesIO()
        Pillow.fromarray(self._in_order("rgb")).save(file, "PNG")
        return file.getvalue()

    def save(self, path: str | Path) -> None:
        """Write the image, with its alpha channel if any; the suffix selects the format.

        Raises:
            InvalidInputError: unknown suffix, a size that the format does not support, or a missing
                folder.
        """
        image, space = self._in_order("bgr"), ColorSpace("RGB", None, str(path))
        if image.shape[2] == 3:
            write_photo(path, Photo(image, space))
            return
        share = image[..., 3:].astype(np.float32) / 255
        on_white = (image[..., :3] * share + 255 * (1 - share)).round().astype(np.uint8)
        write_photo(path, Photo(on_white, space, image[..., 2::-1], image[..., 3]))

    def show(self) -> None:
        """Open the image in the system's image viewer."""
        Pillow.fromarray(self._in_order("rgb")).show()

    def plot(self) -> Image:
        """The image with the faces' landmarks, boxes and status drawn on it.

        Returns:
            uint8 (H, W, 3), in the image's channel order.
        """
        bgr = self._in_order("bgr")[..., :3]
        return to_bgr(plot_faces(bgr, self.faces), self.color)

    def _in_order(self, color: str) -> Image:
        """The image in a channel order, alpha last."""
        if not isinstance(self.image, np.ndarray):
            raise InvalidInputError(
                f"result: the image is a {type(self.image).__name__} on a GPU; bring it to the CPU "
                "first"
            )
        if color == self.color:
            return np.ascontiguousarray(self.image)
        return np.concatenate([self.image[..., 2::-1], self.image[..., 3:]], axis=2)


@dataclass(frozen=True)
class Outfit:
    """A look, prepared for painting.

    Attributes:
        look: the look, in the form for the engine's model.
        painter: made by the engine's backend: a `Painter` on the CPU, a `GpuPainter` on a GPU.
        given: the look as the app gave it; None if the app gave none.
    """

    look: Look
    painter: Any
    given: Look | None = None


@dataclass
class Stopwatch:
    """Adds up wall time per stage."""

    timings: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("detect", "analyze", "generate", "composite"), 0.0)
    )
    _since: float = field(default_factory=perf_counter)

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to a stage."""
        now = perf_counter()
        self.timings[stage] += (now - self._since) * 1e3
        self._since = now


def normalize_strength(strength: StrengthLike) -> dict[Region, float]:
    """Convert a number or mapping to one number in [0, 1.5] per makeup region.

    Raises:
        InvalidInputError: a number is not in [0, 1.5], or a key is not a makeup region.
    """
    if isinstance(strength, Mapping):
        given = {as_region(key, "strength"): value for key, value in strength.items()}
        amounts = {
            region: as_number(given.get(region, 0.0), f"strength of {region.name.lower()}")
            for region in MAKEUP_REGIONS
        }
    else:
        amounts = dict.fromkeys(MAKEUP_REGIONS, as_number(strength, "strength"))
    for region, amount in amounts.items():
        if not 0 <= amount <= MAX_STRENGTH:
            raise InvalidInputError(
                f"strength: {amount} for {region.name.lower()}, expected a number in [0, 1.5]"
            )
    return amounts


def judge(face: FaceAnalysis) -> tuple[FaceStatus, float]:
    """Whether a face is suitable for makeup: its status, and an opacity in [0, 1]."""
    if face.score < _MIN_SCORE:
        return FaceStatus.UNSURE, 0.0
    if pupil_distance(face.landmarks) < _MIN_PUPIL_DISTANCE:
        return FaceStatus.TOO_SMALL, 0.0
    if visible_share(face) < _MIN_VISIBLE:
        return FaceStatus.OCCLUDED, 0.0
    start, end = _SIDE_VIEW
    fade = float(np.clip((end - abs(yaw_degrees(face.landmarks))) / (end - start), 0, 1))
    return (FaceStatus.OK if fade == 1 else FaceStatus.SIDE_VIEW), fade


def output(frame: Image, out: Image | None) -> Image:
    """The output array, with the frame copied into it."""
    if out is frame:
        if not frame.flags.writeable:
            raise InvalidInputError("out: the frame is read-only; leave out=, or give a copy")
        return frame
    if out is None:
        return np.array(frame, order="C")
    out = check_frame(out, "out")
    if out.shape != frame.shape or not out.flags.writeable:
        raise InvalidInputError(
            f"out: got shape {out.shape}, writeable {out.flags.writeable}, "
            f"expected a writeable array of the frame's shape {frame.shape}"
        )
    np.copyto(out, frame)
    return out
