import json

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

RED_LIPS = {"colors": {"lips": "#c00020"}}
HOST = {"host": "localhost:8000"}


def parts(message: bytes) -> tuple[dict, np.ndarray]:
    length = int.from_bytes(message[:4], "big")
    header = json.loads(message[4 : 4 + length])
    return header, cv2.imdecode(np.frombuffer(message[4 + length :], np.uint8), cv2.IMREAD_COLOR)


def test_frames_come_back_made_up(client: TestClient, photo: bytes) -> None:
    with client.websocket_connect("/v1/live", headers=HOST) as socket:
        socket.send_text(json.dumps(RED_LIPS))
        for _ in range(12):
            socket.send_bytes(photo)
            header, image = parts(socket.receive_bytes())
    assert header["faces"] == [{"id": header["faces"][0]["id"], "status": "ok", "painted": True}]
    assert header["dropped"] == 0
    assert header["milliseconds"] > 0
    before = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR).astype(int)
    redder = (image[..., 2].astype(int) - image[..., 1]) - (before[..., 2] - before[..., 1])
    assert redder.max() > 40
    assert np.abs(image[:60, :60].astype(int) - before[:60, :60]).mean() < 3


def test_without_an_outfit_faces_stay_bare(client: TestClient, photo: bytes) -> None:
    with client.websocket_connect("/v1/live", headers=HOST) as socket:
        socket.send_bytes(photo)
        header, _ = parts(socket.receive_bytes())
    assert [face["painted"] for face in header["faces"]] == [False]


def test_nonsense_is_answered_then_closed(client: TestClient) -> None:
    with client.websocket_connect("/v1/live", headers=HOST) as socket:
        for text, message in (
            ("{", "Invalid JSON"),
            ('{"nose": 1}', "Extra inputs"),
            ('{"look": {"gallery": "x"}}', "no look 'x'"),
        ):
            socket.send_text(text)
            assert message in socket.receive_json()["error"]
        socket.send_bytes(b"no picture")
        assert "not a JPEG, PNG or WebP" in socket.receive_json()["error"]
        for _ in range(16):
            socket.send_text("{")
            socket.receive_json()
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert closed.value.code == 1008


def test_places_are_bounded_and_given_back(client: TestClient) -> None:
    for _ in range(2):
        with (
            client.websocket_connect("/v1/live", headers=HOST),
            client.websocket_connect("/v1/live", headers=HOST),
            client.websocket_connect("/v1/live", headers=HOST) as third,
        ):
            with pytest.raises(WebSocketDisconnect) as closed:
                third.receive_bytes()
            assert closed.value.code == 1013


def test_foreign_pages_cannot_open_a_socket(client: TestClient) -> None:
    foreign = {**HOST, "origin": "http://evil.example"}
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/v1/live", headers=foreign),
    ):
        pass
