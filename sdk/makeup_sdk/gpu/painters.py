"""Painters on the device, by model."""

from typing import Protocol

from makeup_kernels import BackendUnavailableError
from makeup_sdk.gpu.device import Device, Tensor
from makeup_sdk.gpu.faces import DeviceFaces
from makeup_sdk.gpu.mobile import DeviceMobilePainter
from makeup_sdk.gpu.products import DeviceLayeredPainter, DeviceProductsPainter
from makeup_sdk.gpu.psgan import DevicePSGANPainter
from makeup_sdk.looks.look import Look
from makeup_sdk.makeup.appearance import Appearance
from makeup_sdk.makeup.base import Makeup
from makeup_sdk.makeup.product_json import ProductMakeup
from makeup_sdk.makeup.references import References
from makeup_sdk.models.base import Model, Strength
from makeup_sdk.models.mobile.model import MobileModel
from makeup_sdk.models.papers.reference_model import ReferenceModel
from makeup_sdk.models.products.model import ProductsModel
from makeup_sdk.models.products.paint import ProductsPainter

_ON_DEVICE = "psgan"


class GpuPainter(Protocol):
    """A look, prepared for painting on faces of frames on the device."""

    def paint(self, image: Tensor, faces: DeviceFaces, strengths: list[Strength]) -> None:
        """Paint all faces in one batch.

        Args:
            image: uint8 (H, W, 3) on the device, a copy of `faces.frame`; written in place.
            faces: the faces to paint.
            strengths: one per face; see `Strength`.
        """
        ...


def check_paints(model: Model) -> None:
    """Check that a model can paint on the device.

    Raises:
        BackendUnavailableError: the model cannot.
    """
    on_device = isinstance(model, MobileModel | ProductsModel) or (
        isinstance(model, ReferenceModel) and model.name == _ON_DEVICE
    )
    if not on_device:
        raise BackendUnavailableError(
            f"model {model.name!r} cannot paint on the GPU; use device='cpu', or the model "
            "'mobile', 'products' or a psgan bundle"
        )


def gpu_painter(model: Model, look: Look, device: Device) -> GpuPainter:
    """Prepare a look for painting on the device.

    Raises:
        BackendUnavailableError: the model cannot paint this makeup there.
    """
    check_paints(model)
    if isinstance(look.makeup, ProductMakeup):
        return DeviceProductsPainter(device, ProductsPainter(look.makeup.products))
    base = _of_makeup(model, look.makeup, device)
    if not look.products:
        return base
    over = ProductsPainter(look.products)
    return DeviceLayeredPainter(device, base, look.makeup_regions, over)


def _of_makeup(model: Model, makeup: Makeup, device: Device) -> GpuPainter:
    if isinstance(model, ReferenceModel) and isinstance(makeup, References):
        return DevicePSGANPainter(device, model.graphs, makeup)
    if isinstance(model, MobileModel) and isinstance(makeup, Appearance):
        return DeviceMobilePainter(device, makeup)
    raise BackendUnavailableError(
        f"makeup of kind {makeup.kind!r} cannot be painted on the GPU; use device='cpu', or a look "
        "of a photo or of products"
    )
