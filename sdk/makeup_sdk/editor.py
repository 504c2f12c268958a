"""Portrait editing: eyes, mouth, skin or hair of other people, and faces redrawn by a label."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, BundleError, InvalidInputError, NoFaceError
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalyzer, yaw_degrees
from makeup_sdk.images import check_frame, read_image
from makeup_sdk.models.base import ModelOptions
from makeup_sdk.models.papers.graphs import Graphs
from makeup_sdk.models.papers.portrait_collage import (
    Canvas,
    Portrait,
    WarpedPart,
    WarpedReference,
    places_of,
    softened,
    warped_part,
)
from makeup_sdk.models.papers.portrait_hair import HairSwap
from makeup_sdk.models.papers.portrait_head import FRAME, SHIFT, SIGNATURE, Head
from makeup_sdk.models.papers.portrait_label import CLASSES, redrawn_places
from makeup_sdk.models.papers.portrait_mobile import PortraitNetwork
from makeup_sdk.models.registry import bundle_of

EDIT_PARTS = ("skin", "eyes", "mouth", "hair")
"""Parts that can come from references, in order of application."""
WHOLE_FACE = "face"
"""Stands for skin, eyes and mouth."""
_FACE_PARTS = EDIT_PARTS[:3]

_MOVED = 0.2
"""Minimum motion in crop pixels for a pixel to be redrawn."""
_SEAM = 1.5
"""Softness of the edges of moved areas, crop pixels."""
_TURNED = 10.0
"""Degrees by which a mirrored reference must be turned more like the photo, to be used."""


class PortraitEditor:
    """Edits the portrait in a photo: parts of reference photos, or a redrawn label.

        editor = PortraitEditor()
        result = editor.edit("photo.jpg", {"mouth": "reference.jpg"})

    Pixels outside the edited parts stay bit-identical.

    Args:
        model: `portrait-edit`, or the path of a mobile-class bundle of it.
        analyzer: finds the faces; default `BundledFaceAnalyzer`.
        threads: CPU threads; default one per core.

    Raises:
        InvalidInputError: no such model or bundle.
        BundleError: the bundle is damaged, or of another kind.
    """

    def __init__(
        self,
        model: str | Path = "portrait-edit",
        *,
        analyzer: FaceAnalyzer | None = None,
        threads: int | None = None,
    ) -> None:
        bundle = bundle_of(model)
        graphs = () if bundle is None else tuple(bundle.manifest.graphs)
        if bundle is None or not set(graphs) >= set(PortraitNetwork.SIGNATURE):
            raise BundleError(
                f"{model}: holds the graphs {', '.join(graphs) or 'none'}, expected "
                f"{', '.join(PortraitNetwork.SIGNATURE)} of a portrait-edit of mobile class; use "
                "the shipped one, or train your own with `makeup-train portrait-edit-mobile`"
            )
        options = ModelOptions(threads=threads)
        self._network = PortraitNetwork(Graphs.open(bundle, PortraitNetwork.SIGNATURE, options))
        has_heads = set(graphs) >= set(SIGNATURE)
        self._heads = Graphs.open(bundle, SIGNATURE, options) if has_heads else None
        self._analyzer = analyzer or BundledFaceAnalyzer(threads=threads)

    def label(
        self, image: Image | str | Path, *, at: tuple[float, float] | None = None
    ) -> NDArray[np.uint8]:
        """The label of one face: one of `CLASSES` for each pixel of the photo.

        Args:
            image: a path, or uint8 (H, W, 3), BGR.
            at: x and y in pixels: the face nearest to this point; default the largest face.

        Returns:
            uint8 (H, W); 0 outside the face's crop.

        Raises:
            NoFaceError: no face, or too little of it is visible.
        """
        portrait = self._portrait(image, "image", at)
        return _onto_photo(portrait.label, portrait)

    def edit(
        self,
        image: Image | str | Path,
        parts: Mapping[str, Image | str | Path] | None = None,
        label: NDArray[np.uint8] | None = None,
        *,
        at: tuple[float, float] | None = None,
    ) -> Image:
        """Replace parts of one face, change its shape, or both.

        Args:
            image: a path, or uint8 (H, W, 3), BGR.
            parts: reference photos by part: "eyes", "mouth", "skin" (with nose and brows), "face"
                for these three, or "hair", which must be shown whole. The reference of the hair is
                mirrored if its face is then turned like the photo's.
            label: uint8 (H, W), the redrawn result of `label`; None keeps the shape.
            at: see `label`.

        Returns:
            uint8 (H, W, 3), BGR, a new array.

        Raises:
            InvalidInputError: an unknown part; a label with a wrong shape or unknown classes; hair
                that cannot be taken, replaced, or moved as drawn.
            NoFaceError: a photo without a usable face.
        """
        references = self._references(parts or {})
        source = self._portrait(image, "image", at)
        canvas, box = _canvas_of(source)
        before, after = source.label, source.label
        own = _own_places()
        if label is not None:
            _check_label(label, source.image.shape[:2])
            before = _onto_crop(_onto_photo(source.label, source), source)
            after = _onto_crop(label, source)
            own = redrawn_places(before, after)
        result: Image = source.image.copy()
        picture = self._bent(np.ascontiguousarray(result[box]), source, canvas, own)
        warped: dict[int, WarpedReference] = {}
        for part in _FACE_PARTS:
            reference = references.get(part)
            if reference is None:
                continue
            if id(reference) not in warped:
                places = places_of(source, reference)
                border = cv2.BORDER_REPLICATE
                places = cv2.remap(places, own, None, cv2.INTER_LINEAR, borderMode=border)
                warped[id(reference)] = WarpedReference.of(
                    source, reference, np.asarray(places, np.float32)
                )
            picture = warped_part(part, source, warped[id(reference)], after).put(picture, canvas)
        result[box] = picture
        if "hair" in references:
            canvas, box = _canvas_of(source, (-SHIFT[0], -SHIFT[1]), FRAME)
            swap = self._hair_swap(source, references["hair"])
            result[box] = swap.put(np.ascontiguousarray(result[box]), canvas)
        return result

    def _hair_swap(self, source: Portrait, reference: Portrait) -> HairSwap:
        """The hair of a reference, mirrored if its face is then turned like the source's."""
        if self._heads is None:
            raise InvalidInputError(
                "hair: the bundle has no graph 'head', which finds hair; use the shipped "
                "portrait-edit, or train your own with `makeup-train portrait-edit-mobile`"
            )
        own, other = (yaw_degrees(one.face.landmarks) for one in (source, reference))
        if abs(own - other) > abs(own + other) + _TURNED:
            mirrored = np.ascontiguousarray(reference.image[:, ::-1])
            reference = self._portrait(mirrored, "hair")
        return HairSwap.of(Head.of(source, self._heads), Head.of(reference, self._heads))

    def _bent(self, picture: Image, source: Portrait, canvas: Canvas, own: FloatArray) -> Image:
        """The photo's box with the face's own pixels moved."""
        moved = np.square(own - _own_places()).sum(axis=2) > _MOVED**2
        if not moved.any():
            return picture
        wide = cv2.dilate(moved.astype(np.float32), np.ones((5, 5), np.uint8))
        share = softened(np.asarray(wide, np.float32), _SEAM)
        zero = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.float32)
        ones = np.ones((CROP_SIZE, CROP_SIZE), np.float32)
        itself = WarpedReference(source, own, source.label, ones, zero)
        return WarpedPart(itself, share).put(picture, canvas)

    def _references(self, parts: Mapping[str, Image | str | Path]) -> dict[str, Portrait]:
        known = (*EDIT_PARTS, WHOLE_FACE)
        for part in parts:
            if part not in known:
                raise InvalidInputError(f"parts: {part!r} is unknown; expected {', '.join(known)}")
        found = {part: self._portrait(photo, part) for part, photo in parts.items()}
        if WHOLE_FACE in found:
            whole = found.pop(WHOLE_FACE)
            found = dict.fromkeys(_FACE_PARTS, whole) | found
        return found

    def _portrait(
        self, image: Image | str | Path, name: str, at: tuple[float, float] | None = None
    ) -> Portrait:
        photo = read_image(image) if isinstance(image, (str, Path)) else check_frame(image, name)
        where = str(image) if isinstance(image, (str, Path)) else name
        detections = self._analyzer.detect(photo, 2**31 - 1)
        if not detections:
            raise NoFaceError(f"{where}: no face found; use a photo that shows one from the front")
        if at is None:
            chosen = max(detections, key=lambda found: float(found.box[2] - found.box[0]))
        else:
            away = [
                np.linalg.norm(found.box.reshape(2, 2).mean(axis=0) - at) for found in detections
            ]
            chosen = detections[int(np.argmin(away))]
        try:
            return self._network.portrait(photo, self._analyzer.analyze(photo, chosen))
        except NoFaceError as error:
            raise NoFaceError(f"{where}: {error}") from None


def _check_label(label: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
    fits = isinstance(label, np.ndarray) and label.dtype == np.uint8 and label.shape == shape
    if not fits or int(label.max(initial=0)) >= len(CLASSES):
        raise InvalidInputError(
            f"label: expected uint8 {shape} with classes 0 to {len(CLASSES) - 1}, as "
            "`PortraitEditor.label` gives it"
        )


def _own_places() -> FloatArray:
    y, x = np.mgrid[:CROP_SIZE, :CROP_SIZE].astype(np.float32)
    return np.stack([x, y], axis=-1)


def _canvas_of(
    portrait: Portrait, corner: tuple[int, int] = (0, 0), side: int = CROP_SIZE
) -> tuple[Canvas, tuple[slice, slice]]:
    """The box of the photo that a square covers; its corner and side in pixels of the crop."""
    inverse = cv2.invertAffineTransform(portrait.face.matrix)
    corners = np.array([(0, 0), (1, 0), (0, 1), (1, 1)], np.float64) * (side - 1) + corner
    there = corners @ inverse[:, :2].T + inverse[:, 2]
    height, width = portrait.image.shape[:2]
    x0, y0 = np.clip(np.floor(there.min(axis=0)), 0, (width - 1, height - 1)).astype(int)
    x1, y1 = np.clip(np.ceil(there.max(axis=0)) + 1, 1, (width, height)).astype(int)
    matrix = portrait.face.matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ (x0, y0)
    return Canvas((int(x1 - x0), int(y1 - y0)), matrix), (slice(y0, y1), slice(x0, x1))


def _onto_photo(label: NDArray[np.uint8], portrait: Portrait) -> NDArray[np.uint8]:
    height, width = portrait.image.shape[:2]
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(label, portrait.face.matrix, (width, height), flags=flags), np.uint8
    )


def _onto_crop(label: NDArray[np.uint8], portrait: Portrait) -> NDArray[np.uint8]:
    side = (CROP_SIZE, CROP_SIZE)
    return np.asarray(
        cv2.warpAffine(label, portrait.face.matrix, side, flags=cv2.INTER_NEAREST), np.uint8
    )
