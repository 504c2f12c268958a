"""Live sessions that move between replicas, and refused ones."""

import base64
import json
import re

import numpy as np
import pytest
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketTestSession

from makeup_kernels import InvalidInputError
from makeup_sdk.faces.memory import Memory
from makeup_sdk.web.app import create_app
from makeup_sdk.web.session import Sessions

from .test_live import HOST, parts

KEY = "0123456789abcdef"
RED = {"colors": {"lips": "#c00020"}}
OUTFIT = bytes(range(32))
REFUSED = "session: damaged, or sealed with another key or by another version; a new one begins"


class Clock:
    """Seconds that a test sets."""

    time = 1000.0

    def __call__(self) -> float:
        return self.time


def memory() -> Memory:
    kept = Memory()
    kept.put("speed", [1.0, 2.0])
    return kept


def test_another_replica_opens_what_one_has_sealed() -> None:
    clock = Clock()
    text = Sessions(KEY, 30, clock).seal(memory(), OUTFIT)
    clock.time += 2.5
    moved = Sessions(KEY, 30, clock).open(text)
    assert (moved.outfit, moved.age) == (OUTFIT, 2.5)
    np.testing.assert_array_equal(moved.memory.take("speed", (2,)), [1, 2])


@pytest.mark.parametrize("key", ["0123456789abcdeg", None])
def test_another_key_is_refused(key: str | None) -> None:
    with pytest.raises(InvalidInputError, match=REFUSED):
        Sessions(KEY, 30).open(Sessions(key, 30).seal(memory(), OUTFIT))


def test_every_changed_byte_is_refused() -> None:
    sessions = Sessions(KEY, 30)
    sealed = base64.b64decode(sessions.seal(memory(), OUTFIT))
    for place in range(len(sealed)):
        forged = bytearray(sealed)
        forged[place] ^= 1
        with pytest.raises(InvalidInputError, match=REFUSED):
            sessions.open(base64.b64encode(forged).decode())


@pytest.mark.parametrize("text", ["", "AAAA", "no base64!", "é", "A" * 43 + "="])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=REFUSED):
        Sessions(KEY, 30).open(text)


@pytest.mark.parametrize(("age", "told"), [(30.5, "30 s old"), (-6.0, "-6 s old")])
def test_too_old_or_from_the_future(age: float, told: str) -> None:
    clock = Clock()
    sessions = Sessions(KEY, 30, clock)
    text = sessions.seal(memory(), OUTFIT)
    clock.time += age
    with pytest.raises(InvalidInputError, match=f"session: {told}, expected at most 30 s"):
        sessions.open(text)


def test_a_clock_that_is_a_little_behind() -> None:
    clock = Clock()
    sessions = Sessions(KEY, 30, clock)
    text = sessions.seal(memory(), OUTFIT)
    clock.time -= 4
    assert sessions.open(text).age == 0


def test_a_short_key() -> None:
    with pytest.raises(InvalidInputError, match="session key: 3 characters, expected at least 16"):
        create_app(session_key="abc")


def replica(key: str | None = KEY) -> TestClient:
    return TestClient(create_app(threads=1, session_key=key), base_url="http://localhost:8000")


def sessions_of(socket: WebSocketTestSession, photo: bytes, frames: int) -> list[str | None]:
    found = []
    for _ in range(frames):
        socket.send_bytes(photo)
        found.append(parts(socket.receive_bytes())[0].get("session"))
    return found


def test_sessions_are_told_to_those_who_ask(client: TestClient, photo: bytes) -> None:
    with client.websocket_connect("/v1/live", headers=HOST) as socket:
        socket.send_text(json.dumps(RED))
        assert sessions_of(socket, photo, 2) == [None, None]
        socket.send_text(json.dumps({**RED, "session": ""}))
        (session,) = sessions_of(socket, photo, 1)
    assert session is not None
    assert 20_000 < len(session) < 110_000


def test_refused_sessions_are_answered_and_a_new_one_begins(
    client: TestClient, photo: bytes
) -> None:
    with client.websocket_connect("/v1/live", headers=HOST) as socket:
        socket.send_text(json.dumps({**RED, "session": "A" * 400}))
        assert socket.receive_json() == {"error": REFUSED}
        socket.send_bytes(photo)
        header, _ = parts(socket.receive_bytes())
    assert [face["painted"] for face in header["faces"]] == [True]
    assert header["session"]
    stranger = replica(None)
    with stranger.websocket_connect("/v1/live", headers=HOST) as socket:
        socket.send_text(json.dumps({**RED, "session": header["session"]}))
        assert socket.receive_json() == {"error": REFUSED}


def test_what_is_no_memory_is_refused_even_with_the_key(photo: bytes) -> None:
    text = Sessions(KEY, 30).seal(memory(), OUTFIT)
    with replica().websocket_connect("/v1/live", headers=HOST) as socket:
        socket.send_text(json.dumps({**RED, "session": text}))
        assert re.match("memory: no tracker/", socket.receive_json()["error"])
        assert sessions_of(socket, photo, 1) != [None]


def test_a_session_goes_on_at_another_replica(photo: bytes) -> None:
    """The face keeps an id that a new session would not give it."""
    with replica().websocket_connect("/v1/live", headers=HOST) as socket:
        socket.send_text(json.dumps({**RED, "session": ""}))
        (session,) = sessions_of(socket, photo, 1)
    assert session is not None
    kept = Sessions(KEY, 30).open(session)
    kept.memory.below("tracker").put("next id", 8)
    kept.memory.below("tracker/0").put("id", 7)
    moved = Sessions(KEY, 30).seal(kept.memory, kept.outfit)
    with replica().websocket_connect("/v1/live", headers=HOST) as socket:
        socket.send_text(json.dumps({**RED, "session": moved}))
        socket.send_bytes(photo)
        header, _ = parts(socket.receive_bytes())
    assert [face["id"] for face in header["faces"]] == [7]
