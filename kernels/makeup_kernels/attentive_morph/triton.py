"""Attentive morph in Triton: the entry point that the package's functions call on a GPU."""

# mypy: allow-untyped-calls, no-warn-return-any
from typing import Any

import torch
from torch import Tensor

from makeup_kernels.attentive_morph.triton_backward import DifferentiableMorph
from makeup_kernels.attentive_morph.triton_forward import MorphReference

__all__ = ["MorphReference", "attentive_morph"]


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
    pixel_stride: float = 4,
    precision: str = "tf32",
    out: Tensor | None = None,
) -> Tensor:
    """`makeup_kernels.attentive_morph` on batches of torch tensors, with gradients.

    Gradients flow to both features and to the values.
    `makeup_training.networks.attention.attentive_morph` has the same arguments.

    Args:
        source_features: float32 or float16 (N, C, H, W).
        reference_features: the same dtype, (M, C, H', W'), M = N or 1.
        source_landmarks: float32 (N, K, 2); reference_landmarks: float32 (M, K, 2).
        source_regions: uint8 (N, H, W); reference_regions: uint8 (M, H', W').
        values: float32 (M, V, H', W').
        visual_weight, temperature, pixel_stride: as in `makeup_kernels.attentive_morph`.
        precision: of the visual product of float32 features: "tf32" or "ieee".
        out: float32 (N, V, H, W) to write to if no gradient is needed.

    Returns:
        float32 (N, V, H, W).
    """
    options: dict[str, Any] = {
        "visual_weight": visual_weight,
        "temperature": temperature,
        "pixel_stride": pixel_stride,
        "precision": precision,
    }
    wants_gradient = torch.is_grad_enabled() and any(
        tensor.requires_grad for tensor in (source_features, reference_features, values)
    )
    if wants_gradient:
        result: Tensor = DifferentiableMorph.apply(
            source_features,
            reference_features,
            values,
            source_landmarks,
            reference_landmarks,
            source_regions,
            reference_regions,
            options,
        )
        return result
    reference = MorphReference(
        reference_features, reference_landmarks, reference_regions, values, **options
    )
    return reference.morph(source_features, source_landmarks, source_regions, out)
