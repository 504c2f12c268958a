"""Sessions: what runs one graph on one device, whatever the backend."""

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
        device: where it runs: "cpu", or "cuda:0".
        backend: the name under which it was opened.
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
            inputs: an array for each input, of its dtype and shape.
            outputs: arrays to write some or all outputs into, C-contiguous, by name; None
                allocates all of them.

        Returns:
            every output by name; those given are the arrays given.

        Raises:
            InvalidInputError: an array is missing, unknown, or of another dtype or shape.
        """


@dataclass(frozen=True)
class SessionOptions:
    """What can be set about a session.

    Attributes:
        threads: CPU threads; None: MAKEUP_THREADS, else one per core.
        device: number of the GPU.
        cache: folder for optimised graphs and plans; None keeps no optimised graphs, and looks for
            plans in `default_cache()`.
        batch: faces per call that a TensorRT session must take.
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
    """Hold arrays against the specs of a graph's inputs or outputs.

    Returns:
        the sizes of the free dimensions.

    Raises:
        InvalidInputError: a dtype or shape that does not fit, or a free dimension with two sizes.
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
    """Every input must be there and no other.

    Raises:
        InvalidInputError: they are not.
    """
    expected = {tensor.name for tensor in spec.inputs}
    if inputs.keys() != expected:
        raise InvalidInputError(
            f"{where}: got inputs {sorted(inputs)}, expected {sorted(expected)}"
        )


def check_output_names(outputs: Mapping[str, Array], spec: GraphSpec, where: str) -> None:
    """Arrays for outputs must be named as outputs.

    Raises:
        InvalidInputError: one is not.
    """
    expected = [tensor.name for tensor in spec.outputs]
    if not outputs.keys() <= set(expected):
        raise InvalidInputError(
            f"{where}: got outputs {sorted(outputs)}, expected some of {expected}"
        )


def shape_and_dtype(array: Array, where: str) -> tuple[tuple[int, ...], str]:
    """Shape and dtype name of a NumPy or device array.

    Raises:
        InvalidInputError: it is neither.
    """
    if isinstance(array, np.ndarray):
        return array.shape, array.dtype.name
    view = device_view(array, where)
    return view.shape, view.dtype
