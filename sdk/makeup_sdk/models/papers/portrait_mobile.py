"""Mobile-class portrait editing: parts of reference faces on a face, in photos and streams.

A parser segments the face, and the parts' pixels are warped onto it (`portrait_collage`).
"""

from typing import ClassVar

import cv2
import numpy as np

from makeup_kernels import CROP_SIZE, Region
from makeup_kernels.types import Image
from makeup_sdk.faces.parsing import face_classes
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.references import References
from makeup_sdk.models.base import CropPaint, Painter, Strength
from makeup_sdk.models.papers.faces import shrunk
from makeup_sdk.models.papers.graphs import Graphs, Signature
from makeup_sdk.models.papers.portrait_collage import (
    Canvas,
    Portrait,
    WarpedReference,
    places_of,
    warped_part,
)

_SKIN, _HAIR = 1, 10
_REGION_OF_PART = {"skin": Region.SKIN, "eyes": Region.EYES, "mouth": Region.LIPS}
"""Parts in order of application, and the region whose strength scales each."""
_FAINTEST = 0.004


class PortraitNetwork:
    """The graphs of a mobile-class bundle.

    Args:
        graphs: opened with `SIGNATURE`.
    """

    SIGNATURE: ClassVar[Signature] = {
        "parser": (("image",), ("classes",)),
    }

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs

    def portrait(self, image: Image, face: FaceAnalysis) -> Portrait:
        """A face, its label and its light.

        Lips, brows, eyes and nose come from the landmarks and the region map, which are more
        precise; hair comes from the parser.

        Args:
            image: uint8 (H, W, 3), BGR, the photo.
            face: its face.

        Raises:
            NoFaceError: too little of the skin is visible.
        """
        small = self._graphs.pixels(shrunk(face.crop, self._graphs.size))
        classes = self._graphs.run("parser", {"image": small})["classes"][0]
        side = (CROP_SIZE, CROP_SIZE)
        classes = [cv2.resize(plane, side) for plane in classes]
        found, highest = np.zeros(side, np.uint8), classes[0].copy()
        for number, plane in enumerate(classes[1:], 1):
            found[plane > highest] = number
            np.maximum(highest, plane, out=highest)
        label = face_classes(face.crop_landmarks, face.regions)
        outside = np.isin(label, (0, _HAIR))
        label[outside] = np.where(np.isin(found, (_SKIN, _HAIR)), found, 0)[outside]
        label[(label == _SKIN) & (found == _HAIR)] = _HAIR
        return Portrait.of(image, face, label, np.asarray(classes[_HAIR], np.float32))


class MobilePortraitPainter(Painter):
    """Paints skin, eyes and mouth of a reference on each face.

    With several references, each region uses the one with the largest share.
    """

    SIGNATURE: ClassVar[Signature] = PortraitNetwork.SIGNATURE

    def __init__(self, graphs: Graphs, references: References) -> None:
        self._network = PortraitNetwork(graphs)
        portraits = [self._network.portrait(face.crop, face) for face in references.faces]
        best = references.weights().argmax(axis=0)
        self._references = {part: portraits[best[r]] for part, r in _REGION_OF_PART.items()}

    def paint(self, face: FaceAnalysis, strength: Strength) -> CropPaint:
        """See `Painter.paint`."""
        own = FaceAnalysis(face.crop_landmarks, face.score, np.eye(2, 3), face.crop, face.regions)
        source = self._network.portrait(face.crop, own)
        canvas, crop = Canvas.of_crop(), face.crop
        mask = np.zeros((CROP_SIZE, CROP_SIZE), np.float32)
        warped: dict[int, WarpedReference] = {}
        for part, region in _REGION_OF_PART.items():
            amount = strength.get(region, 0.0)
            if amount <= 0:
                continue
            reference = self._references[part]
            if id(reference) not in warped:
                warped[id(reference)] = WarpedReference.of(
                    source, reference, places_of(source, reference)
                )
            layer = warped_part(part, source, warped[id(reference)], source.label)
            crop = layer.put(crop, canvas)
            mask[layer.share > _FAINTEST] = min(amount, 1.0)
        return CropPaint(crop, mask)
