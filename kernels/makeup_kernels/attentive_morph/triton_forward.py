"""Attentive morph in Triton, by the formula of the package's docstring.

Two launches per frame: `pack_cells` sorts the source's cells by region; in `morph_cells` each
program takes a tile of sorted queries and iterates over the keys of their regions with an online
soft-max that starts with the e⁰ terms. The keys and values of a reference are packed once.

The visual product runs on tensor cores in the features' dtype (float16, or float32 as TF32) with
float32 sums; everything else is float32.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# mypy: allow-untyped-decorators, allow-subclassing-any, no-warn-return-any
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from makeup_kernels.attentive_morph.triton_pack import WIDEST_DEPTH, Packed, morph_options, pack
from makeup_kernels.errors import InvalidInputError
from makeup_kernels.triton import launch
from makeup_kernels.triton.tuning import Tile, tuned

_FEW_VALUES = 4
_LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def load_positions(positions, at, mask, step):
    """The rank-3 positions of tokens: y, x and constant term, f32."""
    y = tl.load(positions + at, mask=mask, other=0.0)
    x = tl.load(positions + step + at, mask=mask, other=0.0)
    return y, x, tl.load(positions + 2 * step + at, mask=mask, other=0.0)


@triton.jit
def key_span(starts, ids):
    """First key and end (exclusive) of each query's region; empty outside all regions."""
    inside = ids < 255
    first = tl.load(starts + ids)
    last = tl.load(starts + ids + 1, mask=inside, other=0)
    return tl.where(inside, first, 0), tl.where(inside, last, 0)


@triton.jit
def tile_span(starts, ids, valid):
    """First token and end (exclusive) on the other side that any token of a tile attends to."""
    lowest = tl.min(tl.where(valid, ids, 255), 0)
    highest = tl.minimum(tl.max(tl.where(valid, ids, 0), 0), 254)
    return tl.load(starts + lowest), tl.load(starts + highest + 1)


@triton.jit
def visual_product(
    rows, row_at, row_mask, columns, column_at, column_mask, held,
    DEPTH: tl.constexpr, BLOCK_DEPTH: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Products of the features of two tiles of tokens, f32 (rows, columns).

    `held`: the row features, kept in registers if DEPTH fits one block.
    """
    c = tl.arange(0, BLOCK_DEPTH)[None, :]
    if DEPTH == BLOCK_DEPTH:
        b = tl.load(columns + column_at[:, None] * DEPTH + c, column_mask[:, None], other=0.0)
        return tl.dot(held, tl.trans(b), input_precision=PRECISION)
    product = tl.zeros((row_at.shape[0], column_at.shape[0]), tl.float32)
    for first in range(0, DEPTH, BLOCK_DEPTH):
        a = tl.load(rows + row_at[:, None] * DEPTH + first + c, row_mask[:, None], other=0.0)
        b = tl.load(
            columns + column_at[:, None] * DEPTH + first + c, column_mask[:, None], other=0.0
        )
        product = tl.dot(a, tl.trans(b), product, input_precision=PRECISION)
    return product


@triton.jit
def hold_features(rows, at, mask, DEPTH: tl.constexpr, BLOCK_DEPTH: tl.constexpr):
    """One block of features of the tile that a program keeps in registers."""
    c = tl.arange(0, BLOCK_DEPTH)[None, :]
    return tl.load(rows + at[:, None] * DEPTH + c, mask[:, None], other=0.0)


@triton.jit(do_not_specialize=["query_cells", "key_cells", "key_face_step"])
def morph_cells(  # noqa: PLR0915 - one kernel, one pass
    queries,
    query_positions,
    query_order,
    query_ids,
    keys,
    key_positions,
    key_starts,
    values,
    options,
    out,
    log_sums,
    query_cells,
    key_cells,
    key_face_step,
    DEPTH: tl.constexpr,
    BLOCK_DEPTH: tl.constexpr,
    VALUES: tl.constexpr,
    VALUES_PADDED: tl.constexpr,
    PRECISION: tl.constexpr,
    KEEP_SUMS: tl.constexpr,
    BLOCK_QUERIES: tl.constexpr,
    BLOCK_KEYS: tl.constexpr,
):
    """out f32 (N, VALUES, query_cells) from packed queries and keys.

    log_sums f32 (N, query_cells), kept for the gradients: log of each query's denominator.
    """
    face = tl.program_id(1).to(tl.int64)
    key_face = face * key_face_step
    query_tokens = face * query_cells
    key_starts += key_face * 256
    queries += query_tokens * DEPTH
    keys += key_face * key_cells * DEPTH
    key_positions += key_face * key_cells * 3
    values += key_face * key_cells * VALUES

    i = tl.program_id(0) * BLOCK_QUERIES + tl.arange(0, BLOCK_QUERIES)
    valid = i < query_cells
    ids = tl.load(query_ids + query_tokens + i, mask=valid, other=255).to(tl.int32)
    key_first, key_last = key_span(key_starts, ids)
    begin, end = tile_span(key_starts, ids, valid)
    q_y, q_x, q_1 = load_positions(query_positions + query_tokens * 3, i, valid, query_cells)
    scale = tl.load(options + 2).to(tl.float32)
    held = 0.0
    if DEPTH > 0:
        held = hold_features(queries, i, valid, DEPTH, BLOCK_DEPTH)

    others = (key_cells - (key_last - key_first)).to(tl.float32)
    peak = tl.where(others > 0, 0.0, -1e30)
    total = others
    mixed = tl.zeros((BLOCK_QUERIES, VALUES_PADDED), tl.float32)
    v = tl.arange(0, VALUES_PADDED)[None, :]
    for first in range(begin, end, BLOCK_KEYS):
        j = first + tl.arange(0, BLOCK_KEYS)
        there = j < end
        k_y, k_x, k_1 = load_positions(key_positions, j, there, key_cells)
        logits = tl.zeros((BLOCK_QUERIES, BLOCK_KEYS), tl.float32)
        if DEPTH > 0:
            logits = scale * visual_product(
                queries, i, valid, keys, j, there, held, DEPTH, BLOCK_DEPTH, PRECISION
            )
        # the small visual sum is complete before the large position terms are added
        logits += q_1[:, None] * k_1[None, :]
        logits += q_x[:, None] * k_x[None, :]
        logits += q_y[:, None] * k_y[None, :]
        pairs = (j[None, :] >= key_first[:, None]) & (j[None, :] < key_last[:, None])
        logits = tl.where(pairs, logits, -float("inf"))
        higher = tl.maximum(peak, tl.max(logits, 1))
        weights = tl.exp2((logits - higher[:, None]) * _LOG2_E)
        fading = tl.exp2((peak - higher) * _LOG2_E)
        total = total * fading + tl.sum(weights, 1)
        mixed *= fading[:, None]
        if VALUES <= 4:
            for plane in tl.static_range(VALUES):
                value = tl.load(values + plane * key_cells + j, mask=there, other=0.0)
                part = tl.sum(weights * value[None, :], 1)
                mixed += tl.where(v == plane, part[:, None], 0.0)
        else:
            tile = values + v * key_cells + j[:, None]
            value = tl.load(tile, mask=there[:, None] & (v < VALUES), other=0.0)
            mixed = tl.dot(weights, value, mixed, input_precision="tf32x3")
        peak = higher

    cell = tl.load(query_order + query_tokens + i, mask=valid, other=0)
    target = out + (face * VALUES + v) * query_cells + cell[:, None]
    tl.store(target, mixed / total[:, None], mask=valid[:, None] & (v < VALUES))
    if KEEP_SUMS:
        tl.store(log_sums + query_tokens + i, peak + tl.log(total), mask=valid)


def padded_planes(planes: int) -> int:
    """Few planes are mixed one by one; more as a matrix product, which needs at least 16."""
    padded: int = triton.next_power_of_2(planes)
    return padded if planes <= _FEW_VALUES else max(16, padded)


_TILES = tuple(
    {"BLOCK_QUERIES": queries, "BLOCK_KEYS": keys, "num_warps": warps, "num_stages": stages}
    for queries, keys, warps, stages in (
        (16, 32, 4, 3), (16, 64, 4, 2), (16, 64, 4, 3), (16, 128, 4, 2), (16, 64, 8, 3),
        (32, 32, 4, 3), (32, 64, 4, 3), (64, 32, 4, 3), (64, 64, 4, 3), (64, 64, 8, 3),
        (128, 64, 8, 3),
    )
)  # fmt: skip
"""Block shapes to try; the first is the default without timing."""


def morph_packed(
    queries: Packed, keys: Packed, options: Tensor, out: Tensor, *, precision: str, keep_sums: bool
) -> Tensor:
    """Launch `morph_cells`; returns log_sums (N, cells), empty unless `keep_sums`."""
    planes, packed_depth = keys.values.shape[1], keys.features.shape[2]
    log_sums = out.new_empty((queries.faces, queries.cells) if keep_sums else (0,))
    arguments: dict[str, Any] = {
        "queries": queries.features,
        "query_positions": queries.positions,
        "query_order": queries.order,
        "query_ids": queries.ids,
        "keys": keys.features,
        "key_positions": keys.positions,
        "key_starts": keys.starts,
        "values": keys.values,
        "options": options,
        "out": out,
        "log_sums": log_sums,
        "query_cells": queries.cells,
        "key_cells": keys.cells,
        "key_face_step": int(keys.faces > 1),
    }
    constants = {
        "DEPTH": packed_depth,
        "BLOCK_DEPTH": max(16, min(packed_depth, WIDEST_DEPTH)),
        "VALUES": planes,
        "VALUES_PADDED": padded_planes(planes),
        "PRECISION": precision,
        "KEEP_SUMS": keep_sums,
    }

    def run(tile: Tile) -> None:
        grid = (triton.cdiv(queries.cells, tile["BLOCK_QUERIES"]), queries.faces)
        blocks = {name: tile[name] for name in ("BLOCK_QUERIES", "BLOCK_KEYS")}
        launch(
            morph_cells, grid, arguments, constants | blocks,
            num_warps=tile["num_warps"], num_stages=tile["num_stages"],
        )  # fmt: skip

    facts = (packed_depth, planes, keys.features.dtype, precision, queries.order.shape, keys.cells)
    run(tuned("attentive_morph", facts, _TILES, run))
    return log_sums


class MorphReference:
    """References packed on the device; counterpart of `makeup_kernels.MorphReference`.

    Args:
        reference_features: float32 or float16 (M, C, H', W'); M = 1 serves any number of faces.
        reference_landmarks: float32 (M, K, 2).
        reference_regions: uint8 (M, H', W').
        values: float32 (M, V, H', W').
        visual_weight, temperature, pixel_stride: as in `attentive_morph`.
        precision: of float32 features in the visual product: "tf32" or "ieee".
    """

    def __init__(
        self,
        reference_features: Tensor,
        reference_landmarks: Tensor,
        reference_regions: Tensor,
        values: Tensor,
        *,
        visual_weight: float = 0.01,
        temperature: float = 200.0,
        pixel_stride: float = 4,
        precision: str = "tf32",
    ) -> None:
        self.precision = precision
        self.landmarks = reference_landmarks
        self.options = morph_options(
            visual_weight, temperature, pixel_stride, reference_features.device
        )
        self.packed = pack(
            reference_features, reference_landmarks, None, reference_regions, values, self.options
        )

    def morph(
        self,
        source_features: Tensor,
        source_landmarks: Tensor,
        source_regions: Tensor,
        out: Tensor | None = None,
    ) -> Tensor:
        """Warp the references' values onto the source faces.

        Args:
            source_features: (N, C, H, W) of the references' dtype; M is N or 1.
            source_landmarks: float32 (N, K, 2).
            source_regions: uint8 (N, H, W).
            out: float32 (N, V, H, W), contiguous; None allocates.

        Returns:
            float32 (N, V, H, W): `out`, or a new tensor.

        Raises:
            InvalidInputError: features of another dtype than the references'.
        """
        if source_features.dtype != self.packed.features.dtype:
            raise InvalidInputError(
                f"source_features: got {source_features.dtype}, expected the dtype of the "
                f"reference's features, {self.packed.features.dtype}"
            )
        queries = pack(
            source_features, source_landmarks, self.landmarks, source_regions, None, self.options
        )
        if out is None:
            shape = (queries.faces, self.packed.values.shape[1], *source_regions.shape[1:])
            out = source_features.new_empty(shape, dtype=torch.float32)
        morph_packed(
            queries, self.packed, self.options, out, precision=self.precision, keep_sums=False
        )
        return out
