"""SSAT: makeup transfer and removal.

Sun et al., "SSAT: A Symmetric Semantic-Aware Transformer Network for Makeup Transfer and Removal",
AAAI 2022. Removal uses the bare skin of another face: the frame takes the reference's role.
"""

from typing import Any, ClassVar

import cv2
import numpy as np

from makeup_kernels import CROP_SIZE, InvalidInputError, Region
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.parsing import PLACE_PLANES, face_classes, place_planes
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.references import References
from makeup_sdk.models.base import CropPaint, Painter, Strength
from makeup_sdk.models.papers.faces import NetworkFace, planes
from makeup_sdk.models.papers.graphs import Graphs, Signature

_MT_TO_RAW19 = np.array([0, 1, 2, 3, 4, 5, 10, 12, 11, 13, 17], np.uint8)
"""MT classes of `face_classes` to those of face-parsing.PyTorch, which SSAT reads."""


_STRIDE, _TEMPERATURE = 4, 100.0
"""Pixels to a cell of the correspondence, and the factor on the cosine of two cells' features."""

_SAME_SKIN = 1e-3
"""Distance within which skins are the same: a face and itself in a mirror lend together."""


class SSATPainter(Painter):
    """Gathers makeup features by soft correspondence. Applies a look, or removes makeup."""

    SIGNATURE: ClassVar[Signature] = {
        "reference": (("image", "parsing"), ("gathered", "makeup")),
        "bare": (("image", "parsing"), ("gathered", "makeup")),
        "source": (("image", "parsing"), ("content", "receiving")),
        "made_up": (("image", "parsing"), ("content", "receiving")),
        "morph": (("receiving", "gathered", "makeup"), ("warped_makeup",)),
        "decoder": (("content", "makeup"), ("result",)),
    }

    def __init__(self, graphs: Graphs, references: References) -> None:
        self._graphs = graphs
        self._of_frame = "made_up" if references.bare else "source"
        of_look = "bare" if references.bare else "reference"
        faces = [graphs.face(face) for face in references.faces]
        self._looks = [graphs.run(of_look, _inputs(self._graphs, face)) for face in faces]
        self._weights = references.weights()
        self._skins = [_skin(face) for face in faces] if references.bare else None

    def paint(self, face: FaceAnalysis, strength: Strength) -> CropPaint:
        """See `Painter.paint`."""
        content, makeup = self._encoded(self._graphs.face(face))
        return self._graphs.paint(face, self._decode(content, makeup), strength)

    def both(self, source: NetworkFace, strength: Strength) -> tuple[FloatArray, FloatArray]:
        """See `PassPainter.both`; no look means makeup features of zeros."""
        content, makeup = self._encoded(source)
        made_up, bare = (self._decode(content, m) for m in (makeup, np.zeros_like(makeup)))
        return self._graphs.image(made_up), self._graphs.image(bare)

    def _encoded(self, source: NetworkFace) -> tuple[FloatArray, FloatArray]:
        """Content of a face, and its gathered makeup."""
        encoded = self._graphs.run(self._of_frame, _inputs(self._graphs, source))
        if self._skins is None:
            return encoded["content"], self._mixed(encoded["receiving"], source)
        own = _skin(source)
        away = [float(np.linalg.norm(skin - own)) for skin in self._skins]
        nearest = [number for number, far in enumerate(away) if far <= min(away) + _SAME_SKIN]
        gathered = [self._gathered(encoded["receiving"], number) for number in nearest]
        return encoded["content"], np.asarray(sum(gathered) / len(gathered), np.float32)

    def _decode(self, content: FloatArray, makeup: FloatArray) -> FloatArray:
        inputs = {"content": content, "makeup": makeup}
        result: FloatArray = self._graphs.run("decoder", inputs)["result"][0]
        return result

    def _mixed(self, receiving: FloatArray, source: NetworkFace) -> FloatArray:
        """Gather for each cell from the references with a share in its region."""
        gathered = [self._gathered(receiving, number) for number in range(len(self._looks))]
        if len(gathered) == 1:
            return gathered[0]
        stride = source.regions.shape[0] // gathered[0].shape[-1]
        weights = self._weights[:, source.regions[::stride, ::stride]]
        return np.asarray(sum(g * w for g, w in zip(gathered, weights, strict=True)), np.float32)

    def _gathered(self, receiving: FloatArray, number: int) -> FloatArray:
        inputs = {"receiving": receiving, **self._looks[number]}
        warped: FloatArray = self._graphs.run("morph", inputs)["warped_makeup"]
        return warped


def gathered_from(
    graphs: Graphs, face: FaceAnalysis, point: tuple[float, float], reference: FaceAnalysis
) -> FloatArray:
    """See `ReferenceModel.gathered_from`."""
    view, cells = graphs.view, graphs.size // _STRIDE
    left, top, side = (view.left, view.top, view.side) if view else (0, 0, CROP_SIZE)
    column = int(np.floor((point[0] - left) * cells / side))
    row = int(np.floor((point[1] - top) * cells / side))
    if not (0 <= column < cells and 0 <= row < cells):
        raise InvalidInputError(
            f"point {point} lies outside what the network sees of the crop: x {left} to "
            f"{left + side}, y {top} to {top + side}"
        )
    receiving = graphs.run("source", _inputs(graphs, graphs.face(face)))["receiving"][0]
    gathered = graphs.run("reference", _inputs(graphs, graphs.face(reference)))["gathered"][0]
    energy = _TEMPERATURE * (gathered.T @ receiving)
    over = graphs.count("softmax_dim", 1) - 1
    weights = np.exp(energy - energy.max(axis=over, keepdims=True))
    weights /= weights.sum(axis=over, keepdims=True)
    heat = weights[:, row * cells + column].reshape(cells, cells)
    crop = np.zeros((CROP_SIZE, CROP_SIZE), np.float32)
    large = cv2.resize(heat, (side, side), interpolation=cv2.INTER_NEAREST)
    crop[top : top + side, left : left + side] = large / large.sum()
    return crop


def _inputs(graphs: Graphs, face: NetworkFace) -> dict[str, Any]:
    classes = _MT_TO_RAW19[face_classes(face.landmarks, face.regions)]
    parsing = planes(classes, graphs.count("parsing_classes", 1))
    if graphs.view is not None:
        parsing[0, PLACE_PLANES] = place_planes(face.landmarks, parsing.shape[-1])
    return {"image": graphs.pixels(face.image), "parsing": parsing}


def _skin(face: NetworkFace) -> FloatArray:
    """float32 (3,): median colour of the skin, or its log light."""
    if face.skin is not None:
        return face.skin
    inside = face.regions == Region.SKIN
    colors = face.image[inside] if inside.any() else face.image.reshape(-1, 3)
    return np.asarray(np.median(colors, axis=0), np.float32)
