"""The model `makeup` of a repository, for Triton's Python backend.

Inputs; a request has `frame` or `photo`, and `look` or `look_file`:

| name | type | |
|---|---|---|
| `frame` | UINT8 (H, W, 3) | a frame, BGR |
| `photo` | UINT8 (N,) | the bytes of a picture file |
| `look` | STRING (1,) | name of a shipped look, or products as JSON |
| `look_file` | UINT8 (N,) | the bytes of a look file, of products (.json) or of a reference photo |
| `strength` | FP32 (1,) or (4,) | for all, or for lips, skin, eyes, brows; in [0, 1.5]; default 1 |
| `format` | STRING (1,) | of `photo_out`: jpg, png, webp, …; default jpg |

Outputs: `frame_out`, UINT8 (H, W, 3), for a frame; `photo_out`, UINT8 (N,), for a photo; and
`faces`, STRING (1,): JSON, a list of {box, score, status, painted}, most confident first.
"""

import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError, MakeupError
from makeup_kernels.files import sha256
from makeup_sdk.engine import EVERY_FACE, MakeupEngine
from makeup_sdk.frame import Outfit, Result
from makeup_sdk.looks.look import Look
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.photos import WRITE_SUFFIXES, decode_photo, encode_photo
from makeup_sdk.pipeline import ImageFaces

_LOOKS_KEPT = 64
"""Number of cached looks."""


class TritonPythonModel:
    """One instance: a server process with an engine. Triton calls its methods."""

    def initialize(self, args: dict[str, str]) -> None:
        """Create the engine.

        Args:
            args: Triton's `model_config` as JSON, `model_repository` and `model_version`.
        """
        import triton_python_backend_utils

        self._triton = triton_python_backend_utils
        parameters = json.loads(args["model_config"])["parameters"]
        values = {key: value["string_value"] for key, value in parameters.items()}
        model = values["model"]
        if model == "bundle":
            model = str(Path(args["model_repository"], args["model_version"], "bundle"))
        self._engine = MakeupEngine(model=model, threads=int(values["threads"]))
        self._outfits: OrderedDict[str, Outfit] = OrderedDict()

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer requests; an error affects only its own request."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        triton = self._triton
        try:
            outputs = self._outputs(request)
        except (MakeupError, UnicodeDecodeError) as error:
            return triton.InferenceResponse(
                output_tensors=[],
                error=triton.TritonError(str(error), triton.TritonError.INVALID_ARG),
            )
        wanted = request.requested_output_names()
        tensors = [triton.Tensor(name, x) for name, x in outputs.items() if name in wanted]
        return triton.InferenceResponse(output_tensors=tensors)

    def _outputs(self, request: Any) -> dict[str, NDArray[Any]]:
        frame, photo = self._given(request, "frame"), self._given(request, "photo")
        if (frame is None) == (photo is None):
            raise InvalidInputError("expected either frame or photo as an input")
        outfit = self._outfit(request)
        self._engine.strength = self._strength(request)
        if frame is not None:
            result = self._worn(frame, outfit)
            return {"frame_out": result.image, "faces": _described(result)}
        suffix = f".{self._text(request, 'format') or 'jpg'}"
        if suffix not in WRITE_SUFFIXES:
            raise InvalidInputError(
                f"format: {suffix[1:]!r} is unknown; expected one of "
                + ", ".join(known[1:] for known in WRITE_SUFFIXES)
            )
        assert photo is not None
        picture = decode_photo(photo.tobytes(), "photo")
        result = self._worn(picture.image, outfit)
        data = encode_photo(picture.wearing(result.image), suffix, "photo")
        return {"photo_out": np.frombuffer(data, np.uint8), "faces": _described(result)}

    def _worn(self, frame: NDArray[np.uint8], outfit: Outfit) -> Result:
        engine = self._engine
        strength = engine.strength_of(outfit)
        faces = ImageFaces(engine.pipeline.backend, EVERY_FACE, outfit, strength)
        return engine.pipeline.run(frame, faces)

    def _given(self, request: Any, name: str) -> NDArray[Any] | None:
        """An input as an array; None if missing."""
        tensor = self._triton.get_input_tensor_by_name(request, name)
        return None if tensor is None else np.asarray(tensor.as_numpy())

    def _text(self, request: Any, name: str) -> str:
        given = self._given(request, name)
        if given is None or given.size == 0:
            return ""
        first = given.reshape(-1)[0]
        return first.decode("utf-8") if isinstance(first, bytes) else str(first)

    def _strength(self, request: Any) -> Any:
        given = self._given(request, "strength")
        if given is None:
            return 1.0
        amounts = [float(value) for value in given.reshape(-1)]
        if len(amounts) == 1:
            return amounts[0]
        if len(amounts) != len(MAKEUP_REGIONS):
            raise InvalidInputError(
                f"strength: got {len(amounts)} numbers, expected one, or four for lips, skin, "
                "eyes, brows"
            )
        return dict(zip(MAKEUP_REGIONS, amounts, strict=True))

    def _outfit(self, request: Any) -> Outfit:
        """The requested look, prepared for painting; recent ones are cached."""
        text, file = self._text(request, "look"), self._given(request, "look_file")
        if (file is None) == (text == ""):
            raise InvalidInputError("expected either look or look_file as an input")
        data = text.encode() if file is None else file.tobytes()
        key = f"{file is None} {sha256(data)}"
        outfit = self._outfits.pop(key, None)
        if outfit is None:
            look = self._named(text) if file is None else self._read(data)
            look = look.made_for(self._engine.model)
            outfit = Outfit(look, self._engine.pipeline.backend.painter(look))
        self._outfits[key] = outfit
        if len(self._outfits) > _LOOKS_KEPT:
            self._outfits.popitem(last=False)
        return outfit

    def _named(self, text: str) -> Look:
        return Look.from_json(text, "look") if _is_json(text.encode()) else Look.shipped(text)

    def _read(self, data: bytes) -> Look:
        if data.startswith(b"PK"):
            return Look.from_bytes(data, "look_file")
        if _is_json(data):
            return Look.from_json(data.decode("utf-8"), "look_file")
        photo = decode_photo(data, "look_file").image
        return Look.from_photo(photo, model=self._engine.model, analyzer=self._engine.analyzer)


def _is_json(data: bytes) -> bool:
    return data.lstrip()[:1] in (b"{", b"[")


def _described(result: Result) -> NDArray[Any]:
    faces = [
        {
            "box": [round(float(value), 2) for value in face.box],
            "score": round(float(face.score), 4),
            "status": face.status.value,
            "painted": face.painted,
        }
        for face in result.faces
    ]
    return np.array([json.dumps(faces).encode()], dtype=object)
