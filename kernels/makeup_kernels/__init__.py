"""Compiled operations of makeup-sdk, one folder per operation."""

from makeup_kernels.align import (
    CROP_SIZE,
    TEMPLATE_LANDMARKS,
    align_faces,
    crop_face,
    crop_matrix,
    similarity,
)
from makeup_kernels.apply_color_map import apply_color_map
from makeup_kernels.attentive_morph import MorphReference, attentive_morph
from makeup_kernels.composite import composite
from makeup_kernels.dispatch import CpuFeatures, cpu_features
from makeup_kernels.errors import (
    BackendUnavailableError,
    BundleError,
    InvalidInputError,
    MakeupError,
    NoFaceError,
    OutputError,
)
from makeup_kernels.match_region_histograms import RegionHistogram, match_region_histograms
from makeup_kernels.paint_layers import Factor, Pigment, Shine, paint_layers
from makeup_kernels.region import Region
from makeup_kernels.region_maps import region_maps

__all__ = [
    "CROP_SIZE",
    "TEMPLATE_LANDMARKS",
    "BackendUnavailableError",
    "BundleError",
    "CpuFeatures",
    "Factor",
    "InvalidInputError",
    "MakeupError",
    "MorphReference",
    "NoFaceError",
    "OutputError",
    "Pigment",
    "Region",
    "RegionHistogram",
    "Shine",
    "align_faces",
    "apply_color_map",
    "attentive_morph",
    "composite",
    "cpu_features",
    "crop_face",
    "crop_matrix",
    "match_region_histograms",
    "paint_layers",
    "region_maps",
    "similarity",
]
