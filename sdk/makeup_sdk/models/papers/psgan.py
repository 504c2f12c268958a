"""PSGAN, and PSGAN on small faces with super-resolution.

Jiang et al., "PSGAN: Pose and Expression Robust Spatial-Aware GAN for Customizable Makeup
Transfer", CVPR 2020. As in the published code, landmarks are rounded to whole pixels. Unlike there,
the image is not stretched to the full range of each frame, which would make colours jump in video,
and strength scales the change of the image.
"""

from typing import Any, ClassVar

import numpy as np

from makeup_kernels import BundleError, MorphReference
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.references import References
from makeup_sdk.models.base import CropPaint, Painter, Strength
from makeup_sdk.models.papers.faces import NetworkFace, shrunk
from makeup_sdk.models.papers.graphs import Graphs, Signature


class PSGANPainter(Painter):
    """Paints the references' makeup maps, morphed onto each face."""

    SIGNATURE: ClassVar[Signature] = {
        "reference": (("image",), ("features", "gamma", "beta")),
        "source": (("image",), ("features",)),
        "decoder": (("features", "gamma", "beta"), ("result",)),
    }

    def __init__(self, graphs: Graphs, references: References) -> None:
        self._graphs = graphs
        self._stride = graphs.count("pixel_stride", 1)
        self._weights = references.weights()
        self._references = [self._encode(graphs.face(face)) for face in references.faces]

    def paint(self, face: FaceAnalysis, strength: Strength) -> CropPaint:
        """See `Painter.paint`."""
        source = self._graphs.face(face)
        features = self._features(source)
        return self._graphs.paint(
            face, self._decode(features, self._laid(source, features)), strength
        )

    def both(self, source: NetworkFace, strength: Strength) -> tuple[FloatArray, FloatArray]:
        """See `PassPainter.both`; no look means maps of zeros."""
        features = self._features(source)
        maps = self._laid(source, features)
        made_up, bare = (self._decode(features, m) for m in (maps, np.zeros_like(maps)))
        return self._graphs.image(made_up), self._graphs.image(bare)

    def _features(self, source: NetworkFace) -> FloatArray:
        features: FloatArray = self._graphs.run("source", {"image": self._pixels(source)})[
            "features"
        ]
        return features

    def _laid(self, source: NetworkFace, features: FloatArray) -> FloatArray:
        """float32 (2·K, h, w): gamma and beta of the references, morphed onto a face."""
        regions = self._cells(source)
        laid = (
            reference.morph(
                features[0], self._landmarks(source), regions, threads=self._graphs.threads
            )
            * weights[regions]
            for reference, weights in zip(self._references, self._weights, strict=True)
        )
        return np.asarray(sum(laid), np.float32)

    def _landmarks(self, face: NetworkFace) -> FloatArray:
        """Landmarks, rounded to whole pixels as in the published code if the scale is the same."""
        if self._graphs.view is not None:
            return face.landmarks
        return np.rint(face.landmarks)

    def _encode(self, face: NetworkFace) -> MorphReference:
        encoded = self._graphs.run("reference", {"image": self._pixels(face)})
        return MorphReference(
            encoded["features"][0],
            self._landmarks(face),
            self._cells(face),
            np.concatenate([encoded["gamma"][0], encoded["beta"][0]]),
            visual_weight=self._graphs.number("visual_weight"),
            temperature=self._graphs.number("temperature"),
            pixel_stride=self._stride,
        )

    def _pixels(self, face: NetworkFace) -> FloatArray:
        return self._graphs.pixels(face.image)

    def _cells(self, face: NetworkFace) -> Any:
        return np.ascontiguousarray(face.regions[:: self._stride, :: self._stride])

    def _decode(self, features: FloatArray, maps: FloatArray) -> FloatArray:
        inputs = decoder_inputs(features, maps)
        result: FloatArray = self._graphs.run("decoder", inputs)["result"][0]
        return result


class SuperResolutionPainter(PSGANPainter):
    """PSGAN on faces shrunk by the bundle's `enlargement`; the result is enlarged again.

    For frames with small faces; a sharp face loses detail.
    """

    SIGNATURE: ClassVar[Signature] = {
        **PSGANPainter.SIGNATURE,
        "decoder": (("features", "gamma", "beta"), ("made_up", "blurry")),
        "prior": (("blurry",), ("prior",)),
        "super_resolution": (("prior", "made_up"), ("result",)),
    }

    def __init__(self, graphs: Graphs, references: References) -> None:
        self._small = graphs.size // graphs.count("enlargement", 1)
        if self._small < 1:
            raise BundleError(
                f"{graphs.where}: constant 'enlargement' is larger than the crop; export the "
                "bundle again"
            )
        super().__init__(graphs, references)

    def _pixels(self, face: NetworkFace) -> FloatArray:
        return self._graphs.pixels(shrunk(face.image, self._small))

    def _decode(self, features: FloatArray, maps: FloatArray) -> FloatArray:
        decoded = self._graphs.run("decoder", decoder_inputs(features, maps))
        prior = self._graphs.run("prior", {"blurry": decoded["blurry"]})["prior"]
        last = {"prior": prior, "made_up": decoded["made_up"]}
        result: FloatArray = self._graphs.run("super_resolution", last)["result"][0]
        return result


def decoder_inputs(features: FloatArray, maps: FloatArray) -> dict[str, Any]:
    """The decoder's inputs: features, and gamma and beta from one array (2·K, h, w)."""
    gamma, beta = np.split(maps[None], 2, axis=1)
    return {"features": features, "gamma": gamma, "beta": beta}
