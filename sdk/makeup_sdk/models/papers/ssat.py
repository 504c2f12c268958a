"""SSAT: makeup transfer and removal.

Sun et al., "SSAT: A Symmetric Semantic-Aware Transformer Network for Makeup Transfer and Removal",
AAAI 2022. Removal lends the bare skin of another face: the frame takes the place of the reference.
"""

from typing import Any, ClassVar

import numpy as np

from makeup_kernels import Region
from makeup_sdk.faces.types import FaceAnalysis, FloatArray
from makeup_sdk.makeup.references import References
from makeup_sdk.models.base import CropPaint, Painter, Strength
from makeup_sdk.models.papers.faces import NetworkFace, parsing, planes
from makeup_sdk.models.papers.graphs import Graphs, Signature

_MT_TO_RAW19 = np.array([0, 1, 2, 3, 4, 5, 10, 12, 11, 13, 17], np.uint8)
"""MT classes of `parsing` to those of face-parsing.PyTorch, which SSAT reads."""


class SSATPainter(Painter):
    """Makeup features gathered by soft correspondence. Puts a look on, or takes makeup off."""

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
        self._classes = graphs.count("parsing_classes", 1)
        self._of_frame = "made_up" if references.bare else "source"
        of_look = "bare" if references.bare else "reference"
        self._looks = [
            graphs.run(of_look, self._inputs(graphs.face(face))) for face in references.faces
        ]
        self._weights = references.weights()
        self._skins = [_skin(face) for face in references.faces] if references.bare else None

    def paint(self, face: FaceAnalysis, strength: Strength) -> CropPaint:
        """See `Painter.paint`."""
        source = self._graphs.face(face)
        encoded = self._graphs.run(self._of_frame, self._inputs(source))
        if self._skins is None:
            makeup = self._mixed(encoded["receiving"], source)
        else:
            own = _skin(face)
            nearest = int(np.argmin([np.linalg.norm(skin - own) for skin in self._skins]))
            makeup = self._gathered(encoded["receiving"], nearest)
        result = self._graphs.run("decoder", {"content": encoded["content"], "makeup": makeup})
        return self._graphs.paint(face, result["result"][0], strength)

    def _mixed(self, receiving: FloatArray, source: NetworkFace) -> FloatArray:
        """Each cell gathers from the references that have a share in its region."""
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

    def _inputs(self, face: NetworkFace) -> dict[str, Any]:
        classes = _MT_TO_RAW19[parsing(face)]
        return {
            "image": self._graphs.pixels(face.image),
            "parsing": planes(classes, self._classes),
        }


def _skin(face: FaceAnalysis) -> FloatArray:
    """float32 (3,): median colour of the skin."""
    inside = face.regions == Region.SKIN
    colors = face.crop[inside] if inside.any() else face.crop.reshape(-1, 3)
    return np.asarray(np.median(colors, axis=0), np.float32)
