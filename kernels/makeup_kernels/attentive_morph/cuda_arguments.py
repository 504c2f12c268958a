"""The kernels' argument structs, field for field as in `cuda.cu` and its headers."""

import ctypes

_POINTER, _INT, _FLOAT, _DOUBLE = ctypes.c_void_p, ctypes.c_int32, ctypes.c_float, ctypes.c_double


class RegionIndex(ctypes.Structure):
    """`RegionIndex` of cuda_tokens.cuh."""

    _fields_ = (
        ("start", _INT * 256),
        ("count", _INT * 256),
        ("used", _INT),
        ("padding", _INT),
        ("mean_y", _DOUBLE),
        ("mean_x", _DOUBLE),
        ("spread", _DOUBLE),
        ("coupling", _DOUBLE),
    )


class IndexArguments(ctypes.Structure):
    """`IndexArgs` of cuda_tokens.cuh."""

    _fields_ = (
        ("regions", _POINTER),
        ("landmarks", _POINTER),
        ("other_landmarks", _POINTER),
        ("other_index", _POINTER),
        ("index", _POINTER),
        ("cells_of_rows", _POINTER),
        ("cells", _INT),
        ("points", _INT),
        ("rows", _INT),
        ("others", _INT),
    )


class PackArguments(ctypes.Structure):
    """`PackArgs` of cuda_tokens.cuh."""

    _fields_ = (
        ("features", _POINTER),
        ("planes", _POINTER),
        ("index", _POINTER),
        ("cells_of_rows", _POINTER),
        ("tokens", _POINTER),
        ("packed_planes", _POINTER),
        ("positions", _POINTER),
        ("scale", _DOUBLE),
        ("stride", _DOUBLE),
        ("cells", _INT),
        ("columns", _INT),
        ("rows", _INT),
        ("points", _INT),
        ("channels", _INT),
        ("depth", _INT),
        ("plane_count", _INT),
        ("plane_stride", _INT),
        ("is_query", _INT),
        ("padding", _INT),
    )


class MorphArguments(ctypes.Structure):
    """`MorphArgs` of cuda.cu."""

    _fields_ = (
        ("queries", _POINTER),
        ("keys", _POINTER),
        ("query_positions", _POINTER),
        ("key_positions", _POINTER),
        ("values", _POINTER),
        ("query_cells", _POINTER),
        ("query_index", _POINTER),
        ("key_index", _POINTER),
        ("regions", _POINTER),
        ("out", _POINTER),
        ("log_totals", _POINTER),
        ("visual_scale", _FLOAT),
        ("depth", _INT),
        ("query_rows", _INT),
        ("key_rows", _INT),
        ("cells", _INT),
        ("key_cells", _INT),
        ("references", _INT),
        ("value_count", _INT),
        ("value_stride", _INT),
        ("splits", _INT),
    )


class GradientArguments(ctypes.Structure):
    """`GradientArgs` of cuda_gradients.cuh."""

    _fields_ = (
        ("queries", _POINTER),
        ("keys", _POINTER),
        ("query_positions", _POINTER),
        ("key_positions", _POINTER),
        ("values", _POINTER),
        ("results", _POINTER),
        ("gradients", _POINTER),
        ("log_totals", _POINTER),
        ("query_cells", _POINTER),
        ("key_cells_of_rows", _POINTER),
        ("query_index", _POINTER),
        ("key_index", _POINTER),
        ("regions", _POINTER),
        ("out", _POINTER),
        ("value_out", _POINTER),
        ("visual_scale", _FLOAT),
        ("channels", _INT),
        ("depth", _INT),
        ("query_rows", _INT),
        ("key_rows", _INT),
        ("cells", _INT),
        ("faces", _INT),
        ("references", _INT),
        ("value_count", _INT),
        ("value_stride", _INT),
        ("padding", _INT),
    )
