"""The model `makeup` against a double of Triton's Python backend."""

import json
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from makeup_sdk import Look, MakeupEngine, Region
from makeup_sdk.photos import decode_photo
from makeup_sdk.serving import server_model
from makeup_sdk.serving.server_model import TritonPythonModel

Image = NDArray[np.uint8]


class Tensor:
    def __init__(self, name: str, array: NDArray[Any]) -> None:
        self._name, self._array = name, array

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> NDArray[Any]:
        return self._array


class TritonError:
    INVALID_ARG = "invalid argument"

    def __init__(self, message: str, code: str) -> None:
        self.message, self.code = message, code


class Request:
    def __init__(self, inputs: dict[str, NDArray[Any]], outputs: list[str]) -> None:
        self.tensors = {name: Tensor(name, array) for name, array in inputs.items()}
        self._outputs = outputs

    def requested_output_names(self) -> list[str]:
        return self._outputs


class Response(SimpleNamespace):
    def __init__(self, output_tensors: list[Tensor], error: TritonError | None = None) -> None:
        super().__init__(arrays={t.name(): t.as_numpy() for t in output_tensors}, error=error)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(
        Tensor=Tensor,
        TritonError=TritonError,
        InferenceResponse=Response,
        get_input_tensor_by_name=lambda request, name: request.tensors.get(name),
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", module)  # type: ignore[arg-type]


@pytest.fixture
def model(backend: None) -> TritonPythonModel:
    made = TritonPythonModel()
    parameters = {"model": {"string_value": "mobile"}, "threads": {"string_value": "1"}}
    config = json.dumps({"parameters": parameters})
    made.initialize({"model_config": config, "model_repository": "/r", "model_version": "1"})
    return made


def text(value: str) -> NDArray[Any]:
    return np.array([value.encode()], dtype=object)


def ask(model: TritonPythonModel, *outputs: str, **inputs: NDArray[Any]) -> Any:
    (response,) = model.execute([Request(inputs, list(outputs) or ["frame_out", "faces"])])
    return response


def test_a_frame(model: TritonPythonModel, demo: Callable[[str], Image], look: Look) -> None:
    frame, lips = demo("light.jpg"), Look.from_colors(lips="#b3123a")
    kept = Look.from_bytes(look.to_bytes(), "look")  # files hold rounded numbers
    for worn, inputs in (
        (Look.shipped("smoky"), {"look": text("smoky")}),
        (lips, {"look": text(lips.to_json())}),
        (kept, {"look_file": np.frombuffer(look.to_bytes(), np.uint8)}),
    ):
        response = ask(model, frame=frame, **inputs)
        assert response.error is None
        expected = MakeupEngine(worn, threads=1).process(frame)
        np.testing.assert_array_equal(response.arrays["frame_out"], expected)
        (face,) = json.loads(response.arrays["faces"][0])
        assert (face["status"], face["painted"], len(face["box"])) == ("ok", True, 4)


def test_a_photo_and_a_reference_photo(
    model: TritonPythonModel, demo: Callable[[str], Image]
) -> None:
    from .conftest import file_of

    reference, photo = file_of("red-classic.jpg"), file_of("light.jpg")
    response = ask(
        model,
        "photo_out",
        photo=np.frombuffer(photo, np.uint8),
        look_file=np.frombuffer(reference, np.uint8),
        format=text("png"),
    )
    assert list(response.arrays) == ["photo_out"]
    made = decode_photo(response.arrays["photo_out"].tobytes(), "result").image
    expected = MakeupEngine(demo("red-classic.jpg"), threads=1).process(demo("light.jpg"))
    np.testing.assert_array_equal(made, expected)


def test_strength(model: TritonPythonModel, demo: Callable[[str], Image]) -> None:
    frame = demo("light.jpg")
    whole = MakeupEngine(Look.shipped("smoky"), threads=1)
    for given in (np.float32([0.5]), np.float32([1, 0, 0, 0.25]), np.float32([0])):
        response = ask(model, frame=frame, look=text("smoky"), strength=given)
        lips, brows = float(given[0]), float(given[-1])
        whole.strength = lips if given.size == 1 else {Region.LIPS: lips, Region.BROWS: brows}
        np.testing.assert_array_equal(response.arrays["frame_out"], whole.process(frame))
    again = ask(model, frame=frame, look=text("smoky"))  # one request's strength is not the next's
    whole.strength = 1.0
    np.testing.assert_array_equal(again.arrays["frame_out"], whole.process(frame))


def test_a_frame_without_a_face(model: TritonPythonModel) -> None:
    frame = np.full((90, 120, 3), 80, np.uint8)
    response = ask(model, frame=frame, look=text("smoky"))
    np.testing.assert_array_equal(response.arrays["frame_out"], frame)
    assert json.loads(response.arrays["faces"][0]) == []


FRAME = np.zeros((64, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"look": text("smoky")}, "expected either frame or photo"),
        ({"frame": FRAME, "photo": FRAME.reshape(-1), "look": text("smoky")}, "expected either fr"),
        ({"frame": FRAME}, "expected either look or look_file"),
        ({"frame": FRAME, "look": text("none")}, "look: got 'none'; "),
        ({"frame": FRAME, "look": text("[{]")}, "look"),
        ({"frame": FRAME, "look_file": np.frombuffer(b"PK junk", np.uint8)}, "not a look file"),
        ({"frame": FRAME, "look_file": np.frombuffer(b"junk", np.uint8)}, "look_file: "),
        ({"photo": FRAME.reshape(-1), "look": text("smoky")}, "photo: "),
        (
            {"photo": FRAME.reshape(-1), "look": text("smoky"), "format": text("gif")},
            "format: 'gif' is unknown; expected one of jpg",
        ),
        (
            {"frame": FRAME, "look": text("smoky"), "strength": np.float32([1, 1])},
            "strength: got 2 numbers, expected one, or four",
        ),
        ({"frame": FRAME, "look": text("smoky"), "strength": np.float32([9])}, "strength: 9.0"),
    ],
)
def test_bad_requests_are_answered(
    model: TritonPythonModel, inputs: dict[str, NDArray[Any]], message: str
) -> None:
    good = Request({"frame": FRAME, "look": text("smoky")}, ["frame_out"])
    bad, after = model.execute([Request(inputs, ["frame_out"]), good])
    assert message in bad.error.message
    assert bad.error.code == "invalid argument"
    assert after.error is None


def test_looks_are_kept_and_forgotten(
    model: TritonPythonModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_model, "_LOOKS_KEPT", 2)
    for name in ("smoky", "berry", "smoky", "coral"):
        ask(model, frame=FRAME, look=text(name))
    titles = [outfit.look.title for outfit in model._outfits.values()]
    assert titles == [Look.shipped("smoky").title, Look.shipped("coral").title]
