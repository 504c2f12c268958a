"""The pipeline's backend for frames on a GPU."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from makeup_kernels import InvalidInputError
from makeup_sdk.faces import FaceAnalysis
from makeup_sdk.faces.smoothing import SmoothingOptions
from makeup_sdk.frame import output
from makeup_sdk.gpu.device import Device, Tensor
from makeup_sdk.gpu.faces import DeviceFaces, GpuFaceAnalyzer
from makeup_sdk.gpu.painters import GpuPainter, check_paints, gpu_painter
from makeup_sdk.images import check_frame
from makeup_sdk.looks.look import Look
from makeup_sdk.models.base import FACES_AT_ONCE, Model, ModelOptions, scaled
from makeup_sdk.pipeline import Lap, Stroke


class GpuBackend:
    """Frames on the current CUDA device, painted there. See `FrameBackend`.

    Args:
        model: the makeup model.
        options: options of the sessions.
        color: channel order of the frames, "bgr" or "rgb".
        device: the device.

    Raises:
        BackendUnavailableError: the model cannot paint on a GPU.
    """

    def __init__(self, model: Model, options: ModelOptions, color: str, device: Device) -> None:
        check_paints(model)
        self._model = model
        self.color = color
        self._device = device
        self.analyzer = GpuFaceAnalyzer(device, options, color)

    def canvas(self, frame: Any, out: Any) -> "GpuCanvas":
        """See `FrameBackend.canvas`.

        Args:
            frame: uint8 (H, W, 3): NumPy, or a GPU array of torch, CuPy or PyCUDA. Pending work on
                a GPU array must be on the default stream; its rows must be contiguous.
            out: an array of the same kind.
        """
        return GpuCanvas(frame, out, self.color, self._device)

    def analyze(self, view: Tensor, found: Sequence[Any]) -> list[FaceAnalysis]:
        """See `FrameBackend.analyze`; all faces in one batch."""
        return self.analyzer.analyze_all(view, found)

    def painter(self, look: Look) -> GpuPainter:
        """See `FrameBackend.painter`."""
        return gpu_painter(self._model, look, self._device)

    def brush(self, painter: GpuPainter, smoothing: SmoothingOptions | None) -> GpuPainter:
        """See `FrameBackend.brush`; smooths landmarks and regions, not the paint itself."""
        return painter


class GpuCanvas:
    """A frame on the GPU during painting. See `Canvas`."""

    def __init__(self, frame: Any, out: Any, color: str, device: Device) -> None:
        self._device = device
        self._color = color
        self.view = self._take(frame, "frame")
        self._result, self._image = self._target(frame, self.view, out)

    def paint(self, strokes: Sequence[Stroke], lap: Lap) -> None:
        """See `Canvas.paint`; paints the faces of one look in one batch."""
        by_look: dict[int, list[Stroke]] = {}
        for stroke in strokes:
            by_look.setdefault(id(stroke.brush), []).append(stroke)
        for same in by_look.values():
            for start in range(0, len(same), FACES_AT_ONCE):
                self._paint(same[start : start + FACES_AT_ONCE])
        lap("generate")

    def _paint(self, strokes: list[Stroke]) -> None:
        analyses = tuple(stroke.face for stroke in strokes)
        regions = self._device.upload(np.stack([face.regions for face in analyses]))
        strengths = [scaled(stroke.strength, stroke.opacity) for stroke in strokes]
        faces = DeviceFaces(self.view, self._color, analyses, regions)
        strokes[0].brush.paint(self._image, faces, strengths)

    def result(self) -> Any:
        """See `Canvas.result`."""
        if isinstance(self._result, np.ndarray):
            np.copyto(self._result, self._device.download(self._image))
        return self._result

    def _take(self, frame: Any, name: str) -> Tensor:
        """A frame as a tensor on the device: NumPy is uploaded, a GPU array is used in place."""
        if isinstance(frame, np.ndarray):
            return self._device.upload(check_frame(frame, name))
        tensor = self._device.adopt(frame, name)
        shape, dtype = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
        usual = dtype == "uint8" and len(shape) == 3 and shape[2] == 3 and 0 not in shape
        if not usual or tuple(tensor.stride())[1:] != (3, 1):
            raise InvalidInputError(
                f"{name}: got {dtype} {shape} with strides {tuple(tensor.stride())} on the GPU, "
                "expected uint8 (H, W, 3), each row without gaps"
            )
        return tensor

    def _target(self, frame: Any, taken: Tensor, out: Any) -> tuple[Any, Tensor]:
        """The result array, of the frame's kind, and the tensor to paint on, which has the frame.

        For a frame on the host these differ: the tensor is downloaded at the end.
        """
        if isinstance(frame, np.ndarray):
            return output(frame, out), taken.clone()
        if out is None:
            copy = frame.clone() if frame is taken else frame.copy()
            return copy, self._take(copy, "out")
        target = taken if out is frame else self._take(out, "out")
        if isinstance(out, np.ndarray) or target.shape != taken.shape:
            raise InvalidInputError(
                f"out: got {type(out).__name__} {tuple(target.shape)}, expected an array on the "
                f"GPU of the frame's shape {tuple(taken.shape)}"
            )
        return out, target if out is frame else target.copy_(taken)
