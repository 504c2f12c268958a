"""Mask-guided portrait editing: eyes, mouth and skin of a reference in the pose of each face.

Gu et al., "Mask-Guided Portrait Editing with Conditional GANs", CVPR 2019.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import BundleError, Region
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.parsing import face_classes
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.references import References
from makeup_sdk.models.base import CropPaint, Painter, Strength
from makeup_sdk.models.papers.faces import NetworkFace
from makeup_sdk.models.papers.graphs import Graphs, Signature

_SIZE = 256
_CLASSES = {
    "left_eye": (4,),
    "right_eye": (5,),
    "skin": (1, 2, 3, 6),
    "hair": (10,),
    "mouth": (7, 8, 9),
}
"""Classes of each part of the label, in the order of the network's inputs."""
_REGIONS = {
    "left_eye": Region.EYES,
    "right_eye": Region.EYES,
    "skin": Region.SKIN,
    "hair": Region.NONE,
    "mouth": Region.LIPS,
}
"""The region whose reference shares apply to each part."""
_CENTRED = {
    "left_eye": ((32, 48), (116, 96)),
    "right_eye": ((32, 48), (116, 160)),
    "mouth": ((80, 144), (184, 128)),
}
"""Height and width of each part, and its centre (y, x) if missing from the label."""
_ENLARGEMENT = 1.1


class PortraitPainter(Painter):
    """Paints the references' part features, placed by the label of each face."""

    SIGNATURE: ClassVar[Signature] = {
        "embeddings": (tuple(_CLASSES), tuple(f"{part}_features" for part in _CLASSES)),
        "generator": (
            (*(f"{part}_features" for part in _CLASSES), "label", "centres"),
            ("foreground",),
        ),
        "background": (("foreground", "label", "target"), ("result",)),
    }

    def __init__(self, graphs: Graphs, references: References) -> None:
        if graphs.size != _SIZE:
            raise BundleError(
                f"{graphs.where}: constant 'size' is {graphs.size}, expected {_SIZE} of "
                "portrait-edit; export the bundle again"
            )
        self._graphs = graphs
        weights = references.weights()
        features = [self._embed(graphs.face(face)) for face in references.faces]
        self._features = {
            f"{part}_features": np.asarray(
                sum(
                    feature[f"{part}_features"] * weights[k, region]
                    for k, feature in enumerate(features)
                ),
                np.float32,
            )
            for part, region in _REGIONS.items()
        }

    def paint(self, face: FaceAnalysis, strength: Strength) -> CropPaint:
        """See `Painter.paint`."""
        source = self._graphs.face(face)
        label, centres = _layout(source)
        layout = {"label": label[None], "centres": centres[None]}
        foreground = self._graphs.run("generator", {**self._features, **layout})["foreground"]
        target = self._graphs.pixels(source.image)
        last = {"foreground": foreground, "label": label[None], "target": target}
        result = self._graphs.run("background", last)["result"][0]
        return self._graphs.paint(face, result, strength)

    def _embed(self, face: NetworkFace) -> Mapping[str, FloatArray]:
        label, centres = _layout(face)
        image = self._graphs.pixels(face.image)
        return self._graphs.run("embeddings", part_crops(image, label, centres))


def _layout(face: NetworkFace) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    classes = face_classes(face.landmarks, face.regions)
    centres = part_centres(classes)
    return enlarged(classes, centres).astype(np.int64), centres


def part_centres(classes: Image) -> NDArray[np.int64]:
    """int64 (3, 2): centres (y, x) of left eye, right eye and mouth, with whole parts in the crop.

    Args:
        classes: uint8 (256, 256) from `face_classes`.
    """
    centres = []
    for part, ((height, width), fallback) in _CENTRED.items():
        rows, columns = np.nonzero(np.isin(classes, _CLASSES[part]))
        y, x = fallback
        if rows.size:
            y, x = (rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2
        y = np.clip(y, height // 2, _SIZE - height // 2)
        centres.append((y, np.clip(x, width // 2, _SIZE - width // 2)))
    return np.array(centres, np.int64)


def enlarged(classes: Image, centres: NDArray[np.int64]) -> Image:
    """The network's conditioning label: eyes and mouth enlarged about their centres."""
    label: Image = classes.copy()
    for part, (y, x) in zip(_CENTRED, centres.tolist(), strict=True):
        large = classes[np.ix_(_enlarged_index(y), _enlarged_index(x))]
        shown = np.isin(large, _CLASSES[part])
        label[shown] = large[shown]
    return label


def part_crops(
    image: FloatArray, label: NDArray[np.int64], centres: NDArray[np.int64]
) -> dict[str, FloatArray]:
    """Inputs of the part encoders: rectangles around the eyes; masked mouth, skin and hair.

    Args:
        image: float32 (1, 3, 256, 256), normalised.
        label: int64 (256, 256) from `enlarged`.
        centres: int64 (3, 2) from `part_centres`.
    """
    corners = {
        part: (slice(y - h // 2, y + h // 2), slice(x - w // 2, x + w // 2))
        for (part, ((h, w), _)), (y, x) in zip(_CENTRED.items(), centres.tolist(), strict=True)
    }
    crops = {}
    for part, classes in _CLASSES.items():
        whole = part.endswith("eye")
        masked = image if whole else image * np.isin(label, classes)
        rows, columns = corners.get(part, (slice(None), slice(None)))
        crops[part] = np.ascontiguousarray(masked[..., rows, columns], np.float32)
    return crops


def _enlarged_index(centre: int) -> NDArray[np.int64]:
    """For each row of the enlarged label, the row of the original that it shows."""
    shift = int(_ENLARGEMENT * centre) - centre
    rows = np.floor((np.arange(_SIZE) + shift + 0.5) / _ENLARGEMENT)
    return np.asarray(np.clip(rows, 0, _SIZE - 1), np.int64)
