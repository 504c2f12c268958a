"""Aliases for the arrays that all packages pass around."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float32]
DoubleArray: TypeAlias = NDArray[np.float64]
Image: TypeAlias = NDArray[np.uint8]
"""uint8 (H, W, 3), BGR unless stated otherwise; in some places a map (H, W)."""
