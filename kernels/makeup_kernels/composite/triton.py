"""Composite in Triton: one launch for all faces of a frame, applied in order per pixel.

A program owns a tile of the frame. It exits early if no crop touches the tile, reads the crops only
where a mask is above 0, and writes each pixel once even if faces overlap.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# mypy: allow-untyped-decorators, allow-subclassing-any, no-warn-return-any
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from makeup_kernels.triton import launch, matrices_on
from makeup_kernels.triton.tiles import (
    blend,
    crop_position,
    read_tile,
    round_to_byte,
    tile_meets,
    tile_meets_any,
    write_pixels,
)

_BLOCK_X, _BLOCK_Y = 32, 8


@triton.jit
def channel_change(source, result, at, below, live):
    """result − source at the four corners around crop positions, f32; `at`: the upper left one."""
    a = tl.load(result + at, live, other=0).to(tl.float32)
    a -= tl.load(source + at, live, other=0).to(tl.float32)
    b = tl.load(result + at + 3, live, other=0).to(tl.float32)
    b -= tl.load(source + at + 3, live, other=0).to(tl.float32)
    c = tl.load(result + at + below, live, other=0).to(tl.float32)
    c -= tl.load(source + at + below, live, other=0).to(tl.float32)
    d = tl.load(result + at + below + 3, live, other=0).to(tl.float32)
    d -= tl.load(source + at + below + 3, live, other=0).to(tl.float32)
    return a, b, c, d


@triton.jit(
    do_not_specialize=[
        "height", "width", "pitch", "out_pitch", "faces", "crop_height", "crop_width",
    ]
)  # fmt: skip
def composite_faces(
    frame,
    source_crops,
    result_crops,
    masks,
    matrices,
    out,
    height,
    width,
    pitch,
    out_pitch,
    faces,
    crop_height,
    crop_width,
    IN_PLACE: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_Y: tl.constexpr,
):
    """out u8 (height, width, 3); crops u8 (N, h, w, 3), masks f32 (N, h, w), matrices f64 (N, 6).

    Program (tile column, tile row). IN_PLACE: out is frame, and untouched pixels are not written.
    """
    x0, y0 = tl.program_id(0) * BLOCK_X, tl.program_id(1) * BLOCK_Y
    meets = tile_meets_any(matrices, faces, x0, y0, crop_width, crop_height, BLOCK_X, BLOCK_Y)
    if meets | (not IN_PLACE):
        dx, dy, there, first, second, third = read_tile(
            frame, pitch, x0, y0, width, height, BLOCK_X, BLOCK_Y
        )
        touched = there & (not IN_PLACE)
        for face in range(faces):
            matrix = matrices + face * 6
            if tile_meets(matrix, x0, y0, crop_width, crop_height, BLOCK_X, BLOCK_Y):
                column, row, right, down, inside = crop_position(
                    matrix, x0, y0, dx, dy, crop_width, crop_height
                )
                inside = inside & there
                start = face * crop_height * crop_width
                cell = row * crop_width + column
                mask = masks + start + cell
                a = tl.load(mask, inside, other=0.0)
                b = tl.load(mask + 1, inside, other=0.0)
                c = tl.load(mask + crop_width, inside, other=0.0)
                d = tl.load(mask + crop_width + 1, inside, other=0.0)
                share = blend(a, b, c, d, right, down)
                live = inside & (share > 0)
                source, result = source_crops + start * 3, result_crops + start * 3
                at, below = cell * 3, crop_width * 3
                a, b, c, d = channel_change(source, result, at, below, live)
                moved = round_to_byte(first + share * blend(a, b, c, d, right, down))
                first = tl.where(live, moved, first)
                a, b, c, d = channel_change(source, result, at + 1, below, live)
                moved = round_to_byte(second + share * blend(a, b, c, d, right, down))
                second = tl.where(live, moved, second)
                a, b, c, d = channel_change(source, result, at + 2, below, live)
                moved = round_to_byte(third + share * blend(a, b, c, d, right, down))
                third = tl.where(live, moved, third)
                touched = touched | live
        write_pixels(out, out_pitch, x0 + dx, y0 + dy, first, second, third, touched)


def composite(
    frame: Tensor,
    source_crops: Tensor,
    result_crops: Tensor,
    masks: Tensor,
    matrices: Any,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`makeup_kernels.composite` of several faces, in their order, on a torch tensor.

    Args:
        frame: uint8 (H, W, 3), rows may be strided.
        source_crops, result_crops: uint8 (N, h, w, 3).
        masks: float32 (N, h, w) in [0, 1]; not checked here.
        matrices: float64 (N, 2, 3), frame to crop, on the host (NumPy) or the device.
        out: uint8 (H, W, 3), rows may be strided, `frame` for in place; None allocates.

    Returns:
        uint8 (H, W, 3): `out`, or a new tensor.
    """
    out = torch.empty_like(frame, memory_format=torch.contiguous_format) if out is None else out
    launch(
        composite_faces,
        (triton.cdiv(frame.shape[1], _BLOCK_X), triton.cdiv(frame.shape[0], _BLOCK_Y)),
        {
            "frame": frame,
            "source_crops": source_crops.contiguous(),
            "result_crops": result_crops.contiguous(),
            "masks": masks.contiguous(),
            "matrices": matrices_on(frame.device, matrices),
            "out": out,
            "height": frame.shape[0],
            "width": frame.shape[1],
            "pitch": frame.stride(0),
            "out_pitch": out.stride(0),
            "faces": masks.shape[0],
            "crop_height": masks.shape[1],
            "crop_width": masks.shape[2],
        },
        {"IN_PLACE": out is frame, "BLOCK_X": _BLOCK_X, "BLOCK_Y": _BLOCK_Y},
    )
    return out
