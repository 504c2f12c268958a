"""From the path of a bundle to a `Model`."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Protocol

from makeup_engines import Bundle
from makeup_kernels import BackendUnavailableError, BundleError, InvalidInputError
from makeup_sdk.device.device import Device
from makeup_sdk.device.path import DevicePainter
from makeup_sdk.device.psgan import DevicePSGANPainter
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.look import Look
from makeup_sdk.mobile.model import MobileModel
from makeup_sdk.model import MAKEUP_REGIONS, CropPaint, Model, ModelOptions, Strength
from makeup_sdk.published.graphs import Graphs, Signature
from makeup_sdk.published.portrait_edit import PortraitPainter
from makeup_sdk.published.psgan import PSGANPainter, SuperResolutionPainter
from makeup_sdk.published.psgan_pose import PosePainter
from makeup_sdk.published.references import References
from makeup_sdk.published.region_gan import StyleModel
from makeup_sdk.published.ssat import SSATPainter


class ReferencePainter(Protocol):
    """A painter of references, which it reads through the graphs when it is made."""

    SIGNATURE: ClassVar[Signature]

    def __init__(self, graphs: Graphs, references: References) -> None: ...

    def paint(self, face: FaceAnalysis, strength: Strength) -> CropPaint: ...


_PAINTERS: Mapping[str, type[ReferencePainter]] = {
    "psgan": PSGANPainter,
    "psgan-sr": SuperResolutionPainter,
    "psgan-pose": PosePainter,
    "ssat": SSATPainter,
    "portrait-edit": PortraitPainter,
}
_REMOVES, _ON_DEVICE = "ssat", "psgan"


class ReferenceModel:
    """A network that reads a whole reference face, as a `Model`.

    Args:
        name: of the model.
        graphs: its graphs.
    """

    kind = References.kind
    wears = frozenset({kind})
    regions = frozenset(MAKEUP_REGIONS)

    def __init__(self, name: str, graphs: Graphs) -> None:
        self.name = name
        self._graphs = graphs

    def encode(self, face: FaceAnalysis) -> References:
        """Keep the reference face; the network reads it when the look is put on."""
        return References.of(face)

    def painter(self, look: Look) -> ReferencePainter:
        """Let the network read the references of a look.

        Raises:
            InvalidInputError: the look takes makeup off, which this model cannot do.
        """
        assert isinstance(look.makeup, References)
        if look.makeup.bare and self.name != _REMOVES:
            raise InvalidInputError(
                f"look {look.title!r} takes makeup off, which model {self.name!r} cannot do; use "
                f"a bundle of {_REMOVES!r}"
            )
        return _PAINTERS[self.name](self._graphs, look.makeup)

    def device_painter(self, look: Look, device: Device) -> DevicePainter:
        """See `DeviceModel.device_painter`."""
        assert isinstance(look.makeup, References)
        if self.name != _ON_DEVICE:
            raise BackendUnavailableError(
                f"model {self.name!r} cannot paint on the GPU, {_ON_DEVICE!r} can; use "
                "device='cpu', with a backend= that runs its graphs on the GPU"
            )
        return DevicePSGANPainter(device, self._graphs, look.makeup)


def open_bundle(path: str | Path, options: ModelOptions) -> Model:
    """A model from its bundle, a directory or a `.zip`.

    Raises:
        BundleError: the bundle is damaged, or not one of a makeup model of ours.
        BackendUnavailableError: the backend cannot run here.
    """
    bundle = Bundle.open(path)
    name = bundle.manifest.model
    if name == MobileModel.name:
        return MobileModel(options, bundle)
    if name == StyleModel.name:
        return StyleModel(Graphs.open(bundle, StyleModel.SIGNATURE, options))
    if name not in _PAINTERS:
        known = ", ".join([*_PAINTERS, StyleModel.name, MobileModel.name])
        raise BundleError(
            f"{path}: a bundle of {name!r}, which the engine cannot put on faces; expected one of "
            f"{known}"
        )
    return ReferenceModel(name, Graphs.open(bundle, _PAINTERS[name].SIGNATURE, options))
