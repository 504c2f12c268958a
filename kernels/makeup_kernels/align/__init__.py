"""Align: the similarity transform from a frame to the square crop that every model sees.

`align_faces` resamples the crops of all faces of a frame and normalises them for a network. On a
GPU it is one pass: for crop pixel (u, v) and transform M from frame to crop,

    crop(u, v) = ⌊mean over a, b of frame(M⁻¹ (u + (a + ½)/f − ½, v + (b + ½)/f − ½)) + ½⌋
    input_c(u, v) = (crop_c(u, v) − mean_c) · scale_c

with a, b = 0..f−1, the frame sampled bilinearly and its border repeated, and f = ⌊1 / scale of M⌋,
at least 1 and at most 8: a face that shrinks is averaged over each crop pixel's square. On the CPU
the crop is made by `crop_face`.

The crop is fitted to a mean frontal face (`TEMPLATE_LANDMARKS`): chin at 89 % of its height, jaw
55 % of its width, forehead and hairline inside.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels.device import DeviceCall
from makeup_kernels.dispatch import choose_backend
from makeup_kernels.errors import InvalidInputError
from makeup_kernels.inputs import check_array

FRAME_COLORS = ("bgr", "rgb", "nv12")
"""Frame layouts that `align_faces` accepts."""

TEMPLATE_LANDMARKS: NDArray[np.float32] = np.array(
    [
        (0.2264, 0.3843),
        (0.2255, 0.4981),
        (0.2307, 0.5565),
        (0.2594, 0.6852),
        (0.2842, 0.7390),
        (0.3126, 0.7790),
        (0.3784, 0.8403),
        (0.4498, 0.8804),
        (0.5000, 0.8855),
        (0.5502, 0.8804),
        (0.6216, 0.8403),
        (0.6874, 0.7790),
        (0.7158, 0.7390),
        (0.7406, 0.6852),
        (0.7693, 0.5565),
        (0.7745, 0.4981),
        (0.7736, 0.3843),
        (0.2521, 0.3584),
        (0.2910, 0.3563),
        (0.3287, 0.3450),
        (0.3796, 0.3484),
        (0.4391, 0.3574),
        (0.5609, 0.3574),
        (0.6204, 0.3484),
        (0.6713, 0.3450),
        (0.7090, 0.3563),
        (0.7479, 0.3584),
        (0.5000, 0.4289),
        (0.5000, 0.4921),
        (0.5000, 0.5471),
        (0.5000, 0.5811),
        (0.4475, 0.6136),
        (0.4675, 0.6270),
        (0.5000, 0.6295),
        (0.5325, 0.6270),
        (0.5525, 0.6136),
        (0.3191, 0.4379),
        (0.3443, 0.4209),
        (0.3861, 0.4191),
        (0.4305, 0.4482),
        (0.3922, 0.4528),
        (0.3513, 0.4535),
        (0.5695, 0.4482),
        (0.6139, 0.4191),
        (0.6557, 0.4209),
        (0.6809, 0.4379),
        (0.6487, 0.4535),
        (0.6078, 0.4528),
        (0.3943, 0.7110),
        (0.4392, 0.6885),
        (0.4689, 0.6813),
        (0.5000, 0.6875),
        (0.5311, 0.6813),
        (0.5608, 0.6885),
        (0.6057, 0.7110),
        (0.5599, 0.7517),
        (0.5320, 0.7617),
        (0.5000, 0.7650),
        (0.4680, 0.7617),
        (0.4401, 0.7517),
        (0.4037, 0.7113),
        (0.4742, 0.7106),
        (0.5000, 0.7121),
        (0.5258, 0.7106),
        (0.5963, 0.7113),
        (0.5257, 0.7212),
        (0.5000, 0.7229),
        (0.4743, 0.7212),
    ],
    dtype=np.float32,
)
"""float32 (68, 2): the mean face in iBUG order, x then y, as fractions of the crop's side."""

CROP_SIZE = 256
"""Side of the aligned crop in pixels."""


def crop_matrix(landmarks: NDArray[np.float32], size: int = CROP_SIZE) -> NDArray[np.float64]:
    """Least-squares similarity (rotation, uniform scale, shift) from a face to the template.

    Minimises Σ_k ‖s·R·p_k + t − size·q_k‖² over the 68 points (closed form: Umeyama, 1991, without
    reflection).

    Args:
        landmarks: float (68, 2), x then y, frame pixels, finite and not all equal.
        size: side of the square crop in pixels.

    Returns:
        float64 (2, 3): frame pixel (x, y, 1) to crop pixel (x, y).

    Raises:
        InvalidInputError: wrong shape, non-finite or degenerate landmarks.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != TEMPLATE_LANDMARKS.shape:
        raise InvalidInputError(
            f"landmarks: got shape {points.shape}, expected (68, 2): x then y in iBUG order"
        )
    if not np.isfinite(points).all():
        raise InvalidInputError("landmarks: got NaN or infinity, expected finite pixel positions")
    if float(np.ptp(points, axis=0).max()) < 1e-3:
        raise InvalidInputError("landmarks: all 68 points coincide, expected the points of a face")
    return similarity(points, TEMPLATE_LANDMARKS.astype(np.float64) * size)


def similarity(points: NDArray[Any], target: NDArray[Any]) -> NDArray[np.float64]:
    """Least-squares rotation, uniform scale and shift from `points` to `target`, no reflection.

    Args:
        points: float (N, 2), x then y, finite, not all equal.
        target: float (N, 2), the corresponding points.

    Returns:
        float64 (2, 3): (x, y, 1) to (x, y).
    """
    points, target = points.astype(np.float64), target.astype(np.float64)
    centre, target_centre = points.mean(axis=0), target.mean(axis=0)
    p, q = points - centre, target - target_centre
    spread = float((p * p).sum())
    a = float((p * q).sum()) / spread
    b = float((p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum()) / spread
    linear = np.array([[a, -b], [b, a]])
    shift = target_centre - linear @ centre
    return np.hstack([linear, shift[:, None]])


def crop_face(
    frame: NDArray[np.uint8], matrix: NDArray[np.float64], size: int = CROP_SIZE
) -> NDArray[np.uint8]:
    """Resample the aligned crop from a frame.

    Bilinear; a face that shrinks by more than 2 is first reduced by area averaging over an integer
    factor to avoid aliasing. Pixels beyond the frame repeat its border.

    Args:
        frame: uint8 (H, W, 3).
        matrix: (2, 3) from `crop_matrix`, frame to crop.
        size: side of the crop in pixels.

    Returns:
        uint8 (size, size, 3).
    """
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    factor = int(1.0 / scale) if scale < 0.5 else 1
    if factor > 1:
        inverse = cv2.invertAffineTransform(matrix)
        corners = np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]], np.float64)
        xy = corners @ inverse.T
        height, width = frame.shape[:2]
        x0, y0 = np.clip(np.floor(xy.min(axis=0)).astype(int) - factor, 0, [width - 1, height - 1])
        x1, y1 = np.clip(
            np.ceil(xy.max(axis=0)).astype(int) + factor, [x0 + 1, y0 + 1], [width, height]
        )
        small = (max(1, (x1 - x0) // factor), max(1, (y1 - y0) // factor))
        if min(x1 - x0, y1 - y0) >= factor:  # whole factors: OpenCV averages them far faster
            x1, y1 = x0 + factor * small[0], y0 + factor * small[1]
        box = frame[y0:y1, x0:x1]
        frame = _uint8(cv2.resize(box, small, interpolation=cv2.INTER_AREA))
        # pixel centres: x_frame = (x_small + 0.5) * step - 0.5 + x0
        step_x, step_y = (x1 - x0) / small[0], (y1 - y0) / small[1]
        to_frame = np.array(
            [[step_x, 0, x0 + 0.5 * step_x - 0.5], [0, step_y, y0 + 0.5 * step_y - 0.5], [0, 0, 1]]
        )
        matrix = matrix @ to_frame
    return _uint8(
        cv2.warpAffine(
            frame, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    )


def align_faces(
    frame: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    *,
    size: int = CROP_SIZE,
    color: str = "bgr",
    model_color: str = "rgb",
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
    scale: tuple[float, float, float] = (1 / 255, 1 / 255, 1 / 255),
    half: bool = False,
    backend: str = "auto",
) -> tuple[NDArray[np.uint8], NDArray[np.floating[Any]]]:
    """Cut aligned crops from a frame and turn them into network inputs.

    The formula is in the module's docstring.

    Args:
        frame: uint8 (H, W, 3); for color="nv12" (H · 3/2, W), H and W even: BT.601, limited range.
        matrix: float (2, 3) or, for several faces, (N, 2, 3): frame pixel to crop pixel.
        size: side of the crops in pixels.
        color: "bgr", "rgb" or "nv12".
        model_color: channel order of the inputs, "rgb" or "bgr".
        mean, scale: per input channel, in the model's channel order.
        half: float16 inputs instead of float32.
        backend: "auto", "cpu", "triton" or "cuda". The last two also accept GPU arrays, which stay
            on the GPU.

    Returns:
        crops uint8 (size, size, 3) in the frame's channel order, BGR for NV12, and inputs float32
        or float16 (3, size, size); both have a leading axis of faces if `matrix` has one.

    Raises:
        InvalidInputError: wrong dtype, shape or option, or a matrix that is not invertible.
        BackendUnavailableError: the backend cannot run here.
    """
    if color not in FRAME_COLORS or model_color not in ("rgb", "bgr"):
        raise InvalidInputError(
            f"color, model_color: got {color!r}, {model_color!r}, expected one of {FRAME_COLORS} "
            "and 'rgb' or 'bgr'"
        )
    if size < 1:
        raise InvalidInputError(f"size: got {size}, expected at least 1")
    chosen = choose_backend(backend, "align_faces", frame)
    shape = ("H", "W") if color == "nv12" else ("H", "W", 3)
    ndim = len(getattr(matrix, "shape", np.shape(matrix)))
    call = DeviceCall(chosen, "align", isinstance(frame, np.ndarray), ndim == 3)
    faces = len(matrix) if call.batched else 1
    matrices = call.take_matrices(matrix, faces)
    options: dict[str, Any] = {"mean": tuple(mean), "scale": tuple(scale), "half": half}
    if chosen == "cpu":
        frame = check_array("frame", frame, np.uint8, shape)
        _check_nv12(frame.shape, color)
        results = _align_on_cpu(frame, matrices, size, color, model_color, **options)
        return results if call.batched else (results[0][0], results[1][0])
    image = call.take_plain("frame", frame, ("uint8",), shape)
    _check_nv12(tuple(image.shape), color)
    crops, inputs = call.kernels.align_faces(
        image, matrices, size=size, color=color, model_color=model_color, **options
    )
    return call.give(crops), call.give(inputs)


def _check_nv12(shape: tuple[int, ...], color: str) -> None:
    if color == "nv12" and (shape[0] % 3 or shape[1] % 2):
        raise InvalidInputError(
            f"frame: got uint8 {shape}, expected an NV12 frame (H · 3/2, W) with H and W even"
        )


def _align_on_cpu(
    frame: NDArray[np.uint8],
    matrices: NDArray[np.float64],
    size: int,
    color: str,
    model_color: str,
    mean: tuple[float, float, float],
    scale: tuple[float, float, float],
    half: bool,
) -> tuple[NDArray[np.uint8], NDArray[np.floating[Any]]]:
    if color == "nv12":
        frame, color = _uint8(cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_NV12)), "bgr"
    crops = np.stack([crop_face(frame, matrix, size) for matrix in matrices])
    pixels = crops if color == model_color else crops[..., ::-1]
    normal = (pixels - np.asarray(mean, np.float32)) * np.asarray(scale, np.float32)
    inputs = np.ascontiguousarray(normal.transpose(0, 3, 1, 2))
    return crops, inputs.astype(np.float16 if half else np.float32)


def _uint8(image: Any) -> NDArray[np.uint8]:
    """Narrow the type: OpenCV's stubs say any number type, but these calls return uint8."""
    result: NDArray[np.uint8] = image
    return result
