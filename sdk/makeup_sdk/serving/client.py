"""Client of the model `makeup` on Triton Inference Server. Needs the extra `triton-server`."""

import json
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from makeup_kernels import BackendUnavailableError, InvalidInputError, MakeupError
from makeup_kernels.types import Image
from makeup_sdk.frame import StrengthLike, normalize_strength
from makeup_sdk.images import check_frame
from makeup_sdk.looks.look import Look
from makeup_sdk.serving.repository import NAME

PROTOCOLS = ("grpc", "http")


class TritonMakeup:
    """Puts looks on frames and photos, using a server.

        with TritonMakeup("localhost:8001") as makeup:
            frame_out = makeup.process(frame, "soft-glam")

    Not thread-safe: use one per thread.

    Args:
        address: host and port: Triton's gRPC port (8001), or its HTTP port (8000).
        protocol: "grpc" or "http".
        timeout: time limit of a request, in seconds.

    Raises:
        BackendUnavailableError: `tritonclient` is not installed.
    """

    def __init__(self, address: str, *, protocol: str = "grpc", timeout: float = 60.0) -> None:
        if protocol not in PROTOCOLS:
            raise InvalidInputError(
                f"protocol: {protocol!r} is unknown; expected one of {PROTOCOLS}"
            )
        self._module, self._error = _modules(protocol)
        self._address = address
        self._options: dict[str, Any] = {}
        if protocol == "grpc":
            self._client = self._module.InferenceServerClient(address)
            self._options["client_timeout"] = timeout
        else:
            self._client = self._module.InferenceServerClient(address, network_timeout=timeout)

    def __enter__(self) -> "TritonMakeup":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def ready(self) -> bool:
        """Whether the server is running and has loaded the model."""
        try:
            return bool(self._client.is_model_ready(NAME))
        except (self._error, OSError):
            return False

    def process(self, frame: Image, look: Look | str, strength: StrengthLike = 1.0) -> Image:
        """Put a look on every face of a frame; see `MakeupEngine.process`.

        Args:
            frame: uint8 (H, W, 3), BGR.
            look: a look, or the name of a shipped one.
            strength: as in `MakeupEngine`.

        Returns:
            uint8 (H, W, 3).

        Raises:
            InvalidInputError: an invalid frame or strength.
            MakeupError: the server's error, or no answer.
        """
        inputs = {"frame": np.ascontiguousarray(check_frame(frame)), **_worn(look, strength)}
        image: Image = self._ask(inputs, "frame_out")[0]
        return image

    def process_photo(
        self, photo: bytes, look: Look | str, strength: StrengthLike = 1.0, format: str = "jpg"
    ) -> tuple[bytes, list[dict[str, Any]]]:
        """Put a look on every face of a picture file; the server decodes the picture.

        Args:
            photo: the bytes of the file.
            look, strength: as in `process`.
            format: suffix of the result, without dot.

        Returns:
            the bytes of the result's file, and its faces: box, score, status, painted.

        Raises:
            MakeupError: the server's error, or no answer.
        """
        inputs = {
            "photo": np.frombuffer(photo, np.uint8),
            "format": np.array([format.encode()], dtype=object),
            **_worn(look, strength),
        }
        data, faces = self._ask(inputs, "photo_out", "faces")
        return data.tobytes(), json.loads(faces.reshape(-1)[0])

    def _ask(self, arrays: Mapping[str, Any], *outputs: str) -> list[Any]:
        inputs = []
        for name, array in arrays.items():
            kind = {"u": "UINT8", "f": "FP32", "O": "BYTES"}[array.dtype.kind]
            tensor = self._module.InferInput(name, list(array.shape), kind)
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        wanted = [self._module.InferRequestedOutput(name) for name in outputs]
        try:
            answer = self._client.infer(NAME, inputs, outputs=wanted, **self._options)
        except self._error as error:
            raise MakeupError(f"{self._address}: {error.message()}") from None
        except OSError as error:
            raise MakeupError(f"{self._address}: no answer ({error}); is the server up?") from None
        return [answer.as_numpy(name) for name in outputs]


def _modules(protocol: str) -> tuple[ModuleType, Any]:
    try:
        from tritonclient.utils import InferenceServerException

        if protocol == "grpc":
            import tritonclient.grpc as module
        else:
            import tritonclient.http as module
    except (ImportError, RuntimeError) as error:
        raise BackendUnavailableError(
            f"TritonMakeup needs tritonclient ({error}); run: pip install '.[triton-server]'"
        ) from None
    return module, InferenceServerException


def _worn(look: Look | str, strength: StrengthLike) -> dict[str, Any]:
    amounts = normalize_strength(strength)
    inputs: dict[str, Any] = {"strength": np.array(list(amounts.values()), np.float32)}
    if isinstance(look, Look):
        inputs["look_file"] = np.frombuffer(look.to_bytes(), np.uint8)
    else:
        inputs["look"] = np.array([look.encode()], dtype=object)
    return inputs
