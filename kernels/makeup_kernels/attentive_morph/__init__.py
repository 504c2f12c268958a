"""Attentive morph: warp the makeup values of a reference face onto a source face by attention.

For a source cell i of region r, with R_r the reference cells of region r and N all H'·W' reference
cells,

    logit(i, j) = temperature · (visual_weight² · ⟨F_i, R_j⟩ + ⟨P̂_i, Q̂_j⟩)
    out(i) = Σ_{j∈R_r} e^logit(i,j) · value(j) / (Σ_{j∈R_r} e^logit(i,j) + (N − |R_r|) · e⁰)

and 0 for cells of region 0 and of regions that the reference lacks. F and R are the feature
columns. P_i holds the offsets of the cell's pixel from every landmark (2K numbers), and P̂_i is
P_i at unit length; Q̂_j likewise on the reference. Cell (row, column) stands for pixel
(y, x) = (row · pixel_stride, column · pixel_stride). The e⁰ terms are the masked-out cells of the
published dense soft-max: they vanish for aligned faces and matter for unrelated landmark layouts.

The 2K-vectors are never built. For source landmarks a_k and reference landmarks b_k, let
u = p − mean(a) and v = q − mean(b). Then

    ⟨P_i, Q_j⟩ = K · u·v + C,   C = Σ_k (a_k − mean(a)) · (b_k − mean(b)),
    ‖P_i‖² = K · ‖u‖² + Σ_k ‖a_k − mean(a)‖²,

so a position is a 3-vector. Memory beyond the result is O(H·W), never H·W × H'·W'.

Source: the attentive makeup morphing of PSGAN (Jiang et al., "PSGAN: Pose and Expression Robust
Spatial-Aware GAN for Customizable Makeup Transfer", CVPR 2020), in closed form.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeup_kernels.device import DeviceCall
from makeup_kernels.dispatch import _cpu, choose_backend, cpu_isa, thread_count
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

    The formula is in the module's docstring. For several sources and one reference (video), build a
    `MorphReference` once instead.

    Args:
        source_features: float32 (C, H, W), finite; C may be 0 (positions alone).
        reference_features: float32 (C, H', W').
        source_landmarks: float32 (K, 2), x then y, crop pixels, K ≥ 1; taken as given, not rounded.
        reference_landmarks: float32 (K, 2).
        source_regions: uint8 (H, W), 0 = outside; ids 1..255 attend to cells of the same id.
        reference_regions: uint8 (H', W').
        values: float32 (V, H', W'), V ≥ 1: the planes to mix, e.g. gamma and beta.
        visual_weight: weight of the features against the positions, ≥ 0.
        temperature: factor of the logits, > 0.
        pixel_stride: crop pixels per cell, > 0.
        backend: "auto", "cpu", "triton" or "cuda". The last two also accept GPU arrays, which stay
            on the GPU, a leading axis of faces on every array, and float16 features; "triton" also
            supports torch gradients.
        threads: number of CPU threads; None: MAKEUP_THREADS, else one per core. The result does not
            depend on it.

    Returns:
        float32 (V, H, W), on the GPU if the arguments are.

    Raises:
        InvalidInputError: wrong dtype, rank, shape, option or non-finite landmarks.
        BackendUnavailableError: the backend cannot run here.
    """
    options = _options(visual_weight, temperature, pixel_stride)
    chosen = choose_backend(backend, "attentive_morph", source_features, reference_features)
    if chosen != "cpu":
        call = DeviceCall.of(chosen, "attentive_morph", reference_regions, 2)
        reference_side = _take_reference(
            call, reference_features, reference_landmarks, reference_regions, values
        )
        source_side = _take_source(
            call, _facts(*reference_side[:2]), source_features, source_landmarks, source_regions
        )
        result: NDArray[np.float32] = call.give(
            call.kernels.attentive_morph(
                source_side[0], reference_side[0], source_side[1], reference_side[1],
                source_side[2], reference_side[2], reference_side[3], **options,
            )
        )  # fmt: skip
        return result
    reference = MorphReference(
        reference_features,
        reference_landmarks,
        reference_regions,
        values,
        visual_weight=visual_weight,
        temperature=temperature,
        pixel_stride=pixel_stride,
        backend=chosen,
    )
    return reference.morph(source_features, source_landmarks, source_regions, threads=threads)


class MorphReference:
    """One reference prepared for `attentive_morph`: its keys and values, packed.

    Immutable; threads may share it. Arguments and errors are those of `attentive_morph`. The arrays
    are copied.

    Attributes:
        channels: C, channels of the features.
        landmark_count: K.
        value_count: V, planes of the result.
    """

    __slots__ = ("_call", "_facts", "_packed", "channels", "landmark_count", "value_count")

    _call: DeviceCall | None
    _facts: tuple[int, str, int, int]
    _packed: Any
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
        options = _options(visual_weight, temperature, pixel_stride)
        chosen = choose_backend(backend, "attentive_morph", reference_features, values)
        call = None
        if chosen == "cpu":
            regions = check_array("reference_regions", reference_regions, np.uint8, ("H'", "W'"))
            features = check_array(
                "reference_features", reference_features, np.float32, ("C", *regions.shape)
            )
            landmarks = check_landmarks("reference_landmarks", reference_landmarks)
            values = check_array("values", values, np.float32, ("V", *regions.shape))
            _check_planes(values, values.shape[0])
            packed: Any = _cpu.MorphReference(
                features,
                landmarks,
                regions,
                values,
                options["visual_weight"],
                options["temperature"],
                options["pixel_stride"],
                cpu_isa(),
            )
            facts, planes = (1, "float32", *features.shape[:1], *landmarks.shape[:1]), len(values)
        else:
            call = DeviceCall.of(chosen, "attentive_morph", reference_regions, 2)
            side = _take_reference(
                call, reference_features, reference_landmarks, reference_regions, values
            )
            packed = call.kernels.MorphReference(*side, **options)
            facts, planes = _facts(side[0], side[1]), int(side[3].shape[1])
        settings = (call, facts, packed, *facts[2:], planes)
        for name, value in zip(self.__slots__, settings, strict=True):
            object.__setattr__(self, name, value)

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
        """Warp this reference's values onto a source.

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
        if self._call is not None:
            return self._morph_on_device(source_features, source_landmarks, source_regions, out)
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

    def _morph_on_device(
        self,
        source_features: NDArray[np.float32],
        source_landmarks: NDArray[np.float32],
        source_regions: NDArray[np.uint8],
        out: NDArray[np.float32] | None,
    ) -> NDArray[np.float32]:
        assert self._call is not None
        call = DeviceCall.of(self._call.backend, self._call.operation, source_regions, 2)
        source = _take_source(call, self._facts, source_features, source_landmarks, source_regions)
        shape = (self.value_count, *(int(n) for n in source[2].shape[1:]))
        target = call.take_out(out, "float32", shape, (int(source[2].shape[0]),))
        result: NDArray[np.float32] = call.give(self._packed.morph(*source, out=target), out)
        return result


def _take_reference(
    call: DeviceCall, features: Any, landmarks: Any, regions: Any, values: Any
) -> tuple[Any, Any, Any, Any]:
    """The reference's arrays on the GPU: features, landmarks, regions, values."""
    regions = call.take("reference_regions", regions, "uint8", ("H'", "W'"))
    faces, *grid = (int(n) for n in regions.shape)
    features = call.take(
        "reference_features", features, ("float32", "float16"), ("C", *grid), (faces,)
    )
    if call.on_host and not call.batched:
        check_landmarks("reference_landmarks", landmarks)
    landmarks = call.take("reference_landmarks", landmarks, "float32", ("K", 2), (faces,))
    values = call.take("values", values, "float32", ("V", *grid), (faces,))
    _check_planes(values, int(values.shape[1]))
    return features, landmarks, regions, values


def _facts(features: Any, landmarks: Any) -> tuple[int, str, int, int]:
    """A reference's number of faces, dtype, channels and number of landmarks."""
    dtype = str(features.dtype).removeprefix("torch.")
    return int(features.shape[0]), dtype, int(features.shape[1]), int(landmarks.shape[1])


def _take_source(
    call: DeviceCall,
    reference: tuple[int, str, int, int],
    features: Any,
    landmarks: Any,
    regions: Any,
) -> tuple[Any, Any, Any]:
    """The source's arrays on the GPU, checked against the reference's facts."""
    references, dtype, channels, points = reference
    regions = call.take("source_regions", regions, "uint8", ("H", "W"))
    faces, *grid = (int(n) for n in regions.shape)
    if references not in (1, faces):
        raise InvalidInputError(
            f"reference_features: got {references} faces, expected 1 or the sources' {faces}"
        )
    features = call.take("source_features", features, dtype, (channels, *grid), (faces,))
    if call.on_host and not call.batched:
        check_landmarks("source_landmarks", landmarks, points)
    landmarks = call.take("source_landmarks", landmarks, "float32", (points, 2), (faces,))
    return features, landmarks, regions


def _check_planes(values: Any, planes: int) -> None:
    if planes == 0:
        raise InvalidInputError(
            f"values: got float32 {tuple(values.shape)}, expected at least one plane"
        )


def _options(visual_weight: float, temperature: float, pixel_stride: float) -> dict[str, float]:
    """The three options by name, checked."""
    _check_number("visual_weight", visual_weight, least_is_allowed=True)
    _check_number("temperature", temperature)
    _check_number("pixel_stride", pixel_stride)
    return {
        "visual_weight": float(visual_weight),
        "temperature": float(temperature),
        "pixel_stride": float(pixel_stride),
    }


def _check_number(name: str, value: float, *, least_is_allowed: bool = False) -> None:
    if not math.isfinite(value) or value < 0 or (value == 0 and not least_is_allowed):
        bound = "of at least 0" if least_is_allowed else "above 0"
        raise InvalidInputError(f"{name}: got {value!r}, expected a finite number {bound}")
