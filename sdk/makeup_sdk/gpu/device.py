"""The GPU operations of the frame path: torch tensors, the Triton kernels, sessions."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeup_engines import Bundle, Session, SessionOptions
from makeup_kernels import (
    BackendUnavailableError,
    InvalidInputError,
    MorphReference,
    apply_color_map,
    composite,
    triton,
)
from makeup_kernels.align import align_faces
from makeup_kernels.dispatch import is_device_array, unavailable
from makeup_kernels.region_maps import region_maps
from makeup_sdk.models.base import FACES_AT_ONCE

Tensor = Any
"""A torch tensor on the device; torch is imported only if a device is used."""

_TAKE_TENSORS = ("torch", "tensorrt")


class Device:
    """The current CUDA device.

    Raises:
        BackendUnavailableError: torch, triton or a GPU is missing.
    """

    def __init__(self) -> None:
        reason = unavailable("triton")
        if reason is not None:
            raise BackendUnavailableError(f"device 'cuda' cannot be used: {reason}")
        self._torch = importlib.import_module("torch")
        self._device = triton.device()

    def upload(self, array: NDArray[Any]) -> Tensor:
        """Copy an array to the device through pinned memory."""
        host = self._on_host(array.shape, getattr(self._torch, array.dtype.name))
        np.copyto(host.numpy(), array)
        return host.to(self._device, non_blocking=True)

    def download(self, tensor: Tensor) -> NDArray[Any]:
        """Copy a tensor to the host, after all earlier work is done."""
        copied: NDArray[Any] = self._on_host(tensor.shape, tensor.dtype).copy_(tensor).numpy()
        return copied

    def _on_host(self, shape: Any, dtype: Any) -> Tensor:
        """A new tensor on the host, in pinned memory if there is a GPU."""
        pinned = self._device.type == "cuda"
        return self._torch.empty(shape, dtype=dtype, pin_memory=pinned)

    def adopt(self, array: Any, name: str) -> Tensor:
        """A tensor that shares the memory of a torch, CuPy or PyCUDA array.

        Raises:
            InvalidInputError: the array is not on the GPU.
        """
        if not is_device_array(array):
            raise InvalidInputError(
                f"{name}: got {type(array).__name__}, expected a NumPy array, or one on the GPU of "
                "torch, CuPy or PyCUDA"
            )
        return triton.adopt(array)

    def join(self, *tensors: Tensor) -> Tensor:
        """Tensors (N, C, ...) joined along their channels."""
        return self._torch.cat(tensors, 1)

    def session(
        self, bundle: Bundle, graph: str, threads: int | None, *, batch: int = 1
    ) -> Session:
        """Open a graph that accepts tensors: on TensorRT if a plan was built for it, else on torch.

        Args:
            bundle: the bundle with the graph.
            graph: its name.
            threads: CPU threads.
            batch: faces per call that it must accept, if its batch is free.

        Raises:
            BundleError: no such graph, or the graph does not load.
            BackendUnavailableError: onnx, which reads the graphs for torch, is missing.
        """
        options = SessionOptions(threads=threads, batch=batch)
        best = bundle.session(graph, backend="auto", options=options)
        if best.backend in _TAKE_TENSORS:
            return best
        return bundle.session(graph, backend="torch", options=options)

    def run(self, session: Session, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run a graph on any number of faces: `FACES_AT_ONCE` per call, or one if its batch is 1.

        Sessions that accept only NumPy arrays run via the host.
        """
        faces = max(int(tensor.shape[0]) for tensor in inputs.values())
        step = FACES_AT_ONCE if session.spec.any_batch else 1
        if faces <= step:
            return self._run(session, inputs)
        parts = [
            self._run(session, {name: tensor[i : i + step] for name, tensor in inputs.items()})
            for i in range(0, faces, step)
        ]
        return {name: self._torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _run(self, session: Session, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if session.backend in _TAKE_TENSORS:
            return {name: triton.adopt(array) for name, array in session.run(inputs).items()}
        found = session.run({name: self.download(tensor) for name, tensor in inputs.items()})
        return {name: self.upload(array) for name, array in found.items()}

    def align_faces(
        self, frame: Tensor, matrices: NDArray[np.float64], **options: Any
    ) -> tuple[Tensor, Tensor]:
        """See `makeup_kernels.align_faces`."""
        crops, inputs = align_faces(frame, matrices, backend="triton", **options)
        return crops, inputs

    def region_maps(self, logits: Tensor, landmarks: Tensor) -> Tensor:
        """See `makeup_kernels.region_maps`."""
        return region_maps(logits, landmarks, backend="triton")

    def morph_reference(self, *arrays: Tensor, **options: Any) -> Any:
        """See `makeup_kernels.MorphReference`."""
        return MorphReference(*arrays, backend="triton", **options)

    def composite(
        self,
        image: Tensor,
        sources: Tensor,
        results: Tensor,
        masks: Tensor,
        matrices: NDArray[np.float64],
    ) -> None:
        """See `makeup_kernels.composite`; in place."""
        composite(image, sources, results, masks, matrices, out=image, backend="triton")

    def apply_color_map(self, image: Tensor, change: Tensor, matrices: NDArray[np.float64]) -> None:
        """See `makeup_kernels.apply_color_map`; in place."""
        apply_color_map(image, change, matrices, out=image, backend="triton")
