"""Face editing on the page: swapped parts and redrawn labels, see `PortraitEditor`."""

import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError
from makeup_kernels.types import Image
from makeup_sdk.editor import EDIT_PARTS, PortraitEditor
from makeup_sdk.faces import FaceAnalyzer
from makeup_sdk.models.papers.portrait_label import CLASSES, PALETTE, draw_label, read_label
from makeup_sdk.web.limits import Limits
from makeup_sdk.web.outfits import from_base64
from makeup_sdk.web.pictures import encode_picture, open_layer, open_picture
from makeup_sdk.web.requests import EditRequest, LabelRequest, Point, parse
from makeup_sdk.weights import shipped_names

_MODEL = "portrait-edit"


class PhotoEditing:
    """Edits clients' photos. The methods are thread-safe and slow: call them off the event loop.

    Args:
        analyzer: detects faces and landmarks.
        limits: limits on pictures.
        threads: CPU threads; default all cores.
    """

    def __init__(self, analyzer: FaceAnalyzer, limits: Limits, threads: int | None) -> None:
        self._analyzer = analyzer
        self._limits = limits
        self._threads = threads
        self._opening = threading.Lock()

    def describe(self) -> dict[str, Any]:
        """The parts that can be swapped, and the label classes that can be redrawn.

        Both are empty if the editing model is not installed.
        """
        if _MODEL not in shipped_names():
            return {"parts": [], "classes": []}
        classes = [
            {"name": name, "color": "#{:02x}{:02x}{:02x}".format(*color)}
            for number, (name, color) in enumerate(zip(CLASSES, PALETTE, strict=True))
            if number
        ]
        return {"parts": list(EDIT_PARTS), "classes": classes}

    def label(self, body: bytes) -> bytes:
        """Compute the label for the JSON of a `LabelRequest`: a PNG in the label's colours.

        Raises:
            MakeupError: the request is invalid or has no usable face.
        """
        request = parse(LabelRequest, body)
        image = self._open(request.image, "image")
        label = self._editor.label(image, at=_in_pixels(request.face, image))
        return encode_picture(draw_label(label), "png")

    def edit(self, body: bytes) -> tuple[bytes, str]:
        """Run the JSON of an `EditRequest`; returns the picture file and its format.

        Raises:
            MakeupError: the request is invalid or has no usable face.
        """
        request = parse(EditRequest, body)
        image = self._open(request.image, "image")
        parts: dict[str, Image | str | Path] = {
            part: self._open(photo, part) for part, photo in request.parts.items()
        }
        if not parts and request.label is None:
            raise InvalidInputError("edit: give parts, a label, or both")
        at = _in_pixels(request.face, image)
        label = None
        if request.label is not None:
            label = self._redrawn(request.label, image, at)
        edited = self._editor.edit(image, parts, label, at=at)
        return encode_picture(edited, request.format), request.format

    def _redrawn(
        self, drawing: str, image: Image, at: tuple[float, float] | None
    ) -> NDArray[np.uint8]:
        """The photo's label with a drawing of any size laid over it: classes (H, W)."""
        drawn, is_drawn = open_layer(from_base64(drawing, "label"), self._limits)
        height, width = image.shape[:2]

        def resized(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
            side = (width, height)
            return np.asarray(cv2.resize(plane, side, interpolation=cv2.INTER_NEAREST), np.uint8)

        classes = resized(read_label(drawn, (drawn.shape[0], drawn.shape[1])))
        if is_drawn is None:
            return classes
        own = self._editor.label(image, at=at)
        return np.where(resized(is_drawn.astype(np.uint8)) > 0, classes, own)

    def _open(self, picture: str, name: str) -> Image:
        return open_picture(from_base64(picture, name), self._limits)

    @property
    def _editor(self) -> PortraitEditor:
        with self._opening:
            return self._opened

    @cached_property
    def _opened(self) -> PortraitEditor:
        return PortraitEditor(analyzer=self._analyzer, threads=self._threads)


def _in_pixels(point: Point | None, image: Image) -> tuple[float, float] | None:
    if point is None:
        return None
    height, width = image.shape[:2]
    return point[0] * width, point[1] * height
