"""The guard middleware around a minimal app."""

import asyncio
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="needs the serve extra")

from makeup_sdk import InvalidInputError
from makeup_sdk.web.guard import Guard, GuardOptions
from makeup_sdk.web.limits import Limits
from makeup_sdk.web.server import ServerOptions, TryOnServer

TOKEN = "s3cret"
LIMITS = Limits(body_bytes=200, requests=2, requests_per_address=1)
Answer = tuple[int, dict[str, str], bytes]


async def echo(scope, receive, send) -> None:
    """Reads the whole body and answers with its length."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RuntimeError("the client went away")
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def scope(headers: dict[str, str] | list[tuple[bytes, bytes]], **more: object) -> dict:
    if isinstance(headers, dict):
        headers = [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()]
    return {
        "type": "http",
        "method": "POST",
        "path": "/x",
        "query_string": b"",
        "headers": headers,
        "client": ("192.0.2.7", 1),
        **more,
    }


async def ask(guard: Guard, asked: dict, parts: list[bytes], *, ends: bool = True) -> Answer:
    sent: list[dict] = []
    left = list(parts)

    async def receive() -> dict:
        if left:
            body = left.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(left) or not ends}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict) -> None:
        sent.append(message)

    await guard(asked, receive, send)
    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert len(starts) == 1
    headers = {k.decode(): v.decode("latin-1") for k, v in starts[0]["headers"]}
    return starts[0]["status"], headers, b"".join(message.get("body", b"") for message in sent)


def open_guard(**options: object) -> Guard:
    return Guard(
        echo,
        GuardOptions(
            **{"loopback": False, "token": None, "origin": None, "limits": LIMITS, **options}
        ),
    )


def answer(guard: Guard, headers: dict | list, parts: list[bytes], **more: object) -> Answer:
    return asyncio.run(ask(guard, scope(headers, **more), parts))


@pytest.mark.parametrize(
    "token", ["", "  ", "abc", "a b c d", "x&y=zz", "caf\u00e9s", "\0" * 9, "x" * 201]
)
def test_tokens_that_protect_nothing(token: str) -> None:
    with pytest.raises(InvalidInputError, match="token: expected 4 to 200 characters"):
        open_guard(token=token)
    with pytest.raises(InvalidInputError, match=r"is a variable unset\?"):
        TryOnServer(ServerOptions(host="0.0.0.0", token=token))


@pytest.mark.parametrize(
    "origin", ["", "try.example", "ftp://a", "https://", "https://a/b", "https://["]
)
def test_origins_that_are_none(origin: str) -> None:
    with pytest.raises(InvalidInputError, match=r"expected one such as https://try\.example"):
        open_guard(origin=origin)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "try.example"}, 200),
        ({"host": "try.example", "origin": "https://try.example"}, 200),
        ({"host": "localhost:8000", "origin": "https://try.example"}, 200),
        ({"host": "localhost:8000", "origin": "http://localhost:8000"}, 200),
        ({"host": "other.example"}, 403),
        ({"host": "try.example", "origin": "https://other.example"}, 403),
        ({"host": "try.example", "origin": "https://["}, 403),
        ({"host": "["}, 403),
        ({}, 403),
    ],
)
def test_a_loopback_server_behind_a_proxy(headers: dict, status: int) -> None:
    guard = open_guard(loopback=True, origin="https://try.example")
    found, _, body = answer(guard, headers, [b"12345"])
    assert found == status
    assert body == b"5" if status == 200 else "refused" in json.loads(body)["error"]


@pytest.mark.parametrize("host", ["[", "[::1", "::1]", "", "//", "\u00bd"])
def test_malformed_hosts(host: str) -> None:
    status, _, body = answer(open_guard(), {"host": host}, [b""])
    assert (status, json.loads(body)) in (
        (400, {"error": "host missing or malformed"}),
        (200, 0),
    )


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    b"host",
                    b"origin",
                    b"authorization",
                    b"cookie",
                    b"content-length",
                    b"x",
                    b"accept",
                ]
            ),
            st.binary(max_size=40)
            | st.sampled_from([b"[", b"localhost", b"http://[", b"\xb2", b"-1", b"9" * 5000, b"5"]),
        ),
        max_size=6,
    ),
    st.binary(max_size=60),
    st.booleans(),
)
def test_no_header_ends_in_a_failure(
    headers: list[tuple[bytes, bytes]], query: bytes, loopback: bool
) -> None:
    guard = open_guard(loopback=loopback, token=TOKEN)
    status, _, body = answer(guard, headers, [b"x"], query_string=query)
    assert status in (400, 401, 403, 413)
    assert set(json.loads(body)) == {"error"}


def test_the_cookie_is_for_https_only_where_there_is_https() -> None:
    guard = open_guard(token=TOKEN)
    for scheme, secure in (("http", False), ("https", True)):
        query = {"query_string": b"token=s3cret", "scheme": scheme}
        status, headers, _ = answer(guard, {"host": "a"}, [b""], **query)
        assert status == 200
        assert ("; Secure" in headers["set-cookie"]) is secure


@pytest.mark.parametrize("parts", [[b"x" * 301], [b"x" * 200, b"x" * 200], [b"x"] * 400])
def test_a_body_without_a_length_is_refused_when_it_is_too_large(parts: list[bytes]) -> None:
    status, headers, body = answer(open_guard(), {"host": "a"}, parts)
    assert (status, json.loads(body)) == (
        413,
        {"error": "body too large: send at most 300 bytes"},
    )
    assert headers["connection"] == "close"


@pytest.mark.parametrize("length", ["301", "-1", "1e3", "\u00b2", "", "9" * 5000])
def test_lengths_that_are_refused_before_anything_is_read(length: str) -> None:
    async def never() -> dict:
        raise AssertionError("read on")

    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(open_guard()(scope({"host": "a", "content-length": length}), never, send))
    assert sent[0]["status"] == 413


def test_a_body_that_does_not_end_is_refused() -> None:
    guard = open_guard(limits=Limits(body_bytes=200, body_seconds=0.05))
    status, _, body = asyncio.run(ask(guard, scope({"host": "a"}), [b"half"], ends=False))
    assert (status, json.loads(body)["error"][:13]) == (408, "body too slow")


@pytest.mark.parametrize(
    ("others", "address", "status"),
    [
        (["192.0.2.7"], "192.0.2.7", 503),  # a second one of an address
        (["192.0.2.1"], "192.0.2.7", 200),
        (["192.0.2.1", "192.0.2.2"], "192.0.2.7", 503),  # a third one in all
        (["127.0.0.1"], "127.0.0.1", 200),  # a proxy may speak for many
    ],
)
def test_bodies_at_once(others: list[str], address: str, status: int) -> None:
    async def crowd() -> tuple[Answer, list[Answer]]:
        guard = open_guard()
        release = asyncio.Event()
        waiting: list[asyncio.Task] = []

        def slow(host: str) -> Callable:
            async def one() -> Answer:
                sent: list[dict] = []

                async def receive() -> dict:
                    await release.wait()
                    return {"type": "http.request", "body": b"1", "more_body": False}

                async def send(message: dict) -> None:
                    sent.append(message)

                await guard(scope({"host": "a"}, client=(host, 1)), receive, send)
                return sent[0]["status"], {}, b""

            return one

        for host in others:
            waiting.append(asyncio.create_task(slow(host)()))
        await asyncio.sleep(0)
        found = await ask(guard, scope({"host": "a"}, client=(address, 1)), [b"1"])
        release.set()
        rest = await asyncio.gather(*waiting)
        last = await ask(guard, scope({"host": "a"}, client=(address, 1)), [b"1"])
        return found, [*rest, last]

    found, rest = asyncio.run(crowd())
    assert found[0] == status
    assert [one[0] for one in rest] == [200] * len(rest)
    if status == 503:
        assert found[1]["retry-after"] == "1"


def test_answers_that_nobody_takes_give_their_place_back() -> None:
    async def scene() -> Answer:
        guard = open_guard(limits=Limits(requests=1, answer_seconds=0.05))
        begun: list[str] = []

        async def receive() -> dict:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def stuck(message: dict) -> None:
            begun.append(message["type"])
            await asyncio.Event().wait()

        await guard(scope({"host": "a"}), receive, stuck)
        assert begun == ["http.response.start"]
        return await ask(guard, scope({"host": "a"}), [b"1"])

    assert asyncio.run(scene())[0] == 200


def test_what_fails_is_answered() -> None:
    async def broken(scope, receive, send) -> None:
        raise ZeroDivisionError

    options = GuardOptions(False, None, None, LIMITS)
    status, headers, body = answer(Guard(broken, options), {"host": "a"}, [b""])
    assert (status, json.loads(body)["error"][:17]) == (500, "the server failed")
    assert headers["x-content-type-options"] == "nosniff"
