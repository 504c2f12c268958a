"""The real Triton Inference Server on loopback: bytes, several clients, kills, reloads.

It is the binary in the wheel of nvidia-pytriton, which has the Python backend alone.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from makeup_kernels.files import sha256
from makeup_sdk import InvalidInputError, Look, MakeupError
from makeup_sdk.photos import decode_photo
from makeup_sdk.serving.client import TritonMakeup
from makeup_sdk.serving.repository import RepositoryOptions, write_repository

from .conftest import DEMO, file_of
from .server import Server, free_ports, installed, server_path

pytest.importorskip("tritonclient.grpc", reason="needs the triton-server extra")
pytest.importorskip("tritonclient.http", reason="needs the triton-server extra")

Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a repository of two instances."""
    installed()
    folder = tmp_path_factory.mktemp("triton")
    write_repository("mobile", folder / "repository", RepositoryOptions(instances=2))
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    with Server(place / "repository", place, "first", "makeup") as running:
        yield running


_ENGINE = """
import sys
import numpy as np
from makeup_sdk import Look, MakeupEngine, read_image
path, look_file, *results = sys.argv[1:]
frame = read_image(path)
for look in (Look.shipped("smoky"), Look.load(look_file)):
    for strength in (1.0, {"lips": 0.5}):
        engine = MakeupEngine(look, strength=strength, threads=1)
        np.save(results.pop(0), engine.process(frame))
"""


@pytest.fixture(scope="module")
def expected(place: Path, look: Look) -> list[Image]:
    """What the engine makes of medium.jpg with the server's numpy: smoky, then the red look; each
    whole, and the lips alone at half strength. (Numbers of numpy 1 and 2 differ in the last bit.)
    """
    look.save(place / "red.look")
    results = [place / f"{number}.npy" for number in range(4)]
    command = [sys.executable, "-c", _ENGINE, DEMO / "medium.jpg", place / "red.look", *results]
    environment = {**os.environ, "PYTHONPATH": server_path()}
    subprocess.run(list(map(str, command)), env=environment, check=True, timeout=120)
    return [np.load(path) for path in results]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_engines_bytes(
    server: Server,
    demo: Callable[[str], Image],
    look: Look,
    expected: list[Image],
    protocol: str,
) -> None:
    frame = demo("medium.jpg")
    address = {"grpc": server.grpc, "http": server.http}[protocol]
    with TritonMakeup(address, protocol=protocol) as client:
        assert client.ready()
        for worn, (whole, lips) in (("smoky", expected[:2]), (look, expected[2:])):
            np.testing.assert_array_equal(client.process(frame, worn), whole)
            np.testing.assert_array_equal(client.process(frame, worn, {"lips": 0.5}), lips)
        data, faces = client.process_photo(file_of("medium.jpg"), "smoky", format="png")
        assert [(face["status"], face["painted"]) for face in faces] == [("ok", True)]
        np.testing.assert_array_equal(decode_photo(data, "made").image, expected[0])
        with pytest.raises(MakeupError, match="look: got 'none'; "):
            client.process(frame, "none")
        with pytest.raises(InvalidInputError, match="expected uint8"):
            client.process(frame.astype(np.float32), "smoky")  # type: ignore[arg-type]


_CLIENT = """
import sys
from makeup_kernels.files import sha256
from makeup_sdk import MakeupError, read_image
from makeup_sdk.serving.client import TritonMakeup
address, path, count = sys.argv[1:]
frame, digests, errors = read_image(path), set(), 0
with TritonMakeup(address, timeout=20) as client:
    for number in range(int(count)):
        try:
            digests.add(sha256(client.process(frame, "smoky").tobytes()))
        except MakeupError:
            errors += 1
        print(number, flush=True)
print(len(digests), *digests, errors, flush=True)
"""


def start_client(address: str, count: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _CLIENT, address, str(DEMO / "medium.jpg"), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes_and_a_reload(server: Server, expected: list[Image]) -> None:
    """Three clients at once, while the model is loaded anew: every answer is the engine's."""
    import tritonclient.grpc as triton

    clients = [start_client(server.grpc, 12) for _ in range(3)]
    first = clients[0].stdout
    assert first is not None
    assert first.readline() == "0\n"
    control = triton.InferenceServerClient(server.grpc)
    control.load_model("makeup")
    assert control.is_model_ready("makeup")
    control.close()
    for client in clients:
        out, _ = client.communicate(timeout=120)
        assert out.splitlines()[-1] == f"1 {sha256(expected[0].tobytes())} 0"


def test_killed_under_load_and_started_again(
    place: Path, demo: Callable[[str], Image], expected: list[Image]
) -> None:
    """Clients get errors, none hangs, and the next server answers as the first."""
    running = Server(place / "repository", place, "second", "makeup").wait()
    client = start_client(running.grpc, 2000)
    assert client.stdout is not None
    assert client.stdout.readline() == "0\n"
    running.kill()
    out, _ = client.communicate(timeout=120)
    last = out.splitlines()[-1].split()
    assert last[:2] == ["1", sha256(expected[0].tobytes())]
    assert int(last[2]) > 0
    with TritonMakeup(running.grpc, timeout=5) as lost:
        assert not lost.ready()
        with pytest.raises(MakeupError):
            lost.process(demo("medium.jpg"), "smoky")
    again = Server(place / "repository", place, "third", "makeup")
    with again, TritonMakeup(again.grpc) as other:
        np.testing.assert_array_equal(other.process(demo("medium.jpg"), "smoky"), expected[0])


def test_nobody_there(demo: Callable[[str], Image]) -> None:
    (port,) = free_ports(1)
    for protocol in ("grpc", "http"):
        with TritonMakeup(f"127.0.0.1:{port}", protocol=protocol, timeout=5) as client:
            assert not client.ready()
            with pytest.raises(MakeupError, match=f"127.0.0.1:{port}: "):
                client.process(demo("light.jpg"), "smoky")


def test_without_tritonclient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tritonclient.utils", None)
    with pytest.raises(MakeupError, match=r"pip install '\.\[triton-server\]'"):
        TritonMakeup("127.0.0.1:8001")
    with pytest.raises(InvalidInputError, match="protocol: 'ftp' is unknown"):
        TritonMakeup("127.0.0.1:8001", protocol="ftp")
