from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from fastapi.testclient import TestClient

from makeup_sdk import Look

Demo = Callable[[str], str]


@pytest.fixture
def client(example: Callable[[str], ModuleType], tmp_path: Path) -> TestClient:
    Look.from_colors(lips="#b3123a").save(tmp_path / "red.look")
    Look.from_colors(lips="#5b2145", eyes="#205070").save(tmp_path / "plum.look")
    return TestClient(example("fastapi_service/service").create_app(tmp_path))


def test_lists_its_looks(client: TestClient) -> None:
    assert client.get("/looks").json() == ["plum", "red"]


def test_try_on(client: TestClient, demo: Demo) -> None:
    photo = Path(demo("medium")).read_bytes()
    bare = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR).astype(int)
    change = {}
    for strength in (0, 0.5, 1):
        answer = client.post(f"/try-on?look=red&strength={strength}", content=photo)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["x-faces"] == ("1" if strength else "0")
        image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == bare.shape
        change[strength] = np.abs(image - bare).sum()
    assert change[0] < change[0.5] < change[1]


@pytest.mark.parametrize(
    ("query", "content", "status", "message"),
    [
        ("look=green", b"x", 404, "no look 'green'; there are plum, red"),
        ("look=red", b"no picture", 422, "photo: not an image that can be read"),
        ("look=red", bytes((8 << 20) + 1), 413, "send at most 8388608 bytes"),
    ],
)
def test_refusals(
    client: TestClient, query: str, content: bytes, status: int, message: str
) -> None:
    answer = client.post(f"/try-on?{query}", content=content)
    assert answer.status_code == status
    assert message in answer.json()["detail"]


def test_strength_out_of_range(client: TestClient) -> None:
    assert client.post("/try-on?look=red&strength=1.5", content=b"x").status_code == 422
