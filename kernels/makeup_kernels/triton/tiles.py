"""Shared by the image kernels: tiles of frame pixels, their positions in a crop, and blending."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# mypy: allow-untyped-decorators, allow-subclassing-any, no-warn-return-any
import triton
import triton.language as tl


@triton.jit
def blend(a, b, c, d, right, down):
    """Bilinear between the four corners: a b above, c d below."""
    upper = a + right * (b - a)
    lower = c + right * (d - c)
    return upper + down * (lower - upper)


@triton.jit
def tile_meets(matrix, x0, y0, width, height, BLOCK_X: tl.constexpr, BLOCK_Y: tl.constexpr):
    """Whether the box around a tile's mapped corners overlaps a crop; matrix f64 (6)."""
    a, b = tl.load(matrix) * (BLOCK_X - 1), tl.load(matrix + 1) * (BLOCK_Y - 1)
    d, e = tl.load(matrix + 3) * (BLOCK_X - 1), tl.load(matrix + 4) * (BLOCK_Y - 1)
    x = tl.load(matrix) * x0 + tl.load(matrix + 1) * y0 + tl.load(matrix + 2)
    y = tl.load(matrix + 3) * x0 + tl.load(matrix + 4) * y0 + tl.load(matrix + 5)
    left, right = (
        x + tl.minimum(a, 0.0) + tl.minimum(b, 0.0),
        x + tl.maximum(a, 0.0) + tl.maximum(b, 0.0),
    )
    top, bottom = (
        y + tl.minimum(d, 0.0) + tl.minimum(e, 0.0),
        y + tl.maximum(d, 0.0) + tl.maximum(e, 0.0),
    )
    return (right >= 0.0) & (left <= width - 1) & (bottom >= 0.0) & (top <= height - 1)


@triton.jit
def tile_meets_any(
    matrices, faces, x0, y0, width, height, BLOCK_X: tl.constexpr, BLOCK_Y: tl.constexpr
):
    """Whether a tile meets the crop of any face; matrices f64 (faces, 6)."""
    meets = False
    for face in range(faces):
        meets = meets | tile_meets(matrices + face * 6, x0, y0, width, height, BLOCK_X, BLOCK_Y)
    return meets


@triton.jit
def read_tile(frame, pitch, x0, y0, width, height, BLOCK_X: tl.constexpr, BLOCK_Y: tl.constexpr):
    """The pixels of a tile of a frame u8 (height, width, 3).

    Returns:
        dx, dy: offsets in the tile; there: whether they lie in the frame; three channels, f32.
    """
    flat = tl.arange(0, BLOCK_X * BLOCK_Y)
    dx, dy = flat % BLOCK_X, flat // BLOCK_X
    x, y = x0 + dx, y0 + dy
    there = (x < width) & (y < height)
    pixel = frame + y.to(tl.int64) * pitch + x * 3
    first = tl.load(pixel, there, other=0).to(tl.float32)
    second = tl.load(pixel + 1, there, other=0).to(tl.float32)
    third = tl.load(pixel + 2, there, other=0).to(tl.float32)
    return dx, dy, there, first, second, third


@triton.jit
def write_pixels(out, pitch, x, y, first, second, third, there):
    """Write the pixels at x, y of a frame u8 whose rows are `pitch` bytes apart, where `there`."""
    target = out + y.to(tl.int64) * pitch + x * 3
    tl.store(target, first.to(tl.uint8), there)
    tl.store(target + 1, second.to(tl.uint8), there)
    tl.store(target + 2, third.to(tl.uint8), there)


@triton.jit
def crop_position(matrix, x0, y0, dx, dy, width, height):
    """Crop positions of pixels (x0 + dx, y0 + dy): cell, fraction to the next, whether inside.

    The tile's corner is computed in double, offsets from it in float32, so rounding stays below
    1e-5 of a cell anywhere in the frame. matrix f64 (6); dx, dy i32.

    Returns:
        column, row i32, each with a right and a lower neighbour; right, down f32 in [0, 1]; inside.
    """
    corner_x = tl.load(matrix) * x0 + tl.load(matrix + 1) * y0 + tl.load(matrix + 2)
    corner_y = tl.load(matrix + 3) * x0 + tl.load(matrix + 4) * y0 + tl.load(matrix + 5)
    corner_x = tl.minimum(tl.maximum(corner_x, -1e8), 1e8)
    corner_y = tl.minimum(tl.maximum(corner_y, -1e8), 1e8)
    whole_x, whole_y = tl.floor(corner_x), tl.floor(corner_y)
    x = (corner_x - whole_x).to(tl.float32) + tl.load(matrix).to(tl.float32) * dx
    y = (corner_y - whole_y).to(tl.float32) + tl.load(matrix + 3).to(tl.float32) * dx
    x += tl.load(matrix + 1).to(tl.float32) * dy
    y += tl.load(matrix + 4).to(tl.float32) * dy
    low_x, low_y = (-whole_x).to(tl.float32), (-whole_y).to(tl.float32)
    high_x, high_y = low_x + (width - 1), low_y + (height - 1)
    inside = (x >= low_x) & (x <= high_x) & (y >= low_y) & (y <= high_y)
    x = tl.minimum(tl.maximum(x, low_x), high_x)
    y = tl.minimum(tl.maximum(y, low_y), high_y)
    column = tl.minimum(tl.floor(x), high_x - 1)
    row = tl.minimum(tl.floor(y), high_y - 1)
    right, down = x - column, y - row
    column = column.to(tl.int32) + whole_x.to(tl.int32)
    row = row.to(tl.int32) + whole_y.to(tl.int32)
    return column, row, right, down, inside


@triton.jit
def round_to_byte(value):
    """⌊value + ½⌋, clipped to 0..255."""
    return tl.minimum(tl.maximum(tl.floor(value + 0.5), 0.0), 255.0)
