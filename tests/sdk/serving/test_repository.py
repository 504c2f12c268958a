"""Model repositories for Triton: held against the server's own schema and the graphs themselves."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from makeup_engines import Bundle, write_bundle
from makeup_engines.manifest import TensorSpec
from makeup_kernels import BundleError, InvalidInputError
from makeup_sdk.cli import main
from makeup_sdk.serving import repository
from makeup_sdk.serving.repository import RepositoryOptions, write_repository
from makeup_sdk.weights import open_shipped

DTYPES = {"float32": "TYPE_FP32", "uint8": "TYPE_UINT8", "int32": "TYPE_INT32"}


def configs(folder: Path) -> dict[str, Any]:
    """Every model's configuration, parsed by the server's schema."""
    schema = pytest.importorskip(
        "tritonclient.grpc.model_config_pb2", reason="needs the triton-server extra"
    )
    text_format = pytest.importorskip("google.protobuf.text_format")
    return {
        path.parent.name: text_format.Parse(path.read_text(), schema.ModelConfig())
        for path in sorted(folder.glob("*/config.pbtxt"))
    }


def dtype(tensor: Any) -> str:
    schema = sys.modules["tritonclient.grpc.model_config_pb2"]
    return str(schema.DataType.Name(tensor.data_type))


def test_networks_say_what_the_graphs_take(tmp_path: Path) -> None:
    names = write_repository("psgan", tmp_path / "repository", RepositoryOptions(batch=4))
    found = configs(tmp_path / "repository")
    assert names[0] == "makeup"
    assert sorted(found) == sorted(names)
    for bundle in ("face_detector", "face_landmarks_regions", "psgan"):
        shipped = open_shipped(bundle)
        for graph, spec in shipped.manifest.graphs.items():
            config = found[f"{bundle}_{graph}"]
            model = tmp_path / "repository" / config.name / "1" / "model.onnx"
            assert model.read_bytes() == shipped.contents[spec.file]
            assert (config.name, config.backend) == (f"{bundle}_{graph}", "onnxruntime")
            assert config.platform == "onnxruntime_onnx"
            assert config.max_batch_size == (0 if bundle == "face_detector" else 4)
            assert config.HasField("dynamic_batching") == (config.max_batch_size > 0)
            for wanted, given in ((spec.inputs, config.input), (spec.outputs, config.output)):
                assert [tensor.name for tensor in given] == [tensor.name for tensor in wanted]
                for one, other in zip(wanted, given, strict=True):
                    check_tensor(one, other, config.max_batch_size > 0)
            (group,) = config.instance_group
            assert (group.count, group.Kind.Name(group.kind)) == (1, "KIND_CPU")
            (warm_up,) = config.model_warmup
            assert sorted(warm_up.inputs) == sorted(tensor.name for tensor in spec.inputs)
            for tensor in config.input:
                value = warm_up.inputs[tensor.name]
                assert value.zero_data
                assert value.data_type == tensor.data_type
                pairs = zip(value.dims, tensor.dims, strict=True)
                assert all(a == b if b > 0 else a == 64 for a, b in pairs)


def check_tensor(wanted: TensorSpec, given: Any, batches: bool) -> None:
    assert dtype(given) == DTYPES[wanted.dtype]
    shape = [size if isinstance(size, int) else -1 for size in wanted.shape]
    inner = list(given.reshape.shape) if given.HasField("reshape") else list(given.dims)
    assert ([-1, *inner] if batches else inner) == shape
    assert len(given.dims) > 0


def test_the_makeup_model(tmp_path: Path) -> None:
    options = RepositoryOptions(instances=3, threads=2)
    assert write_repository("mobile", tmp_path / "r", options)[0] == "makeup"
    config = configs(tmp_path / "r")["makeup"]
    assert (config.backend, config.max_batch_size) == ("python", 0)
    assert config.instance_group[0].count == 3
    assert {tensor.name: (dtype(tensor), list(tensor.dims)) for tensor in config.input} == {
        "frame": ("TYPE_UINT8", [-1, -1, 3]),
        "photo": ("TYPE_UINT8", [-1]),
        "look": ("TYPE_STRING", [1]),
        "look_file": ("TYPE_UINT8", [-1]),
        "strength": ("TYPE_FP32", [-1]),
        "format": ("TYPE_STRING", [1]),
    }
    assert all(tensor.optional for tensor in config.input)
    parameters = {key: value.string_value for key, value in config.parameters.items()}
    assert parameters == {"model": "mobile", "threads": "2"}
    program = (tmp_path / "r" / "makeup" / "1" / "model.py").read_text()
    compile(program, "model.py", "exec")
    assert not (tmp_path / "r" / "makeup" / "1" / "bundle").exists()


def test_a_bundle_comes_along(tmp_path: Path) -> None:
    shipped = open_shipped("psgan")
    fields: dict[str, Any] = json.loads(shipped.manifest_bytes)
    del fields["files"]
    write_bundle(tmp_path / "mine.zip", fields, shipped.contents)
    write_repository(tmp_path / "mine.zip", tmp_path / "r")
    inside = Bundle.open(tmp_path / "r" / "makeup" / "1" / "bundle")
    assert dict(inside.contents) == dict(shipped.contents)
    found = configs(tmp_path / "r")
    assert found["makeup"].parameters["model"].string_value == "bundle"
    assert "psgan_source" in found


def test_gpu_and_tensorrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_repository("mobile", tmp_path / "gpu", RepositoryOptions(kind="gpu"))
    network = configs(tmp_path / "gpu")["face_detector_model"]
    group = network.instance_group[0]
    assert group.Kind.Name(group.kind) == "KIND_GPU"
    assert "intra_op_thread_count" not in network.parameters
    asked = []

    def find(graph: bytes, options: Any, where: str) -> bytes:
        asked.append((where, options.batch))
        return b"plan of " + where.encode()

    monkeypatch.setattr(repository, "find_plan", find)
    monkeypatch.setattr(repository, "read_plan", lambda entry: entry)
    options = RepositoryOptions(backend="tensorrt", batch=2)
    write_repository("mobile", tmp_path / "trt", options)
    found = configs(tmp_path / "trt")
    assert asked == [
        ("face_detector_model", 1),
        ("face_landmarks_regions_model", 2),
        ("face_landmarks_regions_lips", 2),
    ]
    for name, config in found.items():
        if name != "makeup":
            assert (config.backend, config.platform) == ("tensorrt", "tensorrt_plan")
            plan = tmp_path / "trt" / name / "1" / "model.plan"
            assert plan.read_bytes() == b"plan of " + name.encode()


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="'none' is unknown; expected one of"):
        write_repository("none", tmp_path / "r")
    (tmp_path / "there").mkdir()
    with pytest.raises(BundleError, match="already exists"):
        write_repository("mobile", tmp_path / "there")
    for values, message in (
        ({"backend": "torch"}, "backend: 'torch' is unknown"),
        ({"kind": "tpu"}, "kind: 'tpu' is unknown"),
        ({"instances": 0}, "instances: got 0, expected an integer of at least 1"),
    ):
        with pytest.raises(InvalidInputError, match=re.escape(message)):
            RepositoryOptions(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["mobile", "--server", "triton", "-o", "repository"], 0, "wrote repository: makeup, face"),
        (["mobile", "--server", "kserve", "-o", "r"], 1, "--server kserve: unknown; expected trit"),
        (["mobile", "--server", "triton"], 1, "give the repository to write: -o REPOSITORY"),
    ],
)
def test_command(
    arguments: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["makeup", "build", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert int(stop.value.code or 0) == status
    shown = capsys.readouterr()
    assert message in (shown.err if status else shown.out)
    assert (tmp_path / "repository" / "makeup" / "1" / "model.py").exists() == (status == 0)
