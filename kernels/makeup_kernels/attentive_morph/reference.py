"""Attentive morph in plain NumPy: every position vector in full, float64 by default."""

import numpy as np
from numpy.typing import NDArray


def position_vectors(
    landmarks: NDArray[np.floating], height: int, width: int, pixel_stride: float
) -> NDArray[np.float64]:
    """Offsets of every cell's pixel from every landmark, at unit length.

    Args:
        landmarks: float (K, 2), x then y.
        height: rows of the grid.
        width: columns of the grid.
        pixel_stride: pixels per cell.

    Returns:
        float64 (height · width, 2K): y offsets, then x offsets; 0 where all offsets are 0.
    """
    points = landmarks.astype(np.float64)
    y, x = np.mgrid[:height, :width].reshape(2, -1, 1) * float(pixel_stride)
    offsets = np.concatenate([y - points[:, 1], x - points[:, 0]], axis=1)
    norms = np.linalg.norm(offsets, axis=1, keepdims=True)
    return offsets / np.where(norms > 0, norms, 1.0)


def attentive_morph_reference(
    source_features: NDArray[np.float32],
    reference_features: NDArray[np.float32],
    source_landmarks: NDArray[np.float32],
    reference_landmarks: NDArray[np.float32],
    source_regions: NDArray[np.uint8],
    reference_regions: NDArray[np.uint8],
    values: NDArray[np.float32],
    *,
    visual_weight: float = 0.01,
    temperature: float = 200.0,
    pixel_stride: float = 4,
    keep_other_regions: bool = True,
    dtype: type[np.float32] | type[np.float64] = np.float64,
) -> NDArray[np.floating]:
    """`attentive_morph` as its formula reads; arguments as there.

    Args:
        keep_other_regions: False drops the e⁰ terms of the denominator (to show that they matter).
        dtype: precision of the arithmetic after the position vectors.

    Returns:
        dtype (V, H, W).
    """
    height, width = source_regions.shape
    ref_height, ref_width = reference_regions.shape
    source_position = position_vectors(source_landmarks, height, width, pixel_stride)
    key_position = position_vectors(reference_landmarks, ref_height, ref_width, pixel_stride)
    channels, count = source_features.shape[0], values.shape[0]
    scale = dtype(visual_weight)
    query_features = source_features.reshape(channels, height * width).T.astype(dtype) * scale
    key_features = (
        reference_features.reshape(channels, ref_height * ref_width).T.astype(dtype) * scale
    )
    queries = np.concatenate([query_features, source_position.astype(dtype)], axis=1)
    keys = np.concatenate([key_features, key_position.astype(dtype)], axis=1)
    flat_values = values.reshape(count, -1).T.astype(dtype)
    out = np.zeros((height * width, count), dtype)
    for region in range(1, 256):
        rows = source_regions.ravel() == region
        columns = reference_regions.ravel() == region
        if not rows.any() or not columns.any():
            continue
        logits = dtype(temperature) * (queries[rows] @ keys[columns].T)
        others = int((~columns).sum()) if keep_other_regions else 0
        peak = logits.max(axis=1, keepdims=True)
        if others:
            peak = np.maximum(peak, 0)
        weights = np.exp(logits - peak)
        total = weights.sum(axis=1, keepdims=True)
        if others:
            total += others * np.exp(-peak)
        out[rows] = (weights @ flat_values[columns]) / total
    return np.ascontiguousarray(out.T).reshape(count, height, width)
