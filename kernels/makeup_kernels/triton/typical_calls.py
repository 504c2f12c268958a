"""Calls on meta tensors that launch every Triton kernel in the forms of the shipped models.

A tensor on torch's "meta" device has only a shape and a dtype: enough to record a launch.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from makeup_kernels.align.triton import align_faces
from makeup_kernels.apply_color_map.triton import apply_color_map
from makeup_kernels.attentive_morph.triton import attentive_morph
from makeup_kernels.composite.triton import composite
from makeup_kernels.match_region_histograms.triton import match_region_histograms
from makeup_kernels.region_maps.triton import region_maps

_POINTS, _GRID, _CROP, _FRAME = 68, 64, 256, (1080, 1920, 3)


def _empty(*shape: int, dtype: torch.dtype = torch.float32, grad: bool = False) -> Any:
    return torch.empty(shape, dtype=dtype, device="meta", requires_grad=grad)


def _morph(channels: int, planes: int, dtype: torch.dtype, grad: bool = False) -> None:
    features, marks = (1, channels, _GRID, _GRID), (1, _POINTS, 2)
    regions = _empty(1, _GRID, _GRID, dtype=torch.uint8)
    morphed = attentive_morph(
        _empty(*features, dtype=dtype, grad=grad),
        _empty(*features, dtype=dtype, grad=grad),
        _empty(*marks),
        _empty(*marks),
        regions,
        regions,
        _empty(1, planes, _GRID, _GRID, grad=grad),
    )
    if grad:
        morphed.sum().backward()


def _bytes(*shape: int) -> Any:
    return _empty(*shape, dtype=torch.uint8)


def _matrices() -> Any:
    return _empty(1, 2, 3, dtype=torch.float64)


def _histograms() -> None:
    image, regions = _bytes(1, _CROP, _CROP, 3), _bytes(1, _CROP, _CROP)
    match_region_histograms(image, image, regions, regions)


def _align(color: str, model_color: str, half: bool) -> None:
    frame = _bytes(1620, 1920) if color == "nv12" else _bytes(*_FRAME)
    align_faces(frame, _matrices(), color=color, model_color=model_color, half=half)


def _composite(in_place: bool) -> None:
    frame, crop = _bytes(*_FRAME), _bytes(1, _CROP, _CROP, 3)
    out = frame if in_place else None
    composite(frame, crop, crop, _empty(1, _CROP, _CROP), _matrices(), out=out)


def _color_map(in_place: bool) -> None:
    frame = _bytes(*_FRAME)
    out = frame if in_place else None
    apply_color_map(frame, _empty(1, 6, 64, 64), _matrices(), out=out)


TYPICAL_CALLS: Mapping[str, tuple[Callable[[], None], ...]] = {
    "attentive_morph": (
        partial(_morph, 256, 2, torch.float16),
        partial(_morph, 256, 2, torch.float32),
        partial(_morph, 64, 2, torch.float16),
        partial(_morph, 0, 3, torch.float32),
        partial(_morph, 256, 12, torch.float16),
        partial(_morph, 256, 2, torch.float32, grad=True),
    ),
    "match_region_histograms": (_histograms,),
    "align": (
        partial(_align, "bgr", "rgb", False),
        partial(_align, "bgr", "rgb", True),
        partial(_align, "bgr", "bgr", False),
        partial(_align, "nv12", "rgb", True),
    ),
    "region_maps": (
        lambda: region_maps(_empty(1, 5, 160, 160), _empty(1, _POINTS, 2)),
        lambda: region_maps(_empty(1, 5, 160, 160, dtype=torch.float16), _empty(1, _POINTS, 2)),
    ),
    "composite": (partial(_composite, True), partial(_composite, False)),
    "apply_color_map": (partial(_color_map, True), partial(_color_map, False)),
}
"""Calls by operation."""
