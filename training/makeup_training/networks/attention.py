"""The attentive makeup morph as a differentiable operation on same-region pairs."""

import torch
from torch import Tensor

from makeup_kernels.errors import InvalidInputError


def attentive_morph(
    source_features: Tensor,
    reference_features: Tensor,
    source_landmarks: Tensor,
    reference_landmarks: Tensor,
    source_regions: Tensor,
    reference_regions: Tensor,
    values: Tensor,
    *,
    visual_weight: float = 0.01,
    temperature: float = 200.0,
    pixel_stride: int = 4,
) -> Tensor:
    """Warp per-pixel values of a reference face onto a source face by attention.

    For a source cell i in region r, over the reference cells R_r of the same region:

        out(i) = Σ_{j∈R_r} e^{ℓ_ij} values(j) / (Σ_{j∈R_r} e^{ℓ_ij} + N' − |R_r|)
        ℓ_ij = temperature · (visual_weight² ⟨F_i, R_j⟩ + ⟨P̂_i, Q̂_j⟩)

    with N' the number of reference cells: each cell outside the region weighs e⁰, as in the
    published soft-max over all cells. P̂ and Q̂ are the unit vectors of the differences to the 2·K
    landmarks, whose product has the rank-3 form of `position_vectors`. Cells outside all regions,
    and regions that one face lacks, give 0. This is the batched, differentiable counterpart of
    `makeup_kernels.attentive_morph`; memory is that of one region's pairs, never (H·W)².
    Logits reach ±temperature, so it computes in float32 (float64 for float64 input) even under
    autocast.

    Source: PSGAN (Jiang et al., 2020), attentive makeup morphing, and its published code.

    Args:
        source_features: float (B, C, H, W); C may be 0.
        reference_features: float (B, C, H', W').
        source_landmarks: float (B, K, 2), x then y, crop pixels.
        reference_landmarks: float (B, K, 2), x then y, crop pixels.
        source_regions: integer (B, H, W), region ids, 0 = outside.
        reference_regions: integer (B, H', W').
        values: float (B, V, H', W'), for example gamma and beta.
        visual_weight: weight of the features in queries and keys.
        temperature: scale of the logits.
        pixel_stride: cell (r, c) stands for crop pixel (r·pixel_stride, c·pixel_stride).

    Returns:
        float (B, V, H, W), with gradients to both features and to the values.

    Raises:
        InvalidInputError: shapes that do not fit together.
    """
    _check(source_features, reference_features, source_regions, reference_regions, values)
    with torch.autocast(values.device.type, enabled=False):
        outputs = [
            _morph_one(
                _precise(source_features[b]),
                _precise(reference_features[b]),
                _precise(values[b]),
                position_vectors(
                    source_landmarks[b],
                    reference_landmarks[b],
                    (source_regions.shape[1:], reference_regions.shape[1:]),
                    pixel_stride,
                ),
                (source_regions[b].flatten(), reference_regions[b].flatten()),
                visual_weight,
                temperature,
            )
            for b in range(values.shape[0])
        ]
    return torch.stack(outputs).unflatten(2, source_regions.shape[1:])


def position_vectors(
    source_landmarks: Tensor,
    reference_landmarks: Tensor,
    grids: tuple[torch.Size, torch.Size],
    pixel_stride: int,
) -> tuple[Tensor, Tensor]:
    """The rank-3 form of the unit position vectors: ⟨P̂_i, Q̂_j⟩ = ⟨queries_i, keys_j⟩.

    For landmarks a_k, b_k with means ā, b̄, let u = p − ā, v = q − b̄, S_a = Σ_k ‖a_k − ā‖² (S_b
    likewise) and C = Σ_k ⟨a_k − ā, b_k − b̄⟩. Then ⟨P, Q⟩ = K⟨u, v⟩ + C, ‖P‖² = K‖u‖² + S_a and
    ‖Q‖² = K‖v‖² + S_b.
    Computed in float64.

    Args:
        source_landmarks, reference_landmarks: float (K, 2), x then y, crop pixels.
        grids: the (H, W) and (H', W') of the two feature grids.
        pixel_stride: crop pixels per cell.

    Returns:
        queries (H·W, 3) and keys (H'·W', 3), float64.
    """
    source, reference = source_landmarks.double(), reference_landmarks.double()
    count = source.shape[0]
    source_offsets = source - source.mean(0)
    reference_offsets = reference - reference.mean(0)
    coupling = (source_offsets * reference_offsets).sum()
    u = _cell_positions(grids[0], pixel_stride, source) - source.mean(0)
    v = _cell_positions(grids[1], pixel_stride, reference) - reference.mean(0)
    source_norm = (count * u.square().sum(1) + source_offsets.square().sum()).sqrt()
    reference_norm = (count * v.square().sum(1) + reference_offsets.square().sum()).sqrt()
    queries = torch.cat([count**0.5 * u, coupling.expand(len(u), 1)], 1)
    keys = torch.cat([count**0.5 * v, torch.ones_like(v[:, :1])], 1)
    tiny = torch.finfo(torch.float64).tiny
    source_norm = source_norm.clamp(min=tiny)[:, None]
    reference_norm = reference_norm.clamp(min=tiny)[:, None]
    return queries / source_norm, keys / reference_norm


def _cell_positions(grid: torch.Size, stride: int, like: Tensor) -> Tensor:
    rows = torch.arange(grid[0], device=like.device, dtype=like.dtype) * stride
    columns = torch.arange(grid[1], device=like.device, dtype=like.dtype) * stride
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def _morph_one(
    source_features: Tensor,
    reference_features: Tensor,
    values: Tensor,
    positions: tuple[Tensor, Tensor],
    regions: tuple[Tensor, Tensor],
    visual_weight: float,
    temperature: float,
) -> Tensor:
    """(C, H, W), (C, H', W'), (V, H', W') of one sample to (V, H·W)."""
    queries = source_features.flatten(1).t()
    keys = reference_features.flatten(1)
    flat_values = values.flatten(1).t()
    query_positions, key_positions = (p.to(values.dtype) for p in positions)
    result = values.new_zeros(values.shape[0], queries.shape[0])
    shared = set(regions[0].unique().tolist()) & set(regions[1].unique().tolist())
    for region in sorted(shared - {0}):
        i = (regions[0] == region).nonzero().squeeze(1)
        j = (regions[1] == region).nonzero().squeeze(1)
        logits = visual_weight**2 * (queries[i] @ keys[:, j])
        # term by term: a matrix product may run in TF32, too coarse for positions
        for axis in range(3):
            logits = logits + query_positions[i, axis, None] * key_positions[None, j, axis]
        logits = temperature * logits
        outside = keys.shape[1] - len(j)
        shift = logits.detach().amax(1, keepdim=True)
        if outside:
            shift = shift.clamp(min=0)
        weights = (logits - shift).exp()
        total = weights.sum(1, keepdim=True)
        if outside:
            total = total + outside * (-shift).exp()
        result = result.index_copy(1, i, ((weights @ flat_values[j]) / total).t())
    return result


def _precise(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _check(
    source_features: Tensor,
    reference_features: Tensor,
    source_regions: Tensor,
    reference_regions: Tensor,
    values: Tensor,
) -> None:
    grid, reference_grid = source_features.shape[2:], reference_features.shape[2:]
    if source_regions.shape[1:] != grid or reference_regions.shape[1:] != reference_grid:
        raise InvalidInputError(
            f"region maps: got {tuple(source_regions.shape)} and {tuple(reference_regions.shape)}, "
            f"expected the feature grids {tuple(grid)} and {tuple(reference_grid)}; "
            "pass them through `feature_regions`"
        )
    if values.shape[2:] != reference_grid:
        raise InvalidInputError(
            f"values: got shape {tuple(values.shape)}, expected (B, V, *{tuple(reference_grid)})"
        )
    if source_features.shape[1] != reference_features.shape[1]:
        raise InvalidInputError(
            f"features: got {source_features.shape[1]} source and {reference_features.shape[1]} "
            "reference channels, expected the same number"
        )
