"""Align in Triton: resample, average, round and normalise the crops of all faces in one launch."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# mypy: allow-untyped-decorators, allow-subclassing-any, no-warn-return-any
from functools import lru_cache
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from makeup_kernels.align.reference import MAX_SAMPLES
from makeup_kernels.triton import launch, matrices_on
from makeup_kernels.triton.tiles import blend

_BLOCK_X, _BLOCK_Y = 32, 4


@triton.jit
def texel(frame, row, column, pitch, chroma_rows, NV12: tl.constexpr):
    """The three channels of some frame pixels, f32; BGR from NV12 by BT.601, limited range."""
    if NV12:
        luma = 1.164383562 * (tl.load(frame + row * pitch + column).to(tl.float32) - 16.0)
        pair = frame + chroma_rows + (row // 2) * pitch + (column // 2) * 2
        u = tl.load(pair).to(tl.float32) - 128.0
        v = tl.load(pair + 1).to(tl.float32) - 128.0
        first = luma + 2.017232143 * u
        second = luma - 0.391762290 * u - 0.812967647 * v
        third = luma + 1.596026786 * v
        first = tl.minimum(tl.maximum(first, 0.0), 255.0)
        second = tl.minimum(tl.maximum(second, 0.0), 255.0)
        return first, second, tl.minimum(tl.maximum(third, 0.0), 255.0)
    at = frame + row * pitch + column * 3
    first = tl.load(at).to(tl.float32)
    second = tl.load(at + 1).to(tl.float32)
    return first, second, tl.load(at + 2).to(tl.float32)


@triton.jit(do_not_specialize=["height", "width", "pitch", "size"])
def align_crops(  # noqa: PLR0915 - one kernel, one pass
    frame,
    matrices,
    normalization,
    crops,
    inputs,
    height,
    width,
    pitch,
    size,
    NV12: tl.constexpr,
    REVERSED: tl.constexpr,
    MAX_SAMPLES: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_Y: tl.constexpr,
):
    """crops u8 (N, size, size, 3) and inputs (N, 3, size, size) of frame u8; see `align_faces`.

    matrices f64 (N, 6), frame to crop; normalization f32 (6): mean, scale of the inputs' channels.
    REVERSED: channel c of the inputs is channel 2 − c of the crops. Program (column, row, face).
    Positions are computed in double per block, and in float32 relative to the block's corner.
    """
    face = tl.program_id(2).to(tl.int64)
    matrix = matrices + face * 6
    a, b, c = tl.load(matrix), tl.load(matrix + 1), tl.load(matrix + 2)
    d, e, f = tl.load(matrix + 3), tl.load(matrix + 4), tl.load(matrix + 5)
    determinant = a * e - b * d
    samples = tl.minimum(tl.maximum((1.0 / tl.sqrt(a * a + d * d)).to(tl.int32), 1), MAX_SAMPLES)
    step = 1.0 / samples.to(tl.float64)
    # crop pixel (u, v) maps to frame pixel (along_x u + across_x v + ...)
    along_x, across_x = e / determinant, -b / determinant
    along_y, across_y = -d / determinant, a / determinant
    u0 = tl.program_id(0) * BLOCK_X - 0.5 + 0.5 * step - c
    v0 = tl.program_id(1) * BLOCK_Y - 0.5 + 0.5 * step - f
    corner_x, corner_y = along_x * u0 + across_x * v0, along_y * u0 + across_y * v0
    # far outside, every pixel is the border's: keep the integer part within int32
    corner_x = tl.minimum(tl.maximum(corner_x, -1e8), 1e8)
    corner_y = tl.minimum(tl.maximum(corner_y, -1e8), 1e8)
    whole_x, whole_y = tl.floor(corner_x), tl.floor(corner_y)
    part_x, part_y = (corner_x - whole_x).to(tl.float32), (corner_y - whole_y).to(tl.float32)
    low_x, low_y = -whole_x.to(tl.float32), -whole_y.to(tl.float32)
    high_x = (width - 1 - whole_x).to(tl.float32)
    high_y = (height - 1 - whole_y).to(tl.float32)
    base_x, base_y = whole_x.to(tl.int32), whole_y.to(tl.int32)

    right_step, down_step = along_x.to(tl.float32), across_x.to(tl.float32)
    right_rise, down_rise = along_y.to(tl.float32), across_y.to(tl.float32)
    flat = tl.arange(0, BLOCK_X * BLOCK_Y)
    u, v = (flat % BLOCK_X).to(tl.float32), (flat // BLOCK_X).to(tl.float32)
    share = step.to(tl.float32)
    first = tl.zeros((BLOCK_X * BLOCK_Y,), tl.float32)
    second = tl.zeros((BLOCK_X * BLOCK_Y,), tl.float32)
    third = tl.zeros((BLOCK_X * BLOCK_Y,), tl.float32)
    chroma = height * pitch
    for sample in range(samples * samples):
        at_u = u + (sample % samples).to(tl.float32) * share
        at_v = v + (sample // samples).to(tl.float32) * share
        x = part_x + right_step * at_u + down_step * at_v
        y = part_y + right_rise * at_u + down_rise * at_v
        x = tl.minimum(tl.maximum(x, low_x), high_x)
        y = tl.minimum(tl.maximum(y, low_y), high_y)
        floor_x, floor_y = tl.floor(x), tl.floor(y)
        right, down = x - floor_x, y - floor_y
        column = tl.minimum(tl.maximum(base_x + floor_x.to(tl.int32), 0), width - 1)
        row = tl.minimum(tl.maximum(base_y + floor_y.to(tl.int32), 0), height - 1)
        next_column, next_row = tl.minimum(column + 1, width - 1), tl.minimum(row + 1, height - 1)
        a0, a1, a2 = texel(frame, row, column, pitch, chroma, NV12)
        b0, b1, b2 = texel(frame, row, next_column, pitch, chroma, NV12)
        c0, c1, c2 = texel(frame, next_row, column, pitch, chroma, NV12)
        d0, d1, d2 = texel(frame, next_row, next_column, pitch, chroma, NV12)
        first += blend(a0, b0, c0, d0, right, down)
        second += blend(a1, b1, c1, d1, right, down)
        third += blend(a2, b2, c2, d2, right, down)

    crop_u = tl.program_id(0) * BLOCK_X + flat % BLOCK_X
    crop_v = tl.program_id(1) * BLOCK_Y + flat // BLOCK_X
    inside = (crop_u < size) & (crop_v < size)
    weight = share * share
    first = tl.floor(first * weight + 0.5)
    second = tl.floor(second * weight + 0.5)
    third = tl.floor(third * weight + 0.5)
    plane = size * size
    pixel = crop_v * size + crop_u
    crop = crops + (face * plane + pixel) * 3
    tl.store(crop, first.to(tl.uint8), mask=inside)
    tl.store(crop + 1, second.to(tl.uint8), mask=inside)
    tl.store(crop + 2, third.to(tl.uint8), mask=inside)
    if REVERSED:
        swapped = first
        first = third
        third = swapped
    target = inputs + face * plane * 3 + pixel
    first = (first - tl.load(normalization)) * tl.load(normalization + 3)
    second = (second - tl.load(normalization + 1)) * tl.load(normalization + 4)
    third = (third - tl.load(normalization + 2)) * tl.load(normalization + 5)
    tl.store(target, first, mask=inside)
    tl.store(target + plane, second, mask=inside)
    tl.store(target + 2 * plane, third, mask=inside)


@lru_cache(maxsize=64)
def _normalization(
    mean: tuple[float, ...], scale: tuple[float, ...], device: torch.device
) -> Tensor:
    """float32 (6), uploaded once per model."""
    return torch.tensor([*mean, *scale], dtype=torch.float32, device=device)


def align_faces(
    frame: Tensor,
    matrices: Any,
    *,
    size: int = 256,
    color: str = "bgr",
    model_color: str = "rgb",
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
    scale: tuple[float, float, float] = (1 / 255, 1 / 255, 1 / 255),
    half: bool = False,
) -> tuple[Tensor, Tensor]:
    """`makeup_kernels.align_faces` on a torch tensor.

    Args:
        frame: uint8 (H, W, 3), rows may be strided; (H · 3/2, W) for color="nv12".
        matrices: float64 (N, 2, 3), frame to crop, on the host (NumPy) or the device.
        size, color, model_color, mean, scale, half: as there.

    Returns:
        uint8 (N, size, size, 3) and float32, or float16 with `half`, (N, 3, size, size).
    """
    faces = matrices.shape[0]
    nv12 = color == "nv12"
    height = frame.shape[0] * 2 // 3 if nv12 else frame.shape[0]
    crops = torch.empty((faces, size, size, 3), dtype=torch.uint8, device=frame.device)
    dtype = torch.float16 if half else torch.float32
    inputs = torch.empty((faces, 3, size, size), dtype=dtype, device=frame.device)
    crop_color = "bgr" if nv12 else color
    launch(
        align_crops,
        (triton.cdiv(size, _BLOCK_X), triton.cdiv(size, _BLOCK_Y), faces),
        {
            "frame": frame,
            "matrices": matrices_on(frame.device, matrices),
            "normalization": _normalization(mean, scale, frame.device),
            "crops": crops,
            "inputs": inputs,
            "height": height,
            "width": frame.shape[1],
            "pitch": frame.stride(0),
            "size": size,
        },
        {
            "NV12": nv12,
            "REVERSED": crop_color != model_color,
            "MAX_SAMPLES": MAX_SAMPLES,
            "BLOCK_X": _BLOCK_X,
            "BLOCK_Y": _BLOCK_Y,
        },
    )
    return crops, inputs
