"""Gradients of the attentive morph in Triton, to both features and to the values.

With w_ij the soft-max weights and g the gradient of the result,

    d value_j = Σ_i w_ij g_i
    d logit_ij = w_ij (g_i · value_j − g_i · out_i)
    d F_i = temperature · visual_weight² · Σ_j d logit_ij R_j,   d R_j likewise over i.

The weights are recomputed from the stored log of each row's denominator, so memory stays O(H·W).
One kernel owns a tile of queries, the other a tile of keys. Each sums in a fixed order without
atomic operations, so gradients are bit-identical in every run.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# mypy: allow-untyped-decorators, allow-subclassing-any, no-warn-return-any
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from makeup_kernels.attentive_morph.triton_forward import (
    _LOG2_E,
    hold_features,
    key_span,
    load_positions,
    morph_packed,
    tile_span,
    visual_product,
)
from makeup_kernels.attentive_morph.triton_pack import Packed, morph_options, pack
from makeup_kernels.triton import launch
from makeup_kernels.triton.tuning import Tile, tuned


@triton.jit
def weigh(
    rows, row_at, row_mask, columns, column_at, column_mask, held, r_y, r_x, r_1, c_y, c_x, c_1,
    log_sums, pairs, scale, DEPTH: tl.constexpr, BLOCK_DEPTH: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Soft-max weights of a tile, 0 for masked pairs; summation order as in the forward pass."""
    logits = tl.zeros(pairs.shape, tl.float32)
    if DEPTH > 0:
        logits = scale * visual_product(
            rows, row_at, row_mask, columns, column_at, column_mask, held,
            DEPTH, BLOCK_DEPTH, PRECISION,
        )  # fmt: skip
    logits += r_1[:, None] * c_1[None, :]
    logits += r_x[:, None] * c_x[None, :]
    logits += r_y[:, None] * c_y[None, :]
    return tl.exp2(tl.where(pairs, (logits - log_sums) * _LOG2_E, -float("inf")))


@triton.jit(do_not_specialize=["query_cells", "key_cells", "key_face_step"])
def query_gradients(
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
    out_gradient,
    log_sums,
    pulls,
    feature_gradient,
    query_cells,
    key_cells,
    key_face_step,
    CHANNELS: tl.constexpr,
    DEPTH: tl.constexpr,
    BLOCK_DEPTH: tl.constexpr,
    VALUES: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_QUERIES: tl.constexpr,
    BLOCK_KEYS: tl.constexpr,
):
    """feature_gradient (N, CHANNELS, query_cells), and pulls f32 (N, query_cells) = g_i · out_i.

    Program (tile, face, block of channels).
    """
    face = tl.program_id(1).to(tl.int64)
    key_face = face * key_face_step
    query_tokens = face * query_cells
    key_starts += key_face * 256
    queries += query_tokens * DEPTH
    keys += key_face * key_cells * DEPTH
    key_positions += key_face * key_cells * 3
    values += key_face * key_cells * VALUES
    out += face * VALUES * query_cells
    out_gradient += face * VALUES * query_cells

    i = tl.program_id(0) * BLOCK_QUERIES + tl.arange(0, BLOCK_QUERIES)
    valid = i < query_cells
    ids = tl.load(query_ids + query_tokens + i, mask=valid, other=255).to(tl.int32)
    cell = tl.load(query_order + query_tokens + i, mask=valid, other=0)
    key_first, key_last = key_span(key_starts, ids)
    begin, end = tile_span(key_starts, ids, valid)
    q_y, q_x, q_1 = load_positions(query_positions + query_tokens * 3, i, valid, query_cells)
    sums = tl.load(log_sums + query_tokens + i, mask=valid, other=0.0)
    pull = tl.zeros((BLOCK_QUERIES,), tl.float32)
    for plane in tl.static_range(VALUES):
        at = plane * query_cells + cell
        gradient = tl.load(out_gradient + at, mask=valid, other=0.0)
        pull += gradient * tl.load(out + at, mask=valid, other=0.0)
    if tl.program_id(2) == 0:
        tl.store(pulls + query_tokens + i, pull, mask=valid)
    if DEPTH > 0:
        scale = tl.load(options + 2).to(tl.float32)
        c = tl.program_id(2) * BLOCK_DEPTH + tl.arange(0, BLOCK_DEPTH)[None, :]
        held = hold_features(queries, i, valid, DEPTH, BLOCK_DEPTH)
        moved = tl.zeros((BLOCK_QUERIES, BLOCK_DEPTH), tl.float32)
        for first in range(begin, end, BLOCK_KEYS):
            j = first + tl.arange(0, BLOCK_KEYS)
            there = j < end
            k_y, k_x, k_1 = load_positions(key_positions, j, there, key_cells)
            pairs = (j[None, :] >= key_first[:, None]) & (j[None, :] < key_last[:, None])
            weights = weigh(
                queries, i, valid, keys, j, there, held, q_y, q_x, q_1, k_y, k_x, k_1,
                sums[:, None], pairs, scale, DEPTH, BLOCK_DEPTH, PRECISION,
            )  # fmt: skip
            push = tl.zeros((BLOCK_QUERIES, BLOCK_KEYS), tl.float32)
            for plane in tl.static_range(VALUES):
                value = tl.load(values + plane * key_cells + j, mask=there, other=0.0)
                at = plane * query_cells + cell
                gradient = tl.load(out_gradient + at, mask=valid, other=0.0)
                push += gradient[:, None] * value[None, :]
            steps = weights * (push - pull[:, None])
            k = tl.load(keys + j[:, None] * DEPTH + c, there[:, None], other=0.0)
            moved = tl.dot(steps, k.to(tl.float32), moved, input_precision=PRECISION)
        moved *= tl.load(options + 2).to(tl.float32)
        target = feature_gradient + (face * CHANNELS + c) * query_cells + cell[:, None]
        tl.store(target, moved, mask=valid[:, None] & (c < CHANNELS))


@triton.jit(do_not_specialize=["query_cells", "key_cells", "faces"])
def key_gradients(
    queries,
    query_positions,
    query_order,
    query_starts,
    keys,
    key_positions,
    key_order,
    key_ids,
    values,
    options,
    out_gradient,
    log_sums,
    pulls,
    feature_gradient,
    value_gradient,
    query_cells,
    key_cells,
    faces,
    CHANNELS: tl.constexpr,
    DEPTH: tl.constexpr,
    BLOCK_DEPTH: tl.constexpr,
    VALUES: tl.constexpr,
    VALUES_PADDED: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_QUERIES: tl.constexpr,
    BLOCK_KEYS: tl.constexpr,
):
    """feature_gradient (M, CHANNELS, key_cells) and value_gradient f32 (M, VALUES, key_cells).

    Program (tile, reference, block of channels); iterates over the `faces` source faces of its
    reference.
    """
    key_face = tl.program_id(1).to(tl.int64)
    keys += key_face * key_cells * DEPTH
    values += key_face * key_cells * VALUES
    j = tl.program_id(0) * BLOCK_KEYS + tl.arange(0, BLOCK_KEYS)
    valid = j < key_cells
    ids = tl.load(key_ids + key_face * key_cells + j, mask=valid, other=255).to(tl.int32)
    cell = tl.load(key_order + key_face * key_cells + j, mask=valid, other=0)
    k_y, k_x, k_1 = load_positions(key_positions + key_face * key_cells * 3, j, valid, key_cells)
    scale = tl.load(options + 2).to(tl.float32)
    v = tl.arange(0, VALUES_PADDED)[None, :]
    value_sum = tl.zeros((BLOCK_KEYS, VALUES_PADDED), tl.float32)
    moved = tl.zeros((BLOCK_KEYS, BLOCK_DEPTH), tl.float32)
    held = 0.0
    c = tl.program_id(2) * BLOCK_DEPTH + tl.arange(0, BLOCK_DEPTH)[None, :]
    if DEPTH > 0:
        held = hold_features(keys, j, valid, DEPTH, BLOCK_DEPTH)
    for number in range(faces):
        face = key_face * faces + number
        tokens = face * query_cells
        rows = queries + tokens * DEPTH
        gradients = out_gradient + tokens * VALUES
        starts = query_starts + face * 256
        query_first, query_last = key_span(starts, ids)
        begin, end = tile_span(starts, ids, valid)
        for first in range(begin, end, BLOCK_QUERIES):
            i = first + tl.arange(0, BLOCK_QUERIES)
            there = i < end
            q_y, q_x, q_1 = load_positions(query_positions + tokens * 3, i, there, query_cells)
            sums = tl.load(log_sums + tokens + i, mask=there, other=0.0)
            pull = tl.load(pulls + tokens + i, mask=there, other=0.0)
            source = tl.load(query_order + tokens + i, mask=there, other=0)
            pairs = (i[None, :] >= query_first[:, None]) & (i[None, :] < query_last[:, None])
            weights = weigh(
                keys, j, valid, rows, i, there, held, k_y, k_x, k_1, q_y, q_x, q_1,
                sums[None, :], pairs, scale, DEPTH, BLOCK_DEPTH, PRECISION,
            )  # fmt: skip
            push = tl.zeros((BLOCK_KEYS, BLOCK_QUERIES), tl.float32)
            for plane in tl.static_range(VALUES):
                value = tl.load(values + plane * key_cells + j, mask=valid, other=0.0)
                gradient = tl.load(gradients + plane * query_cells + source, mask=there, other=0.0)
                push += value[:, None] * gradient[None, :]
                part = tl.sum(weights * gradient[None, :], 1)
                value_sum += tl.where(v == plane, part[:, None], 0.0)
            if DEPTH > 0:
                steps = weights * (push - pull[None, :])
                q = tl.load(rows + i[:, None] * DEPTH + c, there[:, None], other=0.0)
                moved = tl.dot(steps, q.to(tl.float32), moved, input_precision=PRECISION)
    if tl.program_id(2) == 0:
        target = value_gradient + (key_face * VALUES + v) * key_cells + cell[:, None]
        tl.store(target, value_sum, mask=valid[:, None] & (v < VALUES))
    if DEPTH > 0:
        moved *= tl.load(options + 2).to(tl.float32)
        target = feature_gradient + (key_face * CHANNELS + c) * key_cells + cell[:, None]
        tl.store(target, moved, mask=valid[:, None] & (c < CHANNELS))


_TILES = tuple(
    {"BLOCK_QUERIES": queries, "BLOCK_KEYS": keys, "num_warps": warps, "num_stages": stages}
    for queries, keys, warps, stages in (
        (16, 16, 4, 1), (16, 32, 4, 1), (32, 16, 4, 1), (16, 32, 8, 1), (32, 16, 8, 1),
        (32, 32, 8, 1), (16, 16, 4, 2),
    )
)  # fmt: skip
"""Block shapes to try; the first, which needs least memory, is the default without timing."""


def _parts(tile: Tile) -> tuple[dict[str, int], int, int]:
    """Block shape, number of warps and of stages."""
    shape = {name: size for name, size in tile.items() if name.startswith("BLOCK")}
    return shape, tile["num_warps"], tile["num_stages"]


class DifferentiableMorph(torch.autograd.Function):
    """Autograd function behind `attentive_morph`; call that instead."""

    @staticmethod
    def forward(
        ctx: Any,
        source_features: Tensor,
        reference_features: Tensor,
        values: Tensor,
        source_landmarks: Tensor,
        reference_landmarks: Tensor,
        source_regions: Tensor,
        reference_regions: Tensor,
        settings: dict[str, Any],
    ) -> Tensor:
        settings = dict(settings)
        precision = settings.pop("precision")
        options = morph_options(**settings, device=source_features.device)
        keys = pack(
            reference_features, reference_landmarks, None, reference_regions, values, options
        )
        queries = pack(
            source_features, source_landmarks, reference_landmarks, source_regions, None, options
        )
        shape = (source_features.shape[0], values.shape[1], *source_features.shape[2:])
        out = source_features.new_empty(shape, dtype=torch.float32)
        log_sums = morph_packed(queries, keys, options, out, precision=precision, keep_sums=True)
        ctx.save_for_backward(options, out, log_sums, *vars(queries).values(), *vars(keys).values())
        ctx.precision = precision
        ctx.shapes = (source_features.shape, reference_features.shape, values.shape)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        options, out, log_sums, *sides = ctx.saved_tensors
        half = len(sides) // 2
        queries, keys = Packed(*sides[:half]), Packed(*sides[half:])
        source_shape, reference_shape, value_shape = ctx.shapes
        gradient = gradients[0].contiguous()
        pulls = torch.empty_like(log_sums)
        source_gradient = keys.features.new_empty(source_shape)
        reference_gradient = keys.features.new_empty(reference_shape)
        value_gradient = out.new_empty(value_shape)
        depth = keys.features.shape[2]
        block_depth = max(16, min(depth, 256))
        blocks = max(1, depth // block_depth)
        shared: dict[str, Any] = {
            "queries": queries.features,
            "query_positions": queries.positions,
            "query_order": queries.order,
            "keys": keys.features,
            "key_positions": keys.positions,
            "values": keys.values,
            "options": options,
            "out_gradient": gradient,
            "log_sums": log_sums,
            "pulls": pulls,
            "query_cells": queries.cells,
            "key_cells": keys.cells,
        }
        constants = {
            "CHANNELS": source_shape[1],
            "DEPTH": depth,
            "BLOCK_DEPTH": block_depth,
            "VALUES": value_shape[1],
            "PRECISION": ctx.precision,
        }
        facts = (depth, value_shape[1], keys.features.dtype, ctx.precision, *queries.order.shape)

        def run_queries(tile: Tile) -> None:
            blocks_of_tile, warps, stages = _parts(tile)
            launch(
                query_gradients,
                (triton.cdiv(queries.cells, tile["BLOCK_QUERIES"]), queries.faces, blocks),
                shared
                | {
                    "query_ids": queries.ids,
                    "key_starts": keys.starts,
                    "out": out,
                    "feature_gradient": source_gradient,
                    "key_face_step": int(keys.faces > 1),
                },
                constants | blocks_of_tile,
                num_warps=warps,
                num_stages=stages,
            )

        def run_keys(tile: Tile) -> None:
            blocks_of_tile, warps, stages = _parts(tile)
            launch(
                key_gradients,
                (triton.cdiv(keys.cells, tile["BLOCK_KEYS"]), keys.faces, blocks),
                shared
                | {
                    "query_starts": queries.starts,
                    "key_order": keys.order,
                    "key_ids": keys.ids,
                    "feature_gradient": reference_gradient,
                    "value_gradient": value_gradient,
                    "faces": queries.faces // keys.faces,
                },
                constants
                | {"VALUES_PADDED": triton.next_power_of_2(value_shape[1])}
                | blocks_of_tile,
                num_warps=warps,
                num_stages=stages,
            )

        run_queries(tuned("query_gradients", facts, _TILES, run_queries))
        run_keys(tuned("key_gradients", facts, _TILES, run_keys))
        return source_gradient, reference_gradient, value_gradient, None, None, None, None, None
