"""Sessions: run one graph on one device, on any backend."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from makeup_engines.manifest import GraphSpec, TensorSpec
from makeup_kernels.device_arrays import device_view
from makeup_kernels.errors import InvalidInputError

Array = Any
"""A NumPy array; on a GPU session also anything with `__cuda_array_interface__` or `__dlpack__`."""


class Session(Protocol):
    """One graph, ready to run; threads may share it.

    Attributes:
        device: "cpu" or "cuda:0".
        backend: name of the backend.
        spec: the graph's inputs and outputs.
    """

    @property
    def device(self) -> str: ...

    @property
    def backend(self) -> str: ...

    @property
    def spec(self) -> GraphSpec: ...

    def run(
        self, inputs: Mapping[str, Array], outputs: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """Run the graph.

        Args:
            inputs: an array for each input, with its dtype and shape.
            outputs: C-contiguous arrays by name, to write some or all outputs into; None allocates
                all of them.

        Returns:
            every output by name; arrays passed in `outputs` are returned themselves.

        Raises:
            InvalidInputError: an array is missing, unknown, or has the wrong dtype or shape.
        """


@dataclass(frozen=True)
class SessionOptions:
    """Options of a session.

    Attributes:
        threads: CPU threads; None: MAKEUP_THREADS, else one per core.
        device: number of the GPU.
        cache: folder for optimised graphs and plans; None stores no optimised graphs and looks for
            plans in `default_cache()`.
        batch: faces per call that a TensorRT session must accept.
        cuda_graph: replay fixed-shape runs as a CUDA graph (tensorrt, torch).
        half: compute in fp16 (torch).
    """

    threads: int | None = None
    device: int = 0
    cache: Path | None = None
    batch: int = 1
    cuda_graph: bool = False
    half: bool = False

    def with_threads(self, threads: int | None) -> "SessionOptions":
        """The same options with this number of threads, unless it is None."""
        return self if threads is None else replace(self, threads=threads)


def check_arrays(
    kind: str, arrays: Mapping[str, Array], specs: tuple[TensorSpec, ...], where: str
) -> dict[str, int]:
    """Check arrays against the specs of a graph's inputs or outputs.

    Returns:
        the sizes of the free dimensions.

    Raises:
        InvalidInputError: wrong dtype or shape, or a free dimension with two sizes.
    """
    sizes: dict[str, int] = {}
    for spec in specs:
        if spec.name not in arrays:
            continue
        shape, dtype = shape_and_dtype(arrays[spec.name], f"{where}: {kind} {spec.name!r}")
        fits = len(shape) == len(spec.shape) and all(
            have == (want if isinstance(want, int) else sizes.setdefault(want, have)) and have > 0
            for want, have in zip(spec.shape, shape, strict=True)
        )
        if dtype != spec.dtype or not fits:
            raise InvalidInputError(
                f"{where}: {kind} {spec.name!r} is {dtype} {shape}, expected {spec.dtype} "
                f"({', '.join(map(str, spec.shape))})"
            )
    return sizes


def check_names(inputs: Mapping[str, Array], spec: GraphSpec, where: str) -> None:
    """Check that the inputs are exactly those of the graph.

    Raises:
        InvalidInputError: an input is missing or unknown.
    """
    expected = {tensor.name for tensor in spec.inputs}
    if inputs.keys() != expected:
        raise InvalidInputError(
            f"{where}: got inputs {sorted(inputs)}, expected {sorted(expected)}"
        )


def check_output_names(outputs: Mapping[str, Array], spec: GraphSpec, where: str) -> None:
    """Check that every name is an output of the graph.

    Raises:
        InvalidInputError: an unknown output.
    """
    expected = [tensor.name for tensor in spec.outputs]
    if not outputs.keys() <= set(expected):
        raise InvalidInputError(
            f"{where}: got outputs {sorted(outputs)}, expected some of {expected}"
        )


def shape_and_dtype(array: Array, where: str) -> tuple[tuple[int, ...], str]:
    """Shape and dtype name of a NumPy or device array.

    Raises:
        InvalidInputError: neither of these.
    """
    if isinstance(array, np.ndarray):
        return array.shape, array.dtype.name
    view = device_view(array, where)
    return view.shape, view.dtype
