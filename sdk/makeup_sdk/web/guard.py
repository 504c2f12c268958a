"""Who may talk to the server: hosts, origins, tokens, body sizes."""

import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_COOKIE = "makeup_token"
LOOPBACK = ("localhost", "127.0.0.1", "::1")

_CONTENT_POLICY = (
    b"default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    b"style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _CONTENT_POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """ASGI middleware in front of everything.

    - Loopback servers answer only to loopback host names, so that a foreign page cannot reach them
      by pointing its own name at 127.0.0.1.
    - A request or socket that a browser sends from another origin is refused.
    - With a token set, every request needs it: `Authorization: Bearer TOKEN`, `?token=TOKEN`, or
      the cookie that a visit with `?token=` leaves.
    - A body beyond the limit is refused before it is read whole.

    Args:
        app: what is guarded.
        loopback: whether the server listens on loopback only.
        token: the token, or None.
        body_bytes: largest body of a request.
    """

    def __init__(self, app: ASGIApp, *, loopback: bool, token: str | None, body_bytes: int) -> None:
        self._app = app
        self._loopback = loopback
        self._token = token
        self._body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(scope, receive, send, *refusal)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        await self._app(scope, self._limited(receive), _with_headers(send, self._cookie(scope)))

    def _cookie(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """Lets the page that was opened with a token load its parts."""
        if self._token is None or b"token=" not in scope["query_string"]:
            return []
        value = f"{_COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
        return [(b"set-cookie", value.encode())]

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or ""
        if self._loopback and name not in LOOPBACK:
            return 403, f"host {name!r} refused: this server answers to localhost only"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, f"origin {origin!r} refused: use the page of this server"
        if self._token is not None and not self._has_token(scope, headers):
            return 401, "token missing or wrong: open the address that the server printed"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._body_bytes:
            return 413, f"body too large: send at most {self._body_bytes} bytes"
        return None

    def _has_token(self, scope: Scope, headers: Headers) -> bool:
        assert self._token is not None
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        query = scope["query_string"].decode("latin-1")
        given = [bearer, *(p[6:] for p in query.split("&") if p.startswith("token="))]
        given += cookie_parser(headers.get("cookie", "")).get(_COOKIE, "").split()
        return any(secrets.compare_digest(g.encode(), self._token.encode()) for g in given)

    def _limited(self, receive: Receive) -> Receive:
        """Count the bytes of a body that came without a length."""
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._body_bytes:
                return {"type": "http.disconnect"}
            return message

        return limited


def _with_headers(send: Send, more: Sequence[tuple[bytes, bytes]] = ()) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS, *more]
        await send(message)

    return sending


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        await send({"type": "websocket.close", "code": 1008, "reason": reason[:120]})
    else:
        await PlainTextResponse(reason, status)(scope, receive, _with_headers(send))
