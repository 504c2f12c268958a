"""The example service on Ray Serve answers with the engine's bytes."""

import select
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from makeup_sdk import Look, MakeupEngine, read_image

pytest.importorskip("ray.serve", reason="needs ray[serve]")
pytest.importorskip("fastapi", reason="needs the serve extra")

FOLDER = Path(__file__).parents[2] / "examples" / "ray_serve"

_SERVE = """
import sys
import ray
from ray import serve
folder, looks, port = sys.argv[1:]
sys.path.insert(0, folder)
ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=80 << 20,
         log_to_driver=False, logging_level="ERROR")
serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
from serve_app import TryOn
serve.run(TryOn.bind(looks), route_prefix="/")
print("up", flush=True)
sys.stdin.readline()
serve.shutdown()
ray.shutdown()
"""


def test_answers_are_the_engines(tmp_path: Path, demo: Callable[[str], str]) -> None:
    red = Look.from_colors(lips="#b3123a")
    (tmp_path / "looks").mkdir()
    red.save(tmp_path / "looks" / "red.look")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(FOLDER), str(tmp_path / "looks"), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], 240)
        assert ready
        assert process.stdout.readline() == b"up\n"
        photo = Path(demo("medium")).read_bytes()
        address = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(f"{address}/looks", timeout=60) as answer:
            assert answer.read() == b'["red"]'
        with urllib.request.urlopen(f"{address}/try-on?look=red", photo, timeout=60) as answer:
            assert answer.headers["x-faces"] == "1"
            made = answer.read()
        engine = MakeupEngine(red)
        expected = cv2.imencode(".jpg", engine.process(read_image(demo("medium"))))[1].tobytes()
        assert made == expected
    finally:
        process.communicate(b"\n", timeout=60)
        assert process.returncode == 0
