"""`mobile` on the device: all faces of a frame, painted there."""

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.types import FloatArray
from makeup_sdk.faces.types import CropGrid
from makeup_sdk.gpu.device import Device, Tensor
from makeup_sdk.gpu.faces import DeviceFaces
from makeup_sdk.makeup.appearance import Appearance
from makeup_sdk.models.base import Strength
from makeup_sdk.models.mobile.paint import MobilePainter


class DeviceMobilePainter:
    """Counterpart of `MobilePainter`.

    The factors are computed on the host, from the crop that the face analysis downloaded; the frame
    stays on the device.

    Args:
        device: the device of the frames.
        makeup: the look's makeup.
    """

    def __init__(self, device: Device, makeup: Appearance) -> None:
        self._device = device
        self._painter = MobilePainter(makeup)

    def paint(self, image: Tensor, faces: DeviceFaces, strengths: list[Strength]) -> None:
        """See `GpuPainter.paint`."""
        painted: dict[CropGrid, list[tuple[FloatArray, NDArray[np.float64]]]] = {}
        for face, strength in zip(faces.analyses, strengths, strict=True):
            for grid, change in self._painter.paint(face, strength).changes(faces.color):
                painted.setdefault(grid, []).append((change, grid.cells_of(face.matrix)))
        for changes in painted.values():
            maps, cells = (np.stack(part) for part in zip(*changes, strict=True))
            self._device.apply_color_map(image, self._device.upload(maps), cells)
