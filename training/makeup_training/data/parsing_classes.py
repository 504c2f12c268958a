"""Convert the class numberings of face parsings to and from the 14 classes of the MT data set.

MT: 0 background, 1 skin, 2/3 left/right brow, 4/5 left/right eye, 6 nose, 7 upper lip, 8 mouth
inside, 9 lower lip, 10 hair, 11/12 ears, 13 neck. Left and right are as seen in the picture.
"""

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_kernels.errors import InvalidInputError

MT_CLASSES = 14
LEFT_RIGHT_PAIRS = ((2, 3), (4, 5), (11, 12))
"""MT classes that swap when a picture is mirrored."""

EARS_AND_NECK = (11, 12, 13)

_RAW19_TO_MT = (0, 1, 2, 3, 4, 5, 0, 11, 12, 0, 6, 8, 7, 9, 13, 0, 0, 10, 0)
_MT_TO_RAW19 = (0, 1, 2, 3, 4, 5, 10, 12, 11, 13, 17, 7, 8, 14)
_FACES12_TO_MT = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0)
_MT_TO_HELEN11 = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0)
# 3, 5, 12 do not occur; SCGAN counts 8 and 10 as skin
_SCGAN_TO_MT = (0, 5, 3, 0, 1, 0, 4, 2, 1, 7, 1, 8, 0, 9)

TO_MT = MappingProxyType(
    {
        "mt": tuple(range(MT_CLASSES)),
        "raw19": _RAW19_TO_MT,
        "faces12": _FACES12_TO_MT,
        "scgan": _SCGAN_TO_MT,
    }
)
"""Tables to MT classes, by numbering: `mt` itself, `raw19` (face-parsing.PyTorch), `faces12` (our
faces folder; the rest of the person has no MT class and becomes background) and `scgan` (as SCGAN's
loader expects MT's files: lips 9 and 13, skin 4, 8 and 10, eyes 6 and 1, brows 7 and 2, mouth 11).
"""

FROM_MT = MappingProxyType({"raw19": _MT_TO_RAW19, "helen11": _MT_TO_HELEN11})
"""Tables from MT classes: `raw19` (SSAT, low-resolution PSGAN), `helen11` (portrait editing)."""


def to_mt(classes: NDArray[np.integer], numbering: str) -> NDArray[np.uint8]:
    """Class ids of another numbering as MT classes.

    Args:
        classes: integer (H, W), ids of `numbering`.
        numbering: a key of `TO_MT`.

    Returns:
        uint8 (H, W), 0 to 13.

    Raises:
        InvalidInputError: an id that the numbering does not have.
    """
    return _look_up(classes, TO_MT[numbering], numbering)


def from_mt(classes: NDArray[np.integer], numbering: str) -> NDArray[np.uint8]:
    """MT classes (H, W) as uint8 ids of another numbering, a key of `FROM_MT`.

    Raises:
        InvalidInputError: an id above 13.
    """
    return _look_up(classes, FROM_MT[numbering], "mt")


def region_gan_classes(regions: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Region ids (`makeup_kernels.Region`) as the four classes of the region-sensitive GAN.

    0 unchanged (brows too), 1 eye shadow, 2 base, 3 lips; uint8 (H, W).
    """
    table = np.zeros(len(Region), np.uint8)
    table[[Region.EYES, Region.SKIN, Region.LIPS]] = (1, 2, 3)
    return table[regions]


def mirrored_classes(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """MT classes (H, W) of the mirrored picture."""
    table = np.arange(MT_CLASSES, dtype=np.uint8)
    for left, right in LEFT_RIGHT_PAIRS:
        table[[left, right]] = right, left
    return np.ascontiguousarray(table[classes][:, ::-1])


def _look_up(
    classes: NDArray[np.integer], table: tuple[int, ...], numbering: str
) -> NDArray[np.uint8]:
    if classes.size and int(classes.max()) >= len(table):
        raise InvalidInputError(
            f"parsing: got class {int(classes.max())}, expected 0 to {len(table) - 1} "
            f"of the numbering {numbering!r}"
        )
    return np.array(table, np.uint8)[classes]
