"""PSGAN on small faces with super-resolution, of mobile class: makeup, and detail beside it.

The makeup is that of any network that works in the face's own light (`light_paint`). Beside it the
network gives the detail that a face of its small size has lost. Of it a face in a frame gets what
the frame's pixels can hold and do not show yet: a sharp picture stays what it is.
"""

from typing import ClassVar, NamedTuple

import cv2
import numpy as np

from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.light import to_log
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.base import DETAIL
from makeup_sdk.models.factors import GRIDS, Factors
from makeup_sdk.models.papers.faces import NetworkFace
from makeup_sdk.models.papers.graphs import Signature
from makeup_sdk.models.papers.light_paint import LightPainter
from makeup_sdk.models.papers.psgan import PSGANPainter, decoder_inputs
from makeup_sdk.models.papers.views import PIXEL_MIDDLE, LightView

_SMALL, _LARGE = 90.0, 150.0
"""Width of a face, in frame pixels, up to which all of its detail is laid on, and from which none:
there the frame's own pixels are finer than the network's."""
_PIXEL = 0.25
"""Standard deviation, in frame pixels, of the blur that fits detail to the frame's pixels."""
_TIMES = 2.0
"""Times the missing detail is added: for soft faces of real people the network gives from a fourth
to a half of what is missing, measured against the sharp frame."""
_MOST = 0.5
"""Change of log light that detail does not exceed."""
_HALF = 2
"""Side of the network's crop over that of the small face."""


class SharpPasses(NamedTuple):
    """What the network gives of a face, in units of pixels, BGR.

    Attributes:
        made_up, bare: float32 (3, S, S), with the look and with none.
        detail: float32 (3, 2S, 2S), of the made-up face above the bicubic enlargement of the small
            one; None unless it was asked for.
    """

    made_up: FloatArray
    bare: FloatArray
    detail: FloatArray | None


class MobileSuperResolutionPainter(PSGANPainter):
    """PSGAN's passes on a face of half the size, and the detail that it has lost."""

    SIGNATURE: ClassVar[Signature] = {
        **PSGANPainter.SIGNATURE,
        "decoder": (("features", "gamma", "beta"), ("made_up", "blurry")),
        "super_resolution": (("made_up", "blurry", "image"), ("detail",)),
    }

    def passes(self, source: NetworkFace, *, detail: bool) -> SharpPasses:
        """Run the network on a face, with the detail if it is asked for."""
        graphs = self._graphs
        features = self._features(source)
        maps = self._laid(source, features)
        decoded = graphs.run("decoder", decoder_inputs(features, maps))
        made_up, bare = decoded["blurry"][0], self._decode(features, np.zeros_like(maps))
        found = None
        if detail:
            inputs = {**decoded, "image": self._small(source)}
            planes = graphs.run("super_resolution", inputs)["detail"][0]
            planes = planes if graphs.color == "bgr" else planes[::-1]
            found = np.asarray(planes * np.float32(graphs.output[0]), np.float32)
        return SharpPasses(graphs.image(made_up), graphs.image(bare), found)

    def _features(self, source: NetworkFace) -> FloatArray:
        features: FloatArray = self._graphs.run("source", {"image": self._small(source)})[
            "features"
        ]
        return features

    def _small(self, source: NetworkFace) -> FloatArray:
        return self._graphs.pixels(small_image(source.image, self._graphs.size // _HALF))

    def _decode(self, features: FloatArray, maps: FloatArray) -> FloatArray:
        result: FloatArray = self._graphs.run("decoder", decoder_inputs(features, maps))["blurry"][
            0
        ]
        return result


class SharpPainter(LightPainter):
    """A `LightPainter` that gives small faces their detail back.

    Attributes:
        network: runs the passes.
        view: what the network sees.
    """

    def __init__(self, painter: MobileSuperResolutionPainter, view: LightView, size: int) -> None:
        super().__init__(painter, view, size)
        self.network, self.view = painter, view

    def factors(self, face: FaceAnalysis, *, tone: bool = False) -> Factors:
        """See `FactorPainter.factors`."""
        source = self.seen(face)
        if source is None:
            return {}
        share = small_share(face)
        passes = self.network.passes(source, detail=share > 0)
        factors = self.changes(face, source, passes.made_up, passes.bare)
        if passes.detail is not None:
            missing = np.float32(share) * self._missing(face, passes.detail)
            factors[DETAIL] = self.view.on_grid(missing, GRIDS[DETAIL])
        return factors

    def _missing(self, face: FaceAnalysis, detail: FloatArray) -> FloatArray:
        """float32 (W, W, 3), log light in the window: the detail that the face does not show yet.

        Detail is the difference from the enlarged small face, the network's and the face's own. Of
        the network's, what its projection on the face's own accounts for is there already; coarse
        and fine detail apart, since a soft picture lacks the fine part.
        """
        view = self.view
        part, side = view.pixels, (view.side, view.side)
        light = to_log(face.crop[part])
        base = cv2.resize(
            small_image(light, self._size // _HALF), side, interpolation=cv2.INTER_CUBIC
        )
        given = cv2.resize(detail.transpose(1, 2, 0), side, interpolation=cv2.INTER_AREA)
        given *= np.float32(view.range / PIXEL_MIDDLE)
        pixel = float(np.sqrt(abs(np.linalg.det(face.matrix[:, :2]))))
        wanted = cv2.GaussianBlur(base + given, (0, 0), _PIXEL * pixel) - base
        own = light - base
        inside = (face.regions[part] > 0)[..., None]
        coarse, own_coarse = (cv2.GaussianBlur(plane, (0, 0), pixel) for plane in (wanted, own))
        missing = np.zeros_like(wanted)
        for band, shown in ((coarse, own_coarse), (wanted - coarse, own - own_coarse)):
            known = float((band * shown * inside).sum())
            known /= max(float((band**2 * inside).sum()), 1e-6)
            missing += band * np.float32(_TIMES * np.clip(1 - known, 0, 1))
        return np.asarray(np.clip(missing, -_MOST, _MOST), np.float32)


def small_share(face: FaceAnalysis) -> float:
    """How far a face in a frame is small: 1 up to `_SMALL` pixels of width, 0 from `_LARGE` on."""
    width = float(np.linalg.norm(face.landmarks[16] - face.landmarks[0]))
    return float(np.clip((_LARGE - width) / (_LARGE - _SMALL), 0, 1))


def small_image(image: Image | FloatArray, side: int) -> FloatArray:
    """A face's image (S, S, 3) on fewer pixels: the mean of those that become one."""
    shrunk = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.float32)
