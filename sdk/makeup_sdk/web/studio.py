"""The networks, models and gallery that all clients of a server share."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from makeup_kernels import InvalidInputError
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.engine import EVERY_FACE, MakeupEngine
from makeup_sdk.faces import BundledFaceAnalyzer, Face
from makeup_sdk.frame import Result
from makeup_sdk.images import decode_image
from makeup_sdk.looks.look import Look
from makeup_sdk.models.base import Model, ModelOptions
from makeup_sdk.models.registry import DEFAULT_MODEL, open_model
from makeup_sdk.pipeline import ImageFaces
from makeup_sdk.web.editing import PhotoEditing
from makeup_sdk.web.limits import Limits
from makeup_sdk.web.offers import offers
from makeup_sdk.web.outfits import SKINS, Gallery, from_base64
from makeup_sdk.web.pictures import encode_picture, open_picture
from makeup_sdk.web.requests import ApplyRequest, LookRequest, parse
from makeup_sdk.web.wearers import OneFace

_CHEEKS = ((2, 31, 41), (14, 35, 46))
"""Landmarks around the middle of each cheek."""


@dataclass(frozen=True)
class Applied:
    """A photo with makeup.

    Attributes:
        picture: the image file.
        kind: its format, "jpeg" or "png".
        told: see `Studio.describe`; also "milliseconds" if makeup was applied.
    """

    picture: bytes
    kind: str
    told: dict[str, Any]


class Studio:
    """Loads each model once. The methods are thread-safe and slow: call them off the event loop.

    Args:
        limits: limits on clients.
        threads: CPU threads per frame; default all cores.

    Raises:
        BundleError: the shipped models are missing or damaged.
    """

    def __init__(self, limits: Limits, threads: int | None) -> None:
        self._limits = limits
        self._threads = threads
        self._analyzer = BundledFaceAnalyzer(threads=threads)
        self._models = {DEFAULT_MODEL: open_model(DEFAULT_MODEL, ModelOptions(threads=threads))}
        self._opening = threading.Lock()
        self.gallery = Gallery(self._analyzer, limits.reference_faces)
        self.editing = PhotoEditing(self._analyzer, limits, threads)
        self._skins = {skin: self._shipped_skin(skin) for skin in SKINS}

    def engine(self, model: str = DEFAULT_MODEL) -> MakeupEngine:
        """A new engine for one client; it shares networks and models.

        Raises:
            InvalidInputError: the model is not one of `offers`.
            BundleError, BackendUnavailableError: the model cannot be loaded.
        """
        return MakeupEngine(
            model=self._model(model), analyzer=self._analyzer, threads=self._threads
        )

    def _model(self, name: str) -> Model:
        known = offers()
        if name not in known:
            raise InvalidInputError(
                f"model: {name!r} is unknown here; expected one of {', '.join(known)}"
            )
        with self._opening:
            if name not in self._models:
                self._models[name] = open_model(name, ModelOptions(threads=self._threads))
            return self._models[name]

    def style_thumbnail(self, model: str, style: str, skin: str) -> bytes | None:
        """A style on a shipped face as JPEG; None for an unknown model, style or skin."""
        offer = offers().get(model)
        if offer is None or style not in offer.styles:
            return None
        return self.gallery.style_thumbnail(self._model(model), style, skin)

    def _shipped_skin(self, skin: str) -> FloatArray:
        data = self.gallery.face(skin)
        assert data is not None
        image = decode_image(np.frombuffer(data, np.uint8), skin)
        face = self._analyzer.analyze(image, self._analyzer.detect(image, 1)[0])
        return _skin_color(image, face.landmarks)

    def describe(self, before: Image, faces: Sequence[Face]) -> dict[str, Any]:
        """Faces and skin tone of a frame as JSON; boxes are fractions of the frame.

        Args:
            before: frame without makeup, uint8 (H, W, 3), BGR.
            faces: its faces.
        """
        height, width = before.shape[:2]
        told = [
            {
                "id": face.track_id,
                "status": face.status.value,
                "painted": face.painted,
                "box": [
                    round(float(v), 4) for v in face.box / np.array([width, height] * 2, np.float32)
                ],
            }
            for face in faces
        ]
        return {"faces": told, "skin": self._skin(before, faces)}

    def _skin(self, before: Image, faces: Sequence[Face]) -> str | None:
        """The shipped face with the skin colour nearest to the first face's; None without one."""
        if not faces:
            return None
        color = _skin_color(before, faces[0].landmarks)
        distances = {skin: float(np.abs(color - c).sum()) for skin, c in self._skins.items()}
        return min(distances, key=distances.__getitem__)

    def make_look(self, body: bytes) -> Look:
        """Make the look of a `LookRequest` in JSON.

        Raises:
            MakeupError: the request is invalid, or the photo has no usable face.
        """
        request = parse(LookRequest, body)
        if request.photo is not None:
            photo = open_picture(from_base64(request.photo, "photo"), self._limits)
            return Look.from_photo(
                photo,
                title=request.title,
                model=self._models[DEFAULT_MODEL],
                analyzer=self._analyzer,
            )
        card = request.colors.model_dump() if request.colors else {}
        return Look.from_colors(**card, title=request.title)

    def apply(self, body: bytes) -> Applied:
        """Run an `ApplyRequest` in JSON.

        Raises:
            MakeupError: the request is invalid, or its model cannot be loaded.
        """
        request = parse(ApplyRequest, body)
        image = open_picture(from_base64(request.image, "image"), self._limits)
        look = self.gallery.dress(request.outfit)
        told: dict[str, Any] = {"faces": [], "skin": None}
        worn = image
        if look is not None:
            engine = self.engine(request.outfit.model)
            engine.look = look
            engine.strength = request.outfit.strength.by_region()
            engine.tone = request.outfit.tone
            result = _put_on(engine, image, request.face)
            worn, told = result.image, self.describe(image, result.faces)
            told["milliseconds"] = round(sum(result.timings.values()), 2)
        return Applied(encode_picture(worn, request.format), request.format, told)


def _put_on(engine: MakeupEngine, image: Image, face: Sequence[float] | None) -> Result:
    """Apply the engine's look to every face, or to the face nearest to a point in [0, 1]."""
    if face is None:
        return engine.process_detailed(image)
    height, width = image.shape[:2]
    outfit = engine.outfit(0)
    assert outfit is not None
    strength = engine.strength_of(outfit)
    faces = ImageFaces(engine.pipeline.backend, EVERY_FACE, outfit, strength)
    return engine.pipeline.run(image, OneFace(faces, face[0] * width, face[1] * height))


def _skin_color(image: Image, landmarks: FloatArray) -> FloatArray:
    """Median cheek colour of a BGR frame: float32 (3,), OpenCV's 8-bit CIELAB."""
    radius = max(int(np.linalg.norm(landmarks[45] - landmarks[36]) / 10), 1)
    patches = []
    for around in _CHEEKS:
        x, y = landmarks[list(around)].mean(0).astype(int).clip(radius)
        patches.append(image[y - radius : y + radius, x - radius : x + radius].reshape(-1, 3))
    cheeks = np.concatenate(patches)
    if not len(cheeks):
        return np.zeros(3, np.float32)
    color = np.median(cheeks, axis=0).astype(np.uint8).reshape(1, 1, 3)
    return np.asarray(cv2.cvtColor(color, cv2.COLOR_BGR2LAB).reshape(3), np.float32)
