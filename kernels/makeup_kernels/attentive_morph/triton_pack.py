"""Sort the cells of a face by region on the device, for the attentive morph in Triton.

The counting sort runs on the device, so the host need not wait to learn the region sizes. It is
stable, so results do not depend on timing. Features are written token by token; the rank-3
position of each cell is computed in double precision.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# mypy: allow-untyped-decorators, allow-subclassing-any, no-warn-return-any
import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from makeup_kernels.triton import launch

_PACKED_CELLS = 32
WIDEST_DEPTH = 256
"""Maximum number of a token's channels that are read at once."""


@triton.jit(do_not_specialize=["width", "cells", "points", "other_faces_step"])
def pack_cells(  # noqa: PLR0915 - one kernel, one pass
    features,
    landmarks,
    other_landmarks,
    regions,
    values,
    options,
    packed,
    positions,
    order,
    ids,
    starts,
    packed_values,
    width,
    cells,
    points,
    other_faces_step,
    CHANNELS: tl.constexpr,
    DEPTH: tl.constexpr,
    VALUES: tl.constexpr,
    IS_SOURCE: tl.constexpr,
    POINTS_PADDED: tl.constexpr,
    BLOCK: tl.constexpr,
    CHUNK: tl.constexpr,
    CHANNEL_BLOCK: tl.constexpr,
):
    """Sort one block of cells of one face by region (id 0 last) and write them token by token.

    features (N, CHANNELS, cells), landmarks f32 (N, points, 2), regions u8 (N, cells), values f32
    (N, VALUES, cells) -> packed (N, cells, DEPTH), positions f32 (N, 3, cells), order i32 and ids
    u8 (N, cells), starts i32 (N, 256): first token of each sort id, packed_values (N, VALUES,
    cells). A cell's sort id is its region id − 1 modulo 256.
    """
    face = tl.program_id(1).to(tl.int64)
    first_cell = tl.program_id(0) * BLOCK
    regions += face * cells
    cell = first_cell + tl.arange(0, BLOCK)
    inside = cell < cells
    bins = tl.arange(0, 256)
    before = tl.zeros((256,), tl.int32)
    for chunk in range(0, first_cell, CHUNK):
        at = chunk + tl.arange(0, CHUNK)
        id = (tl.load(regions + at, mask=at < cells, other=0).to(tl.int32) + 255) & 255
        before += tl.histogram(id, 256, mask=at < first_cell)
    total = before
    for chunk in range(first_cell, cells, CHUNK):
        at = chunk + tl.arange(0, CHUNK)
        id = (tl.load(regions + at, mask=at < cells, other=0).to(tl.int32) + 255) & 255
        total += tl.histogram(id, 256, mask=at < cells)
    start = tl.cumsum(total, 0) - total
    if first_cell == 0:
        tl.store(starts + face * 256 + bins, start)

    id = (tl.load(regions + cell, mask=inside, other=0).to(tl.int32) + 255) & 255
    place = tl.sum(tl.where(id[:, None] == bins[None, :], (start + before)[None, :], 0), 1)
    earlier = (id[:, None] == id[None, :]) & (cell[:, None] > cell[None, :])
    place += tl.sum(earlier.to(tl.int32), 1)
    token = face * cells + place
    tl.store(order + token, cell, mask=inside)
    tl.store(ids + token, id.to(tl.uint8), mask=inside)

    point = tl.arange(0, POINTS_PADDED)
    known = point < points
    mark = landmarks + face * points * 2 + point * 2
    mark_x = tl.load(mark, mask=known, other=0.0).to(tl.float64)
    mark_y = tl.load(mark + 1, mask=known, other=0.0).to(tl.float64)
    mean_x = tl.sum(mark_x, 0) / points
    mean_y = tl.sum(mark_y, 0) / points
    off_x = tl.where(known, mark_x - mean_x, 0.0)
    off_y = tl.where(known, mark_y - mean_y, 0.0)
    spread = tl.sum(off_x * off_x + off_y * off_y, 0)
    stride = tl.load(options)
    u_x = (cell % width) * stride - mean_x
    u_y = (cell // width) * stride - mean_y
    norm = tl.sqrt(points * (u_x * u_x + u_y * u_y) + spread)
    factor = tl.where(norm > 0, 1.0 / tl.where(norm > 0, norm, 1.0), 0.0)
    last = factor
    if IS_SOURCE:
        other = other_landmarks + face * other_faces_step * points * 2 + point * 2
        other_x = tl.load(other, mask=known, other=0.0).to(tl.float64)
        other_y = tl.load(other + 1, mask=known, other=0.0).to(tl.float64)
        # one side's offsets sum to 0, so the other side's mean cancels
        coupling = tl.sum(off_x * other_x + off_y * other_y, 0)
        factor *= tl.load(options + 1)
        last = coupling * factor
    factor *= tl.sqrt(points.to(tl.float64))
    row = positions + face * 3 * cells + place
    tl.store(row, (u_y * factor).to(tl.float32), mask=inside)
    tl.store(row + cells, (u_x * factor).to(tl.float32), mask=inside)
    tl.store(row + 2 * cells, last.to(tl.float32), mask=inside)

    for channel in range(0, DEPTH, CHANNEL_BLOCK):
        c = channel + tl.arange(0, CHANNEL_BLOCK)
        plane = features + (face * CHANNELS + c[:, None]) * cells + cell[None, :]
        block = tl.load(plane, mask=(c[:, None] < CHANNELS) & inside[None, :], other=0.0)
        tl.store(packed + token[:, None] * DEPTH + c[None, :], tl.trans(block), inside[:, None])
    for v in tl.static_range(VALUES):
        plane = (face * VALUES + v) * cells
        value = tl.load(values + plane + cell, mask=inside)
        tl.store(packed_values + plane + place, value, mask=inside)


@dataclass(frozen=True)
class Packed:
    """One side sorted by region; see `pack_cells`. `values` is empty for the source."""

    features: Tensor
    positions: Tensor
    order: Tensor
    ids: Tensor
    starts: Tensor
    values: Tensor

    @property
    def faces(self) -> int:
        return int(self.order.shape[0])

    @property
    def cells(self) -> int:
        return int(self.order.shape[1])


def depth(channels: int) -> int:
    """Length of a packed token: a power of two up to 256, beyond that a multiple of 256."""
    if channels == 0:
        return 0
    if channels > WIDEST_DEPTH:
        return math.ceil(channels / WIDEST_DEPTH) * WIDEST_DEPTH
    return max(16, triton.next_power_of_2(channels))


def pack(
    features: Tensor,
    landmarks: Tensor,
    other_landmarks: Tensor | None,
    regions: Tensor,
    values: Tensor | None,
    options: Tensor,
) -> Packed:
    """Sort the cells of one side; `other_landmarks` for the source, `values` for the reference."""
    faces, channels, height, width = features.shape
    cells = height * width
    packed_depth = depth(channels)
    planes = 0 if values is None else values.shape[1]
    like = features.new_empty
    result = Packed(
        like((faces, cells, packed_depth)),
        like((faces, 3, cells), dtype=torch.float32),
        like((faces, cells), dtype=torch.int32),
        like((faces, cells), dtype=torch.uint8),
        like((faces, 256), dtype=torch.int32),
        like((faces, planes, cells), dtype=torch.float32),
    )
    others = landmarks if other_landmarks is None else other_landmarks
    launch(
        pack_cells,
        (triton.cdiv(cells, _PACKED_CELLS), faces),
        {
            "features": features.contiguous(),
            "landmarks": landmarks.contiguous(),
            "other_landmarks": others.contiguous(),
            "regions": regions.contiguous(),
            "values": result.values if values is None else values.contiguous(),
            "options": options,
            "packed": result.features,
            "positions": result.positions,
            "order": result.order,
            "ids": result.ids,
            "starts": result.starts,
            "packed_values": result.values,
            "width": width,
            "cells": cells,
            "points": landmarks.shape[1],
            "other_faces_step": int(others.shape[0] > 1),
        },
        {
            "CHANNELS": channels,
            "DEPTH": packed_depth,
            "VALUES": planes,
            "IS_SOURCE": other_landmarks is not None,
            "POINTS_PADDED": triton.next_power_of_2(landmarks.shape[1]),
            "BLOCK": _PACKED_CELLS,
            "CHUNK": 1024,
            "CHANNEL_BLOCK": min(64, packed_depth) if packed_depth else 16,
        },
    )
    return result


@lru_cache(maxsize=64)
def morph_options(
    visual_weight: float, temperature: float, pixel_stride: float, device: torch.device
) -> Tensor:
    """float64 (3,): pixel stride, factor of the positions, factor of the visual product."""
    options = [pixel_stride, temperature, temperature * visual_weight**2]
    return torch.tensor(options, dtype=torch.float64, device=device)
