"""Region maps: from a network's logits to clean maps of makeup regions.

Logits are enlarged to the map bilinearly. In the order skin, lips, eyes, brows, a region takes the
pixels where its logit exceeds those before it, but lips, eyes and brows only near their landmarks:

    region(p) = r where logit_r(p) > logit_q(p) for all q before r, and
                        distance(p, hull_r) ≤ reach_r

hull_r is the convex hull of the region's landmarks (one hull per eye and per brow); reach_r is in
pupil distances: 0.18 lips, 0.35 eyes, 0.3 brows. Then islands of paint (8-connected) smaller than
0.0008 of the map are dropped, and holes (4-connected, not touching the border) smaller than a
quarter of that are filled as skin.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.align import CROP_SIZE
from makeup_kernels.device import DeviceCall
from makeup_kernels.dispatch import choose_backend
from makeup_kernels.errors import InvalidInputError
from makeup_kernels.inputs import check_array, check_landmarks
from makeup_kernels.region_maps.cpu import region_map

__all__ = ["region_maps"]

_REGIONS, _POINTS = 5, 68


def region_maps(
    logits: NDArray[np.float32],
    landmarks: NDArray[np.float32],
    *,
    size: int = CROP_SIZE,
    backend: str = "auto",
) -> NDArray[np.uint8]:
    """Best region per pixel that the landmarks allow, without specks.

    The formula is in the module's docstring.

    Args:
        logits: float32 or float16 (5, s, s), channel = `Region`; (N, 5, s, s) for several faces.
        landmarks: float32 (68, 2), or (N, 68, 2): x then y, pixels of the map.
        size: side of the map, at least 2.
        backend: "auto", "cpu" (OpenCV), "triton" or "cuda". The last two also accept GPU arrays,
            which stay on the GPU.

    Returns:
        uint8 (size, size), or (N, size, size).

    Raises:
        InvalidInputError: wrong dtype, shape or size.
        BackendUnavailableError: the backend cannot run here.
    """
    if size < 2:
        raise InvalidInputError(f"size: got {size}, expected at least 2")
    chosen = choose_backend(backend, "region_maps", logits)
    call = DeviceCall.of(chosen, "region_maps", logits, 3)
    side = (getattr(logits, "shape", ()) or ("s",))[-1]
    if chosen != "cpu":
        planes = call.take("logits", logits, ("float32", "float16"), (_REGIONS, side, side))
        faces = (int(planes.shape[0]),)
        marks = call.take("landmarks", landmarks, "float32", (_POINTS, 2), faces)
        device_maps: NDArray[np.uint8] = call.give(
            call.kernels.region_maps(planes, marks, size=size)
        )
        return device_maps
    if call.batched:
        return np.stack(
            [region_maps(*face, size=size) for face in zip(logits, landmarks, strict=True)]
        )
    dtype: Any = np.float16 if getattr(logits, "dtype", None) == np.float16 else np.float32
    planes = check_array("logits", logits, dtype, (_REGIONS, side, side))
    marks = check_landmarks("landmarks", landmarks, _POINTS)
    return region_map(planes.astype(np.float32, copy=False), marks, size)
