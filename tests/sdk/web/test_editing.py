"""Editing over the API: swapped parts, the label, drawings on it."""

import base64

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from makeup_sdk import PortraitEditor
from makeup_sdk.models.papers.portrait_label import PALETTE, read_label
from makeup_sdk.web import editing
from makeup_sdk.web.app import create_app
from makeup_sdk.web.limits import Limits

from .conftest import DEMO

LOWER_LIP = 9


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decode(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def png(image: np.ndarray) -> str:
    return b64(cv2.imencode(".png", image)[1].tobytes())


@pytest.fixture(scope="module")
def editor() -> PortraitEditor:
    return PortraitEditor(threads=1)


@pytest.fixture(scope="module")
def reference() -> bytes:
    return (DEMO / "red-classic.jpg").read_bytes()


def test_what_can_be_edited(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    told = client.get("/v1/editing").json()
    assert told["parts"] == ["skin", "eyes", "mouth", "hair"]
    colors = {one["name"]: one["color"] for one in told["classes"]}
    assert colors["lower_lip"] == "#96005a"
    assert colors["hair"] == "#3ca03c"
    assert "background" not in colors
    monkeypatch.setattr(editing, "shipped_names", list)
    assert client.get("/v1/editing").json() == {"parts": [], "classes": []}


def test_parts_and_label_are_those_of_the_editor(
    client: TestClient, photo: bytes, reference: bytes, editor: PortraitEditor
) -> None:
    image = decode(photo)
    for part in ("mouth", "hair"):
        request = {"image": b64(photo), "parts": {part: b64(reference)}, "format": "png"}
        answer = client.post("/v1/edit", json=request)
        assert answer.headers["content-type"] == "image/png"
        expected = editor.edit(image, {part: decode(reference)})
        np.testing.assert_array_equal(decode(answer.content), expected)
    label = decode(client.post("/v1/label", json={"image": b64(photo)}).content)
    np.testing.assert_array_equal(read_label(label, image.shape[:2]), editor.label(image))


@pytest.mark.parametrize("scale", [1, 0.5])
def test_what_is_drawn_goes_over_the_label(
    client: TestClient, photo: bytes, editor: PortraitEditor, scale: float
) -> None:
    """Of any size, and the face keeps its own label where nothing is drawn."""
    image = decode(photo)
    label = editor.label(image)
    lip = (label == LOWER_LIP).astype(np.uint8)
    fuller = (cv2.dilate(lip, np.ones((9, 9), np.uint8)) > 0) & (label == 1)
    drawing = np.zeros((*label.shape, 4), np.uint8)
    drawing[fuller] = (*PALETTE[LOWER_LIP][::-1], 255)
    small = cv2.resize(drawing, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    request = {"image": b64(photo), "label": png(small), "format": "png"}
    edited = decode(client.post("/v1/edit", json=request).content)
    redrawn = cv2.resize(small, label.shape[::-1], interpolation=cv2.INTER_NEAREST)[..., 3] > 0
    label[redrawn] = LOWER_LIP
    np.testing.assert_array_equal(edited, editor.edit(image, label=label))
    changed = np.abs(edited.astype(int) - image).max(axis=2) > 8
    assert changed.any()
    assert not changed[: image.shape[0] // 2].any()


def test_a_drawing_without_alpha_is_the_whole_label(client: TestClient, photo: bytes) -> None:
    whole = client.post("/v1/label", json={"image": b64(photo)}).content
    request = {"image": b64(photo), "label": b64(whole), "format": "png"}
    np.testing.assert_array_equal(
        decode(client.post("/v1/edit", json=request).content), decode(photo)
    )


def test_the_face_at_a_point_is_edited(client: TestClient, photo: bytes, reference: bytes) -> None:
    pair = np.hstack([decode(photo), decode((DEMO / "dark.jpg").read_bytes())])
    width = pair.shape[1] // 2
    for x in (0.25, 0.75):
        request = {"image": png(pair), "parts": {"mouth": b64(reference)}, "face": [x, 0.5]}
        answer = client.post("/v1/edit", json={**request, "format": "png"})
        changed = (decode(answer.content) != pair).any(axis=2)
        assert (changed[:, :width].any(), changed[:, width:].any()) == (x < 0.5, x > 0.5)


def test_refusals(client: TestClient, photo: bytes, reference: bytes) -> None:
    blank = png(np.full((90, 90, 3), 128, np.uint8))
    stray = np.random.default_rng(0).integers(0, 255, (90, 90, 3)).astype(np.uint8)
    whole = {"image": b64(photo)}
    for path, body, message in (
        ("edit", whole, "edit: give parts, a label, or both"),
        ("edit", {**whole, "parts": {"ears": blank}}, "parts.ears"),
        ("edit", {**whole, "parts": {"mouth": "?"}}, "mouth: not base64"),
        ("edit", {**whole, "parts": {"mouth": blank}}, "mouth: no face found"),
        ("edit", {**whole, "label": b64(b"no picture")}, "picture: not a JPEG, PNG or WebP file"),
        ("edit", {**whole, "label": png(stray)}, "have colours that stand for nothing"),
        ("edit", {"image": blank, "parts": {"eyes": b64(reference)}}, "image: no face found"),
        ("label", {"image": blank}, "image: no face found"),
        ("label", {**whole, "face": [0, 2]}, "face.1"),
    ):
        answer = client.post(f"/v1/{path}", json=body)
        assert answer.status_code == 422, message
        assert message in answer.json()["error"]


def test_drawings_are_bounded(photo: bytes) -> None:
    limits = Limits(label_pixels=100 * 100)
    client = TestClient(create_app(limits=limits, threads=1), base_url="http://localhost:8000")
    drawing = png(np.zeros((101, 100, 4), np.uint8))
    answer = client.post("/v1/edit", json={"image": b64(photo), "label": drawing})
    assert answer.json()["error"] == "picture: too large; send at most 10000 pixels"
