"""Attentive morph: lay the makeup values of a reference face out on a source face.

For a source cell i of region r, with R_r the reference cells of region r and N all H'·W' reference
cells,

    logit(i, j) = temperature · (visual_weight² · ⟨F_i, R_j⟩ + ⟨P̂_i, Q̂_j⟩)
    out(i) = Σ_{j∈R_r} e^logit(i,j) · value(j) / (Σ_{j∈R_r} e^logit(i,j) + (N − |R_r|) · e⁰)

and 0 for cells of region 0 and of regions that the reference lacks. F and R are the feature
columns. P_i holds the offsets of the cell's pixel from every landmark (2K numbers) and P̂_i is that
vector at unit length; Q̂_j likewise on the reference. Cell (row, column) stands for pixel
(y, x) = (row · pixel_stride, column · pixel_stride). The e⁰ terms are the masked-out cells of the
published dense soft-max: they vanish for aligned faces and matter for unrelated landmark layouts.

The 2K-vectors are never built. With u = p − mean(a) and v = q − mean(b) for source landmarks a_k
and reference landmarks b_k,

    ⟨P_i, Q_j⟩ = K · u·v + C,   C = Σ_k (a_k − mean(a)) · (b_k − mean(b)),
    ‖P_i‖² = K · ‖u‖² + Σ_k ‖a_k − mean(a)‖²,

so a position is a 3-vector. Memory beyond the result is O(H·W), never H·W × H'·W'.

Source: the attentive makeup morphing of PSGAN (Jiang et al., "PSGAN: Pose and Expression Robust
Spatial-Aware GAN for Customizable Makeup Transfer", CVPR 2020), in closed form.
"""

import math

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.dispatch import _cpu, check_backend, cpu_isa, thread_count
from makeup_kernels.errors import InvalidInputError
from makeup_kernels.inputs import check_array, check_landmarks, check_out

__all__ = ["MorphReference", "attentive_morph"]


def attentive_morph(
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
    backend: str = "auto",
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Attend from every source cell to the reference cells of its region and mix their values.

    The formula is in the module's docstring. For several sources and one reference (video), prepare
    a `MorphReference` once instead.

    Args:
        source_features: float32 (C, H, W), finite; C may be 0 (positions alone).
        reference_features: float32 (C, H', W').
        source_landmarks: float32 (K, 2), x then y, crop pixels, K ≥ 1; taken as given, not rounded.
        reference_landmarks: float32 (K, 2).
        source_regions: uint8 (H, W), 0 = outside; ids 1..255 attend to cells of the same id.
        reference_regions: uint8 (H', W').
        values: float32 (V, H', W'), V ≥ 1: what is mixed, e.g. gamma and beta.
        visual_weight: weight of the features against the positions, ≥ 0.
        temperature: factor of the logits, > 0.
        pixel_stride: crop pixels per cell, > 0.
        backend: "auto" or "cpu".
        threads: number of threads; None: MAKEUP_THREADS, else one per core. The result does not
            depend on it.

    Returns:
        float32 (V, H, W).

    Raises:
        InvalidInputError: wrong dtype, rank, shape, option or non-finite landmarks.
        BackendUnavailableError: a backend this build does not hold.
    """
    reference = MorphReference(
        reference_features,
        reference_landmarks,
        reference_regions,
        values,
        visual_weight=visual_weight,
        temperature=temperature,
        pixel_stride=pixel_stride,
        backend=backend,
    )
    return reference.morph(source_features, source_landmarks, source_regions, threads=threads)


class MorphReference:
    """One reference prepared for `attentive_morph`: its keys and values, packed.

    Immutable; threads may share it. Arguments and errors are those of `attentive_morph`; the
    arrays are copied, so changing them later changes nothing here.

    Attributes:
        channels: C, channels of the features.
        landmark_count: K.
        value_count: V, planes of a result.
    """

    __slots__ = ("_packed", "channels", "landmark_count", "value_count")

    _packed: _cpu.MorphReference
    channels: int
    landmark_count: int
    value_count: int

    def __init__(
        self,
        reference_features: NDArray[np.float32],
        reference_landmarks: NDArray[np.float32],
        reference_regions: NDArray[np.uint8],
        values: NDArray[np.float32],
        *,
        visual_weight: float = 0.01,
        temperature: float = 200.0,
        pixel_stride: float = 4,
        backend: str = "auto",
    ) -> None:
        check_backend(backend, "attentive_morph")
        _check_number("visual_weight", visual_weight, least_is_allowed=True)
        _check_number("temperature", temperature)
        _check_number("pixel_stride", pixel_stride)
        regions = check_array("reference_regions", reference_regions, np.uint8, ("H'", "W'"))
        height, width = regions.shape
        features = check_array(
            "reference_features", reference_features, np.float32, ("C", height, width)
        )
        landmarks = check_landmarks("reference_landmarks", reference_landmarks)
        values = check_array("values", values, np.float32, ("V", height, width))
        if values.shape[0] == 0:
            raise InvalidInputError(
                f"values: got float32 {values.shape}, expected at least one plane"
            )
        packed = _cpu.MorphReference(
            features,
            landmarks,
            regions,
            values,
            float(visual_weight),
            float(temperature),
            float(pixel_stride),
            cpu_isa(),
        )
        object.__setattr__(self, "_packed", packed)
        object.__setattr__(self, "channels", features.shape[0])
        object.__setattr__(self, "landmark_count", landmarks.shape[0])
        object.__setattr__(self, "value_count", values.shape[0])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"MorphReference is immutable: cannot set {name!r}")

    def __repr__(self) -> str:
        return (
            f"MorphReference(channels={self.channels}, landmark_count={self.landmark_count}, "
            f"value_count={self.value_count})"
        )

    def morph(
        self,
        source_features: NDArray[np.float32],
        source_landmarks: NDArray[np.float32],
        source_regions: NDArray[np.uint8],
        out: NDArray[np.float32] | None = None,
        *,
        threads: int | None = None,
    ) -> NDArray[np.float32]:
        """Lay this reference's values out on a source.

        Args:
            source_features: float32 (C, H, W), finite, with the reference's C.
            source_landmarks: float32 (K, 2), x then y, crop pixels, with the reference's K.
            source_regions: uint8 (H, W).
            out: float32 (V, H, W) to write to, any strides; None allocates.
            threads: number of threads; None: MAKEUP_THREADS, else one per core.

        Returns:
            float32 (V, H, W): `out`, or a new array.

        Raises:
            InvalidInputError: wrong dtype, rank or shape, non-finite landmarks, `out` read-only or
                overlapping an input.
        """
        regions = check_array("source_regions", source_regions, np.uint8, ("H", "W"))
        height, width = regions.shape
        features = check_array(
            "source_features", source_features, np.float32, (self.channels, height, width)
        )
        landmarks = check_landmarks("source_landmarks", source_landmarks, self.landmark_count)
        shape = (self.value_count, height, width)
        if out is None:
            out = np.empty(shape, np.float32)
        else:
            out = check_out(out, np.float32, shape, (features, landmarks, regions))
        self._packed.morph(features, landmarks, regions, out, thread_count(threads))
        return out


def _check_number(name: str, value: float, *, least_is_allowed: bool = False) -> None:
    if not math.isfinite(value) or value < 0 or (value == 0 and not least_is_allowed):
        bound = "of at least 0" if least_is_allowed else "above 0"
        raise InvalidInputError(f"{name}: got {value!r}, expected a finite number {bound}")
