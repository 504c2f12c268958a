"""Apply colour maps in Triton: one launch for all faces of a frame, applied in order per pixel.

A program owns a tile of the frame and exits early if no map touches it. The maps are coarse, so
their cells come from the cache; the frame is read and written once.
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
def sample(plane, cell, below, right, down, inside):
    """Bilinear samples of a map plane; 0 outside."""
    a = tl.load(plane + cell, inside, other=0.0)
    b = tl.load(plane + cell + 1, inside, other=0.0)
    c = tl.load(plane + cell + below, inside, other=0.0)
    d = tl.load(plane + cell + below + 1, inside, other=0.0)
    return blend(a, b, c, d, right, down)


@triton.jit(
    do_not_specialize=[
        "height", "width", "pitch", "out_pitch", "faces", "map_height", "map_width",
    ]
)  # fmt: skip
def change_colors(
    frame,
    changes,
    matrices,
    out,
    height,
    width,
    pitch,
    out_pitch,
    faces,
    map_height,
    map_width,
    IN_PLACE: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_Y: tl.constexpr,
):
    """out u8 (height, width, 3); changes f32 (N, 6, h, w): gains, offsets; matrices f64 (N, 6).

    Program (tile column, tile row). IN_PLACE: out is frame, and pixels outside all maps are not
    written.
    """
    x0, y0 = tl.program_id(0) * BLOCK_X, tl.program_id(1) * BLOCK_Y
    meets = tile_meets_any(matrices, faces, x0, y0, map_width, map_height, BLOCK_X, BLOCK_Y)
    if meets | (not IN_PLACE):
        dx, dy, there, first, second, third = read_tile(
            frame, pitch, x0, y0, width, height, BLOCK_X, BLOCK_Y
        )
        touched = there & (not IN_PLACE)
        plane = map_height * map_width
        for face in range(faces):
            matrix = matrices + face * 6
            if tile_meets(matrix, x0, y0, map_width, map_height, BLOCK_X, BLOCK_Y):
                column, row, right, down, inside = crop_position(
                    matrix, x0, y0, dx, dy, map_width, map_height
                )
                inside = inside & there
                cell = row * map_width + column
                gains = changes + face * 6 * plane
                offsets = gains + 3 * plane
                a = sample(gains, cell, map_width, right, down, inside)
                b = sample(offsets, cell, map_width, right, down, inside)
                first = round_to_byte(first + (a * first + b))
                a = sample(gains + plane, cell, map_width, right, down, inside)
                b = sample(offsets + plane, cell, map_width, right, down, inside)
                second = round_to_byte(second + (a * second + b))
                a = sample(gains + 2 * plane, cell, map_width, right, down, inside)
                b = sample(offsets + 2 * plane, cell, map_width, right, down, inside)
                third = round_to_byte(third + (a * third + b))
                touched = touched | inside
        write_pixels(out, out_pitch, x0 + dx, y0 + dy, first, second, third, touched)


def apply_color_map(
    frame: Tensor, changes: Tensor, matrices: Any, *, out: Tensor | None = None
) -> Tensor:
    """`makeup_kernels.apply_color_map` of several faces, in their order, on a torch tensor.

    Args:
        frame: uint8 (H, W, 3), rows may be strided.
        changes: float32 (N, 6, h, w), finite; not checked here.
        matrices: float64 (N, 2, 3), frame to map, on the host (NumPy) or the device.
        out: uint8 (H, W, 3), rows may be strided, `frame` for in place; None allocates.

    Returns:
        uint8 (H, W, 3): `out`, or a new tensor.
    """
    out = torch.empty_like(frame, memory_format=torch.contiguous_format) if out is None else out
    launch(
        change_colors,
        (triton.cdiv(frame.shape[1], _BLOCK_X), triton.cdiv(frame.shape[0], _BLOCK_Y)),
        {
            "frame": frame,
            "changes": changes.contiguous(),
            "matrices": matrices_on(frame.device, matrices),
            "out": out,
            "height": frame.shape[0],
            "width": frame.shape[1],
            "pitch": frame.stride(0),
            "out_pitch": out.stride(0),
            "faces": changes.shape[0],
            "map_height": changes.shape[2],
            "map_width": changes.shape[3],
        },
        {"IN_PLACE": out is frame, "BLOCK_X": _BLOCK_X, "BLOCK_Y": _BLOCK_Y},
    )
    return out
