"""One frame's way on the device: faces, paint, frame."""

from typing import Any

import numpy as np

from makeup_kernels import InvalidInputError
from makeup_sdk.faces import Face
from makeup_sdk.frame import Result, Stopwatch, judge, output
from makeup_sdk.gpu.device import Device, Tensor
from makeup_sdk.gpu.faces import DeviceFaceAnalyzer
from makeup_sdk.gpu.painters import DevicePainter, check_paints, device_painter
from makeup_sdk.images import check_frame
from makeup_sdk.models.base import FACES_AT_ONCE, Model, ModelOptions, Strength


class DevicePath:
    """What `MakeupEngine(device="cuda")` runs.

    Args:
        model: puts the makeup on.
        options: of the sessions.
        device: where.

    Raises:
        BackendUnavailableError: the model has no way to paint there.
    """

    def __init__(self, model: Model, options: ModelOptions, device: Device) -> None:
        self.device = device
        check_paints(model)
        self._model = model
        self._analyzer = DeviceFaceAnalyzer(self.device, options)

    def painter(self, makeup: Any) -> DevicePainter:
        """Prepare a makeup to be painted."""
        return device_painter(self._model, makeup, self.device)

    def process(
        self,
        frame: Any,
        out: Any,
        painter: DevicePainter,
        strength: Strength,
        *,
        color: str,
        max_faces: int,
    ) -> Result:
        """`MakeupEngine.process_detailed` on the device.

        Args:
            frame: uint8 (H, W, 3): NumPy, or an array on the GPU of torch, CuPy or PyCUDA, on which
                no other work is under way but on the default stream.
            out: as in `MakeupEngine.process`; on the GPU where the frame is.
            painter: of the look.
            strength: see `Strength`.
            color: channel order of the frame.
            max_faces: paint at most this many.

        Raises:
            InvalidInputError: the frame or `out` has the wrong dtype, shape or place.
        """
        watch = Stopwatch()
        taken = self._take(frame, "frame")
        found = self._analyzer.detect(taken, color, max_faces)
        watch.lap("detect")
        if not found:
            return Result(self._target(frame, taken, out)[0], (), watch.timings)
        analysed = self._analyzer.analyze(taken, color, found)
        watch.lap("analyze")
        faces, strengths = [], {}
        for number, (analysis, detection) in enumerate(zip(analysed.analyses, found, strict=True)):
            status, fade = judge(analysis)
            if strength and fade > 0:
                strengths[number] = {region: amount * fade for region, amount in strength.items()}
            place = (analysis.landmarks, detection.box, detection.score)
            faces.append(Face(*place, number, status, number in strengths))
        result, image = self._target(frame, taken, out)
        chosen = [*strengths]
        for start in range(0, len(chosen), FACES_AT_ONCE):
            part = chosen[start : start + FACES_AT_ONCE]
            painter.paint(image, analysed.take(part), [strengths[number] for number in part])
        watch.lap("generate")
        if isinstance(result, np.ndarray):
            np.copyto(result, self.device.download(image))
        watch.lap("composite")
        return Result(result, tuple(faces), watch.timings)

    def _take(self, frame: Any, name: str) -> Tensor:
        """A frame as a tensor on the device: NumPy goes up, an array that is there is adopted."""
        if isinstance(frame, np.ndarray):
            return self.device.upload(check_frame(frame, name))
        tensor = self.device.adopt(frame, name)
        shape, dtype = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
        usual = dtype == "uint8" and len(shape) == 3 and shape[2] == 3 and 0 not in shape
        if not usual or tuple(tensor.stride())[1:] != (3, 1):
            raise InvalidInputError(
                f"{name}: got {dtype} {shape} with strides {tuple(tensor.stride())} on the GPU, "
                "expected uint8 (H, W, 3), each row without gaps"
            )
        return tensor

    def _target(self, frame: Any, taken: Tensor, out: Any) -> tuple[Any, Tensor]:
        """The result, of the frame's kind and holding the frame, and the tensor to paint on.

        For a frame on the host the two are apart: the tensor comes down at the end.
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
