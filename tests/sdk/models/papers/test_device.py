"""The frame path on a GPU, with the kernels' CPU forms in the place of the GPU ones.

The kernels themselves are held against the same CPU forms in `tests/kernels`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from makeup_engines import GraphSpec, Session, TensorSpec
from makeup_kernels import MorphReference, apply_color_map, composite
from makeup_kernels.align import align_faces
from makeup_kernels.region_maps import region_maps
from makeup_sdk import (
    BackendUnavailableError,
    FaceAnalysis,
    FaceStatus,
    InvalidInputError,
    Look,
    MakeupEngine,
    Region,
)
from makeup_sdk.cosmetics import Blush, Eyeliner, Lipstick
from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_sdk.gpu.backend import GpuBackend
from makeup_sdk.gpu.device import Device
from makeup_sdk.models.base import Model, ModelOptions
from makeup_sdk.models.mobile.model import MobileModel
from makeup_sdk.stream import FrameProcessor, StreamOptions

Image = NDArray[np.uint8]
Models = Callable[[str], Model]
Demo = Callable[[str], Image]


class Foreign:
    """An array of another library: a buffer that can be copied, and that is no tensor."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def copy(self) -> "Foreign":
        return Foreign(self.tensor.clone())


class Morphs:
    """A `MorphReference` of one reference and several faces."""

    def __init__(self, arrays: tuple[torch.Tensor, ...], options: dict[str, Any]) -> None:
        self._reference = MorphReference(*(a[0].numpy() for a in arrays), **options)

    def morph(self, *arrays: torch.Tensor) -> torch.Tensor:
        faces = zip(*(a.numpy() for a in arrays), strict=True)
        return torch.from_numpy(np.stack([self._reference.morph(*face) for face in faces]))


class HostDevice(Device):
    """Tensors on the CPU, and the CPU kernels.

    Notes how many faces each composite has, and how many each run of a torch session; such sessions
    take tensors on a GPU alone.
    """

    def __init__(self) -> None:
        self._torch, self._device = torch, torch.device("cpu")
        self.composites: list[int] = []
        self.torch_runs: list[tuple[str, int]] = []

    def _run(self, session: Session, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if session.backend != "torch":
            return super()._run(session, inputs)
        self.torch_runs.append((session.spec.file, len(inputs["image"])))
        found = session.run({name: tensor.numpy() for name, tensor in inputs.items()})
        return {name: torch.from_numpy(array) for name, array in found.items()}

    def adopt(self, array: Any, name: str) -> torch.Tensor:
        if isinstance(array, Foreign):
            return array.tensor
        return array if isinstance(array, torch.Tensor) else super().adopt(array, name)

    def align_faces(
        self, frame: torch.Tensor, matrices: NDArray[np.float64], **options: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        crops, inputs = align_faces(frame.numpy(), matrices, backend="cpu", **options)
        return torch.from_numpy(crops), torch.from_numpy(inputs)

    def region_maps(self, logits: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(region_maps(logits.numpy(), landmarks.numpy(), backend="cpu"))

    def morph_reference(self, *arrays: torch.Tensor, **options: Any) -> Morphs:
        return Morphs(arrays, options)

    def composite(self, image: torch.Tensor, *parts: Any) -> None:
        self.composites.append(len(parts[0]))
        frame = image.numpy()
        for source, result, mask, matrix in zip(*parts, strict=True):
            composite(frame, source.numpy(), result.numpy(), mask.numpy(), matrix, out=frame)

    def apply_color_map(
        self, image: torch.Tensor, change: torch.Tensor, matrices: NDArray[np.float64]
    ) -> None:
        self.composites.append(len(change))
        frame = image.numpy()
        for values, matrix in zip(change.numpy(), matrices, strict=True):
            apply_color_map(frame, values, matrix, out=frame)


@pytest.fixture
def device() -> HostDevice:
    return HostDevice()


@pytest.fixture
def look(model_of: Models, faces: tuple[FaceAnalysis, FaceAnalysis]) -> Look:
    makeup = model_of("psgan").encode(faces[1])
    return Look(makeup, model_of("psgan").regions, "reference", makeup)


@pytest.fixture
def engines(
    model_of: Models,
    look: Look,
    analyzer: BundledFaceAnalyzer,
    device: HostDevice,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[MakeupEngine, MakeupEngine]]:
    """An engine on the stand-in device, and one on the CPU."""
    monkeypatch.setattr("makeup_sdk.engine.Device", lambda: device)

    def make(**options: Any) -> tuple[MakeupEngine, MakeupEngine]:
        options = {"model": model_of("psgan"), "threads": 1, **options}
        on_cpu = MakeupEngine(look, analyzer=analyzer, **options)
        return MakeupEngine(look, device="cuda", **options), on_cpu

    return make


@pytest.mark.parametrize(
    ("name", "color"),
    [("psgan", "bgr"), ("mobile", "bgr"), ("mobile", "rgb")],
)
def test_batch_of_faces_as_on_the_cpu(
    name: str,
    color: str,
    engines: Callable[..., tuple[MakeupEngine, MakeupEngine]],
    demo: Demo,
    device: HostDevice,
) -> None:
    frame = np.hstack([demo("light.jpg"), demo("dark.jpg")])
    frame = np.ascontiguousarray(frame if color == "bgr" else frame[..., ::-1])
    options = {"model": MobileModel()} if name == "mobile" else {}
    on_device, on_cpu = engines(color=color, **options)
    found, expected = (engine.process_detailed(frame) for engine in (on_device, on_cpu))
    assert device.composites == [2] * (3 if name == "mobile" else 1)
    # the detector, and both passes of the landmark network
    assert device.torch_runs[:3] == [("model.onnx", 1), ("model.onnx", 2), ("model.onnx", 2)]
    assert device.torch_runs[3:] == [("lips.onnx", 2)]
    assert [face.status for face in found.faces] == [FaceStatus.OK] * 2
    for one, other in zip(found.faces, expected.faces, strict=True):
        np.testing.assert_allclose(one.landmarks, other.landmarks, atol=1.5)
        assert one.painted
    change = found.image.astype(int) - frame
    away = np.abs(found.image.astype(int) - expected.image)
    assert np.abs(change).mean() > 0.5
    assert away.mean() < 0.1 * np.abs(change).mean()


def test_more_faces_than_a_batch_holds(
    engines: Callable[..., tuple[MakeupEngine, MakeupEngine]],
    demo: Demo,
    device: HostDevice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = np.hstack([demo("light.jpg"), demo("dark.jpg")])
    engine, _ = engines(model=MobileModel())
    whole = engine.process(frame)
    monkeypatch.setattr("makeup_sdk.gpu.backend.FACES_AT_ONCE", 1)
    np.testing.assert_array_equal(engine.process(frame), whole)
    assert device.composites == [2, 2, 2, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(("size", "calls"), [("batch", [2, 1]), (1, [1, 1, 1])])
def test_more_faces_than_a_graph_takes(
    size: int | str, calls: list[int], device: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Doubling:
        backend, device = "torch", "cpu"
        spec = GraphSpec("double.onnx", (TensorSpec("image", "float32", (size, 2)),), ())

        def run(self, inputs: Mapping[str, Any], outputs: Any = None) -> dict[str, Any]:
            return {"result": 2 * inputs["image"]}

    monkeypatch.setattr("makeup_sdk.gpu.device.FACES_AT_ONCE", 2)
    images = torch.arange(6.0).reshape(3, 2)
    found = device.run(Doubling(), {"image": images})
    assert torch.equal(found["result"], 2 * images)
    assert device.torch_runs == [("double.onnx", count) for count in calls]


def test_a_stream_on_the_device_as_on_the_cpu(
    engines: Callable[..., tuple[MakeupEngine, MakeupEngine]], demo: Demo
) -> None:
    """Frames go the same way: tracked, smoothed, and cross-faded from one look to another."""
    frames = [np.roll(demo("light.jpg"), 2 * number, axis=1) for number in range(4)]
    films, ids = [], []
    for engine in engines():
        processor = FrameProcessor(engine, StreamOptions())
        results = [processor.process(frames[number], number / 30) for number in range(2)]
        engine.look = engine.look.only([Region.LIPS])
        results += [processor.process(frames[number], number / 30) for number in (2, 3)]
        films.append(np.stack([result.image for result in results]).astype(int) - frames)
        ids.append([[face.track_id for face in result.faces] for result in results])
    assert ids == [[[0]] * 4] * 2
    change = np.abs(films[1]).mean(axis=(1, 2, 3))
    assert change[0] > 0.2
    assert (np.abs(films[0] - films[1]).mean(axis=(1, 2, 3)) < 0.1 * change).all()


def test_the_device_has_its_own_face_analysis(
    model_of: Models, analyzer: BundledFaceAnalyzer
) -> None:
    with pytest.raises(InvalidInputError, match="leave analyzer= out, or use device='cpu'"):
        MakeupEngine(model=model_of("psgan"), device="cuda", analyzer=analyzer)


def test_arrays_come_back_as_they_went_in(
    engines: Callable[..., tuple[MakeupEngine, MakeupEngine]], demo: Demo
) -> None:
    engine, _ = engines(color="rgb")
    frame = demo("light.jpg")[..., ::-1].copy()
    expected = engine.process(frame)
    assert isinstance(expected, np.ndarray)
    np.testing.assert_array_equal(frame, demo("light.jpg")[..., ::-1])
    out = np.empty_like(frame)
    assert engine.process(frame, out=out) is out
    np.testing.assert_array_equal(out, expected)

    tensor = torch.from_numpy(frame.copy())
    result = engine.process(tensor)
    assert isinstance(result, torch.Tensor)
    np.testing.assert_array_equal(result.numpy(), expected)
    np.testing.assert_array_equal(tensor.numpy(), frame)
    other = torch.empty_like(tensor)
    assert engine.process(tensor, out=other) is other
    np.testing.assert_array_equal(other.numpy(), expected)
    assert engine.process(tensor, out=tensor) is tensor
    np.testing.assert_array_equal(tensor.numpy(), expected)

    foreign = Foreign(torch.from_numpy(frame.copy()))
    result = engine.process(foreign)
    assert isinstance(result, Foreign)
    np.testing.assert_array_equal(result.tensor.numpy(), expected)
    np.testing.assert_array_equal(foreign.tensor.numpy(), frame)


def test_frames_without_work(
    engines: Callable[..., tuple[MakeupEngine, MakeupEngine]], demo: Demo
) -> None:
    engine, _ = engines(strength=0)
    result = engine.process_detailed(demo("light.jpg"))
    np.testing.assert_array_equal(result.image, demo("light.jpg"))
    assert [face.painted for face in result.faces] == [False]
    engine.strength = 1
    empty = np.full((40, 300, 3), 90, np.uint8)
    assert engine.process_detailed(empty).faces == ()
    np.testing.assert_array_equal(engine.process(empty), empty)


def test_wrong_arrays(engines: Callable[..., tuple[MakeupEngine, MakeupEngine]]) -> None:
    engine, _ = engines()
    for frame, message in (
        (np.zeros((8, 8, 3), np.float32), "frame: got dtype float32"),
        (5, "frame: got int, expected a NumPy array, or one on the GPU"),
        (torch.zeros(8, 8, 3), "frame: got float32 (8, 8, 3) with strides"),
        (torch.zeros(8, 8, 4, dtype=torch.uint8), "frame: got uint8 (8, 8, 4)"),
        (torch.zeros(8, 3, 8, dtype=torch.uint8).mT, "on the GPU, expected uint8 (H, W, 3), each"),
    ):
        with pytest.raises(InvalidInputError) as error:
            engine.process(frame)
        assert message in str(error.value)
    frame = torch.zeros(8, 8, 3, dtype=torch.uint8)
    for out in (torch.zeros(4, 8, 3, dtype=torch.uint8), np.zeros((8, 8, 3), np.uint8)):
        with pytest.raises(InvalidInputError, match="expected an array on the GPU of the frame's"):
            engine.process(frame, out=out)


@pytest.mark.parametrize("name", ["region-gan", "ssat"])
def test_models_without_a_way_on_the_device(
    name: str, model_of: Models, device: HostDevice
) -> None:
    message = f"model '{name}' cannot paint on the GPU; use device='cpu'"
    with pytest.raises(BackendUnavailableError, match=message):
        GpuBackend(model_of(name), ModelOptions(threads=1), "bgr", device)


@pytest.mark.parametrize("color", ["bgr", "rgb"])
@pytest.mark.parametrize("layered", [False, True], ids=["products", "over a photo"])
def test_products_as_on_the_cpu(
    layered: bool,
    color: str,
    engines: Callable[..., tuple[MakeupEngine, MakeupEngine]],
    demo: Demo,
    device: HostDevice,
) -> None:
    frame = np.hstack([demo("light.jpg"), demo("dark.jpg")])
    frame = np.ascontiguousarray(frame if color == "bgr" else frame[..., ::-1])
    worn = [Lipstick("#7a1f4b"), Eyeliner(wing=0.6), Blush("#d9707a")]
    pair = engines(color=color, model=MobileModel())
    for engine in pair:
        engine.look = engine.look.with_products(worn) if layered else Look.from_products(worn)
    found, expected = (engine.process(frame).astype(int) for engine in pair)
    # four parts of two faces, on top of what lies below
    assert device.composites == [2] * (3 if layered else 0) + [1] * 8
    change = np.abs(expected - frame).mean()
    assert change > 0.3
    assert np.abs(found - expected).mean() < 0.1 * change


def test_a_makeup_without_a_way_on_the_device(device: HostDevice) -> None:
    class Unknown:
        kind = "unknown"

    backend = GpuBackend(MobileModel(), ModelOptions(threads=1), "bgr", device)
    look = Look(Unknown(), frozenset(), "strange", None)
    with pytest.raises(BackendUnavailableError, match="makeup of kind 'unknown' cannot be painted"):
        backend.painter(look)


def test_no_gpu_is_said(model_of: Models) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(BackendUnavailableError, match="device 'cuda' cannot be used: "):
        MakeupEngine(model=model_of("psgan"), device="cuda")
    with pytest.raises(InvalidInputError, match="device: 'gpu' is unknown; expected one of"):
        MakeupEngine(device="gpu")
