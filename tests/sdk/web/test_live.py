import asyncio
import base64
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import anyio
import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from makeup_sdk import FaceAnalysis, Look, MakeupEngine
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.makeup.references import References
from makeup_sdk.web import live
from makeup_sdk.web.app import create_app
from makeup_sdk.web.limits import Limits
from makeup_sdk.web.live import LiveClient
from makeup_sdk.web.places import Places
from makeup_sdk.web.session import Sessions
from makeup_sdk.web.studio import Studio

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
    (face,) = header["faces"]
    assert (face["status"], face["painted"]) == ("ok", True)
    x0, y0, x1, y1 = face["box"]
    assert 0.2 < x0 < 0.5 < x1 < 0.8
    assert 0.2 < y0 < 0.5 < y1 < 1
    assert header["skin"] == "medium"
    assert header["dropped"] == 0
    assert header["milliseconds"] > 0
    before = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR).astype(int)
    redder = (image[..., 2].astype(int) - image[..., 1]) - (before[..., 2] - before[..., 1])
    assert redder.max() > 40
    assert np.abs(image[:60, :60].astype(int) - before[:60, :60]).mean() < 3


def test_another_model_from_one_frame_to_the_next(client: TestClient, photo: bytes) -> None:
    look = {"look": {"gallery": "red-classic"}}
    images = []
    with client.websocket_connect("/v1/live", headers=HOST) as socket:
        for model in ("mobile", "psgan", "mobile"):
            socket.send_text(json.dumps({**look, "model": model}))
            for _ in range(12):
                socket.send_bytes(photo)
                header, image = parts(socket.receive_bytes())
            images.append(image.astype(int))
        socket.send_text(json.dumps({**look, "model": "/etc/passwd"}))
        assert "is unknown here" in socket.receive_json()["error"]
    assert [face["painted"] for face in header["faces"]] == [True]
    other, again = (np.abs(images[0] - images[i]).mean() for i in (1, 2))
    assert 0 <= again < other / 4


def test_one_face_of_several_wears_the_look(client: TestClient, photo: bytes) -> None:
    frame = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    pair = cv2.imencode(".jpg", np.hstack([frame, frame[:, ::-1]]))[1].tobytes()
    painted = []
    with client.websocket_connect("/v1/live", headers=HOST) as socket:
        for face in (None, 0, 1, None):
            socket.send_text(json.dumps({**RED_LIPS, "face": face}))
            for _ in range(12):  # looks cross-fade
                socket.send_bytes(pair)
                header, _ = parts(socket.receive_bytes())
            painted.append({one["id"] for one in header["faces"] if one["painted"]})
        socket.send_text(json.dumps({**RED_LIPS, "face": "left"}))
        assert socket.receive_json()["error"].startswith("face")
    assert painted == [{0, 1}, {0}, {1}, {0, 1}]


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


def png(width: int, height: int) -> bytes:
    return cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))[1].tobytes()


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (png(65536, 1), "65536x1 pixels; send at most 16000 on a side"),
        (png(1, 16001), "1x16001 pixels; send at most 16000 on a side"),
        (b"", "not a JPEG, PNG or WebP"),
        (b"x" * (5 << 20), "message: 5242880 bytes; send at most 4194304"),
    ],
)
def test_every_frame_is_answered(
    client: TestClient, photo: bytes, picture: bytes, message: str
) -> None:
    with client.websocket_connect("/v1/live", headers=HOST) as socket:
        socket.send_bytes(picture)
        assert message in socket.receive_json()["error"]
        socket.send_bytes(photo)
        assert len(parts(socket.receive_bytes())[0]["faces"]) == 1


def test_the_api_refuses_what_no_jpeg_can_hold(client: TestClient) -> None:
    image = base64.b64encode(png(65536, 1)).decode()
    answer = client.post("/v1/apply", json={"image": image, "outfit": {}})
    assert answer.status_code == 422
    assert "65536x1 pixels" in answer.json()["error"]


def test_a_failure_of_the_server_is_answered(
    client: TestClient, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with client.websocket_connect("/v1/live", headers=HOST) as socket:
        with monkeypatch.context() as patch:
            patch.setattr("makeup_sdk.web.live.open_picture", fail)
            socket.send_bytes(photo)
            assert "the server failed at this message" in socket.receive_json()["error"]
        socket.send_bytes(photo)
        assert socket.receive_bytes()


@pytest.mark.parametrize("text", ['{"%s": 1}' % ("n" * 100_000), '{"a\\u001b[31m": 1}'])
def test_unknown_keys_are_not_echoed_whole(client: TestClient, text: str) -> None:
    with client.websocket_connect("/v1/live", headers=HOST) as socket:
        socket.send_text(text)
        error = socket.receive_json()["error"]
    assert error.endswith("Extra inputs are not permitted")
    assert len(error) < 100
    assert error.isprintable()
    answer = client.post("/v1/apply", content=text)
    assert answer.status_code == 422
    assert len(answer.json()["error"]) < 100


def test_lists_without_end_are_not_parsed(client: TestClient) -> None:
    for text in ("[" * 100_000, '{"a": [' + "{}," * 100_000 + "1]}"):
        answer = client.post("/v1/apply", content=text)
        assert answer.status_code == 422
        assert answer.json()["error"] == "body: more than 1000 values, which no request has"


def test_idle_sockets_give_their_place_back(photo: bytes) -> None:
    limits = Limits(clients=1, idle_seconds=0.05)
    with TestClient(create_app(limits=limits, threads=1), base_url="http://localhost") as client:
        for _ in range(2):
            with client.websocket_connect("/v1/live", headers=HOST) as socket:
                with pytest.raises(WebSocketDisconnect) as closed:
                    socket.receive_bytes()
                assert (closed.value.code, closed.value.reason[:4]) == (4408, "idle")


def test_who_waits_for_an_answer_is_not_idle(photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer takes longer than three times the limit."""
    answers: list[bool] = []
    go_on = threading.Event()
    is_idle, open_picture = LiveClient._is_idle, live.open_picture

    def counted(self: LiveClient) -> bool:
        answers.append(is_idle(self))
        if len(answers) == 3:
            go_on.set()
        return answers[-1]

    def stuck(*arguments: object) -> np.ndarray:
        assert go_on.wait(60)
        return open_picture(*arguments)

    monkeypatch.setattr(LiveClient, "_is_idle", counted)
    monkeypatch.setattr(live, "open_picture", stuck)
    app = create_app(limits=Limits(idle_seconds=0.3), threads=1)
    with (
        TestClient(app, base_url="http://localhost") as client,
        client.websocket_connect("/v1/live", headers=HOST) as socket,
    ):
        socket.send_bytes(photo)
        assert parts(socket.receive_bytes())[0]["faces"]
    assert answers[:3] == [False, False, False]


class Leaver:
    """A socket whose client leaves at once, while a frame of theirs is being worked on."""

    client = None

    def __init__(self) -> None:
        self._messages = [{"type": "websocket.receive", "bytes": b"frame"}]

    async def accept(self) -> None:
        pass

    async def receive(self) -> dict:
        if self._messages:
            return self._messages.pop()
        await anyio.sleep(0.05)
        return {"type": "websocket.disconnect"}


def test_a_server_that_stops_while_a_client_leaves_stops_quietly() -> None:
    """What cancels a client that is on its way out gets its own cancellation back."""
    scopes: list[anyio.CancelScope] = []

    class Frame(asyncio.Future):
        """One in work; the server stops at the moment when it is given up."""

        def cancel(self, msg: str | None = None) -> bool:
            asyncio.get_running_loop().call_soon(scopes[0].cancel)
            return super().cancel(msg)

    class Busy:
        async def run(self, function: Callable, *arguments: object) -> object:
            return await Frame() if arguments else function()

    engine = MakeupEngine(threads=1)
    studio = SimpleNamespace(engine=lambda: engine)

    async def stop() -> bool:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            await LiveClient(
                Leaver(), studio, Limits(), Places(1, 1), Busy(), Sessions(None, 30)
            ).serve()
        return scope.cancelled_caught

    assert anyio.run(stop)


def test_one_address_gets_a_few_places() -> None:
    limits = Limits(clients=9, clients_per_address=1)
    app = create_app(limits=limits, threads=1)
    with TestClient(app, base_url="http://localhost") as client:
        with (
            client.websocket_connect("/v1/live", headers=HOST),
            client.websocket_connect("/v1/live", headers=HOST) as second,
            pytest.raises(WebSocketDisconnect) as closed,
        ):
            second.receive_bytes()
        assert closed.value.code == 1013
        with client.websocket_connect("/v1/live", headers=HOST) as again:
            again.send_text("{")
            assert "Invalid JSON" in again.receive_json()["error"]


def test_engines_share_the_model_and_are_made_for_those_who_have_a_place(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[MakeupEngine] = []
    real = Studio.engine

    def counted(studio: Studio) -> MakeupEngine:
        made.append(real(studio))
        return made[-1]

    monkeypatch.setattr(Studio, "engine", counted)
    with (
        client.websocket_connect("/v1/live", headers=HOST) as first,
        client.websocket_connect("/v1/live", headers=HOST) as second,
        client.websocket_connect("/v1/live", headers=HOST) as third,
    ):
        for socket in (first, second):  # an answer means that there is an engine
            socket.send_text("{")
            socket.receive_json()
        with pytest.raises(WebSocketDisconnect):
            third.receive_bytes()
    assert len(made) == 2
    assert made[0].model is made[1].model
    assert made[0].analyzer is made[1].analyzer


def test_putting_a_look_on_leaves_the_event_loop_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one client's look is read, which never ends here, another one is served."""
    reading, go_on = threading.Event(), threading.Event()
    real = Look.made_for

    def stuck(look: Look, model: object) -> Look:
        reading.set()
        assert go_on.wait(60)
        return real(look, model)

    app = create_app(limits=Limits(), threads=1)
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/v1/looks").status_code == 200
        monkeypatch.setattr(Look, "made_for", stuck)
        with client.websocket_connect("/v1/live", headers=HOST) as socket:
            socket.send_text('{"look": {"gallery": "red-classic"}}')
            assert reading.wait(60)
            assert client.get("/v1/looks").status_code == 200
            go_on.set()


def test_look_files_hold_a_few_faces(
    client: TestClient, analysis: Callable[[str], FaceAnalysis]
) -> None:
    face = analysis("medium.jpg")
    blank = replace(face, crop=np.zeros_like(face.crop), regions=np.zeros_like(face.regions))
    references = References.of(face, *[blank] * 15)
    look = Look(references, frozenset(MAKEUP_REGIONS), "many", references)
    file = base64.b64encode(look.to_bytes()).decode()
    with client.websocket_connect("/v1/live", headers=HOST) as socket:
        socket.send_text(json.dumps({"look": {"file": file}}))
        assert socket.receive_json()["error"] == ("look.file: made of 16 photos; send at most 4")
