"""Inputs of the networks: a batch of aligned faces, and PSGAN's rules for regions."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from makeup_kernels import Region
from makeup_kernels.errors import InvalidInputError

FEATURE_STRIDE = 4
"""Crop pixels per feature cell of the PSGAN family."""

LEFT_EYE_POINTS = slice(42, 48)
RIGHT_EYE_POINTS = slice(36, 42)
EYE_MARGIN = 16
"""Pixels that PSGAN adds around the eye landmarks on a 256×256 crop."""


class FaceBatch(NamedTuple):
    """A batch of aligned faces.

    Attributes:
        image: float (B, 3, H, W), RGB in [−1, 1].
        regions: integer (B, H, W), region ids (`makeup_kernels.Region`), 0 = outside.
        landmarks: float (B, 68, 2), x then y, crop pixels.
    """

    image: Tensor
    regions: Tensor
    landmarks: Tensor

    def with_image(self, image: Tensor) -> "FaceBatch":
        """The same faces with another image, for example a generator's result."""
        return self._replace(image=image)


def feature_regions(regions: Tensor) -> Tensor:
    """Region maps on the feature grid: nearest neighbour, cell i reads pixel 4·i.

    Args:
        regions: integer (B, H, W), H and W divisible by 4.

    Returns:
        integer (B, H/4, W/4).
    """
    return regions[:, ::FEATURE_STRIDE, ::FEATURE_STRIDE]


def psgan_regions(
    parsing: NDArray[np.integer], landmarks: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """PSGAN's lip, skin and eye-shadow masks as one region map, including its quirks.

    Lips are classes 7 and 9, skin 1 and 6 of the MT parsing (0 background, 1 skin, 2/3 brows,
    4/5 eyes, 6 nose, 7 upper lip, 8 mouth inside, 9 lower lip, 10 hair, 11/12 ears, 13 neck).
    Around each eye (points 42–47 first, then 36–41) the skin inside the landmarks' rectangle
    enlarged by 16 px becomes eye shadow; eyeballs and brows are in no region. Two quirks of the
    published code are kept: a rectangle that starts left of or above the crop is empty, and an
    overlap of the two rectangles is in no region.

    Source: PSGAN (Jiang et al., 2020), published preprocessing.

    Args:
        parsing: integer (256, 256), MT classes.
        landmarks: float (68, 2), x then y, pixels of the same crop.

    Returns:
        uint8 (256, 256), `makeup_kernels.Region` ids 0 to 3.

    Raises:
        InvalidInputError: wrong shapes.
    """
    if parsing.ndim != 2 or landmarks.shape != (68, 2):
        raise InvalidInputError(
            f"parsing and landmarks: got shapes {parsing.shape} and {landmarks.shape}, "
            "expected (H, W) and (68, 2)"
        )
    lips = np.isin(parsing, (7, 9))
    skin = np.isin(parsing, (1, 6))
    eyes = np.zeros_like(skin)
    for points in (LEFT_EYE_POINTS, RIGHT_EYE_POINTS):
        x0, y0 = landmarks[points].min(0).astype(int) - EYE_MARGIN
        x1, y1 = landmarks[points].max(0).astype(int) + EYE_MARGIN + 1
        rectangle = np.s_[y0:y1, x0:x1]
        eyes[rectangle] = skin[rectangle]
        skin[rectangle] = False
    regions = np.zeros(parsing.shape, np.uint8)
    regions[lips] = Region.LIPS
    regions[skin] = Region.SKIN
    regions[eyes] = Region.EYES
    return regions


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Class maps as one-hot planes; a class id ≥ `classes` gives an all-zero pixel.

    Args:
        labels: integer (B, H, W), ids ≥ 0.
        classes: number of planes.

    Returns:
        float32 (B, classes, H, W), 0 or 1.
    """
    ids = torch.arange(classes, device=labels.device)
    return (labels[:, None] == ids[None, :, None, None]).float()
