"""Products on the device: painted on the host, put into the frame on the device."""

from typing import Protocol

import numpy as np

from makeup_kernels import CROP_SIZE, Region
from makeup_kernels.types import Image
from makeup_sdk.faces import FaceAnalysis
from makeup_sdk.gpu.device import Device, Tensor
from makeup_sdk.gpu.faces import DeviceFaces
from makeup_sdk.models.base import Strength
from makeup_sdk.models.products.paint import ProductsPainter, below


class _Base(Protocol):
    def paint(self, image: Tensor, faces: DeviceFaces, strengths: list[Strength]) -> None: ...


class DeviceProductsPainter:
    """Counterpart of `ProductsPainter`.

    Layers are painted on the host, on the crop that the face analysis downloaded. Gains and
    offsets, about 1 MB per face, are uploaded; the frame stays on the device. Painting takes the
    same time per face and frame as on the CPU.

    Args:
        device: the device of the frames.
        painter: paints the products.
    """

    def __init__(self, device: Device, painter: ProductsPainter) -> None:
        self._device, self._painter = device, painter

    def paint(self, image: Tensor, faces: DeviceFaces, strengths: list[Strength]) -> None:
        """See `GpuPainter.paint`."""
        for face, strength in zip(faces.analyses, strengths, strict=True):
            self.paint_over(image, face, face.crop, faces.color, strength)

    def paint_over(
        self, image: Tensor, face: FaceAnalysis, made_up: Image, color: str, strength: Strength
    ) -> None:
        """Paint one face that already has another makeup.

        Args:
            image: uint8 (H, W, 3) on the device, written in place.
            face: the bare face.
            made_up: uint8 (256, 256, 3), BGR, its crop with that makeup.
            color: channel order of the image, "bgr" or "rgb".
            strength: see `Strength`.
        """
        for patch in self._painter.paint_over(face, made_up, None, strength).patches:
            change, cells = patch.laid(face.matrix, color)
            self._device.apply_color_map(image, self._device.upload(change[None]), cells[None])


class DeviceLayeredPainter:
    """Counterpart of `LayeredPainter`; downloads the crops with the base makeup in between.

    Args:
        device: the device of the frames.
        base: paints the makeup below.
        regions: the regions that it may paint.
        over: paints the products.
    """

    def __init__(
        self,
        device: Device,
        base: "_Base",
        regions: frozenset[Region],
        over: ProductsPainter,
    ) -> None:
        self._device, self._base, self._regions = device, base, regions
        self._over = DeviceProductsPainter(device, over)

    def paint(self, image: Tensor, faces: DeviceFaces, strengths: list[Strength]) -> None:
        """See `GpuPainter.paint`."""
        self._base.paint(image, faces, [below(s, self._regions) for s in strengths])
        crops, _ = self._device.align_faces(
            image, faces.matrices, size=CROP_SIZE, color=faces.color, model_color="bgr"
        )
        made_up = self._device.download(crops)
        if faces.color == "rgb":
            made_up = np.ascontiguousarray(made_up[..., ::-1])
        for face, crop, strength in zip(faces.analyses, made_up, strengths, strict=True):
            self._over.paint_over(image, face, crop, faces.color, strength)
