"""Published networks that read a whole reference face, as a `Model`."""

from collections.abc import Collection, Mapping
from typing import ClassVar, Protocol

from makeup_kernels import BundleError, InvalidInputError
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.makeup.references import References
from makeup_sdk.models.base import CropPaint, Painter, Strength
from makeup_sdk.models.papers.graphs import Graphs, Signature
from makeup_sdk.models.papers.light_paint import LightPainter, PassPainter
from makeup_sdk.models.papers.portrait_edit import PortraitPainter
from makeup_sdk.models.papers.portrait_mobile import MobilePortraitPainter
from makeup_sdk.models.papers.psgan import PSGANPainter, SuperResolutionPainter
from makeup_sdk.models.papers.psgan_pose import PosePainter, WarpedMapsPainter
from makeup_sdk.models.papers.psgan_sr import MobileSuperResolutionPainter, SharpPainter
from makeup_sdk.models.papers.ssat import SSATPainter, gathered_from
from makeup_sdk.models.papers.views import LightView


class ReferencePainter(Painter, Protocol):
    """A painter that reads its references through the graphs when it is created."""

    SIGNATURE: ClassVar[Signature]

    def __init__(self, graphs: Graphs, references: References) -> None: ...

    def paint(self, face: FaceAnalysis, strength: Strength) -> CropPaint: ...


PAINTERS: Mapping[str, type[ReferencePainter]] = {
    "psgan": PSGANPainter,
    "psgan-sr": SuperResolutionPainter,
    "psgan-pose": PosePainter,
    "ssat": SSATPainter,
    "portrait-edit": PortraitPainter,
}
"""Painters by name of the model."""

_REMOVES = "ssat"


def painter_class(name: str, graphs: Collection[str]) -> type[ReferencePainter]:
    """The painter class of a model with these graphs; three models have two variants."""
    mobile: type[ReferencePainter] = MobilePortraitPainter
    if name == "portrait-edit" and set(graphs) >= set(mobile.SIGNATURE):
        return mobile
    if name == "psgan-pose" and "whole" not in graphs:
        return WarpedMapsPainter
    if name == "psgan-sr" and "prior" not in graphs:
        return MobileSuperResolutionPainter
    return PAINTERS[name]


class ReferenceModel:
    """A network that reads a whole reference face, as a `Model`.

    Args:
        name: name of the model.
        graphs: its graphs.
    """

    kind = References.kind
    wears = frozenset({kind})
    regions = frozenset(MAKEUP_REGIONS)

    def __init__(self, name: str, graphs: Graphs) -> None:
        self.name = name
        self.graphs = graphs

    def encode(self, face: FaceAnalysis) -> References:
        """Store the reference face; the network reads it when the look is applied."""
        return References.of(face)

    def painter(self, makeup: References) -> Painter:
        """Run the network on the reference faces.

        Raises:
            InvalidInputError: the look removes makeup, which this model cannot do.
        """
        if makeup.bare and self.name != _REMOVES:
            raise InvalidInputError(
                f"the look takes makeup off, which model {self.name!r} cannot do; use model "
                f"{_REMOVES!r}"
            )
        kind = painter_class(self.name, self.graphs.sessions)
        if self.graphs.view is None:
            return kind(self.graphs, makeup)
        painter = kind(self.graphs, makeup.with_mirrored())
        if not isinstance(painter, PassPainter):
            raise BundleError(
                f"{self.graphs.where}: constant 'view' does not belong in a bundle of "
                f"{self.name!r}; export the bundle again"
            )
        view, size = self.graphs.view, self.graphs.size
        if isinstance(painter, MobileSuperResolutionPainter) and isinstance(view, LightView):
            return SharpPainter(painter, view, size)
        gains = self.graphs.gains.get("removal" if makeup.bare else "transfer")
        return LightPainter(painter, view, size, gains)

    def gathered_from(
        self, face: FaceAnalysis, point: tuple[float, float], reference: FaceAnalysis
    ) -> FloatArray:
        """Where on a reference a place of a face gathers its makeup from (`ssat` alone).

        Args:
            face: wears the makeup.
            point: x, y of the place, pixels of the face's own crop.
            reference: lends it.

        Returns:
            float32 (256, 256): weights on the reference's crop, which sum to 1.

        Raises:
            InvalidInputError: another model, or a place that the network does not see.
            NoFaceError: too little skin is visible.
        """
        if self.name != _REMOVES:
            raise InvalidInputError(
                f"model {self.name!r} has no correspondence of places; use {_REMOVES!r}"
            )
        return gathered_from(self.graphs, face, point, reference)
