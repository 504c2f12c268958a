"""Compiled operations of makeup-sdk, one folder per operation."""

from makeup_kernels.align import CROP_SIZE, TEMPLATE_LANDMARKS, crop_face, crop_matrix
from makeup_kernels.errors import (
    BackendUnavailableError,
    BundleError,
    InvalidInputError,
    MakeupError,
    NoFaceError,
)
from makeup_kernels.region import Region

__all__ = [
    "CROP_SIZE",
    "TEMPLATE_LANDMARKS",
    "BackendUnavailableError",
    "BundleError",
    "InvalidInputError",
    "MakeupError",
    "NoFaceError",
    "Region",
    "crop_face",
    "crop_matrix",
]
