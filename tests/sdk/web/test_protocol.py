"""Connections to a real server: incomplete, huge, or too many."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra")

import uvicorn

from makeup_sdk.web.limits import Limits
from makeup_sdk.web.places import is_loopback
from makeup_sdk.web.protocol import bounded_protocol

LIMITS = Limits(header_seconds=0.3, header_bytes=1 << 14, connections_per_address=2)


async def hello(scope, receive, send) -> None:
    if scope["type"] == "http":
        body = scope["path"].encode()
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})


def serving(limits: Limits) -> Iterator[tuple[str, int]]:
    config = uvicorn.Config(
        hello,
        http=bounded_protocol(limits),
        h11_max_incomplete_event_size=limits.header_bytes,
        lifespan="off",
        log_level="critical",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        yield listener.getsockname()
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[str, int]]:
    yield from serving(LIMITS)


def talk(place: tuple[str, int], *parts: bytes) -> bytes:
    """Send, then read until the server closes."""
    with socket.create_connection(place, 20) as raw:
        try:
            for part in parts:
                raw.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return everything(raw)


def everything(raw: socket.socket) -> bytes:
    found = b""
    try:
        while part := raw.recv(65536):
            found += part
    except ConnectionResetError:  # it closed before it had read all
        pass
    return found


def until(raw: socket.socket, ending: bytes) -> bytes:
    """Read up to an ending that the server sends."""
    found = b""
    while not found.endswith(ending):
        part = raw.recv(1000)
        assert part, found
        found += part
    return found


@pytest.mark.parametrize(
    "half",
    [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /"],
)
def test_headers_that_do_not_end(place: tuple[str, int], half: bytes) -> None:
    answer = talk(place, half)
    head, _, body = answer.rpartition(b"\r\n\r\n")
    assert b"408 Request Timeout" in head
    assert json.loads(body) == {"error": "header too slow"}


@pytest.mark.parametrize(
    ("head", "filling"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"y" * 6),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X: y\r\n"),
        (b"GET /", b"y" * 6),
    ],
    ids=["one header", "many headers", "address"],
)
def test_headers_of_300_mb_are_refused_at_once(
    place: tuple[str, int], head: bytes, filling: bytes
) -> None:
    """The server reads a little more than the limit, and closes."""
    part = filling * (1 << 14)
    sent = 0
    with socket.create_connection(place, 20) as raw:
        try:
            raw.sendall(head)
            while sent < 300 << 20:
                raw.sendall(part)
                sent += len(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        everything(raw)
    assert sent < 16 << 20  # what fits into buffers of the system


def test_what_is_no_http_gets_the_one_shape_of_errors(place: tuple[str, int]) -> None:
    head, _, body = talk(place, b"\x16\x03\x01 hello\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert set(json.loads(body)) == {"error"}


def test_whole_requests_are_served_one_after_another() -> None:
    one = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
    for place in serving(Limits()):
        with socket.create_connection(place, 20) as raw:
            for name in (b"a", b"b"):
                raw.sendall(one % name)
                assert until(raw, b"/" + name).startswith(b"HTTP/1.1 200 OK")
            raw.sendall(one % b"c" + one % b"d")
            assert until(raw, b"/d").count(b"200 OK") == 2


@pytest.mark.parametrize("loopback", [True, False])
def test_connections_of_one_address(monkeypatch: pytest.MonkeyPatch, loopback: bool) -> None:
    monkeypatch.setattr("makeup_sdk.web.protocol.is_loopback", lambda _: loopback)
    limits = Limits(connections_per_address=2)
    for place in serving(limits):
        held = [socket.create_connection(place, 20) for _ in range(2)]
        for raw in held:  # both are served, so both are counted
            raw.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
            assert raw.recv(15) == b"HTTP/1.1 200 OK"
        closing = b"GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        answer = talk(place, closing)
        assert (b"200 OK" in answer) is loopback
        assert (b'{"error": "too many connections; try again in a moment"}' in answer) != loopback
        for raw in held:
            raw.sendall(closing)
            everything(raw)
            raw.close()
        assert b"200 OK" in talk(place, closing)


def test_connections_in_all() -> None:
    closing = b"GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    for place in serving(Limits(connections=1)):
        with socket.create_connection(place, 20) as held:
            held.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
            assert held.recv(15) == b"HTTP/1.1 200 OK"
            assert b"503 Service Unavailable" in talk(place, closing)
            held.sendall(closing)
            everything(held)
        assert b"200 OK" in talk(place, closing)


def test_loopback_addresses() -> None:
    addresses = {"127.0.0.1": True, "127.9.9.9": True, "::1": True, "192.168.1.5": False, "": False}
    assert {address: is_loopback(address) for address in addresses} == addresses
