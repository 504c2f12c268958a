"""The aligned crop of the head: twice the face's, with hair and shoulders in it."""

import numpy as np
from numpy.typing import NDArray

HEAD_SIZE = 128
"""Side of the crop in pixels."""
HEAD_CELL = 4.0
"""Side of its pixels in pixels of the face's crop."""
_CENTRE = (127.5, 167.5)
"""Centre of the crop in pixels of the face's crop: hair reaches farther down than up."""


def head_matrix(matrix: NDArray[np.float64], size: int = HEAD_SIZE) -> NDArray[np.float64]:
    """float64 (2, 3), frame pixel to pixel of the head's crop.

    Args:
        matrix: float64 (2, 3), frame pixel to pixel of the face's crop (`FaceAnalysis.matrix`).
        size: side of the head's crop.
    """
    found = (matrix - [[0, 0, _CENTRE[0]], [0, 0, _CENTRE[1]]]) * (size / (HEAD_SIZE * HEAD_CELL))
    found[:, 2] += (size - 1) / 2
    return np.asarray(found, np.float64)
