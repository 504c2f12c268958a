"""Access control: host names, origins, tokens, and limits on request bodies."""

import asyncio
import logging
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from makeup_kernels import InvalidInputError
from makeup_sdk.web.body import Body
from makeup_sdk.web.limits import Limits
from makeup_sdk.web.places import Places

_COOKIE = "makeup_token"
LOOPBACK = ("localhost", "127.0.0.1", "::1")

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{4,200}")
_LENGTH = re.compile(r"[0-9]{1,15}")
_SHOWN = 40
_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
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
_log = logging.getLogger("makeup_sdk.web")


def check_token(token: str) -> None:
    """Refuse a token that is too short, or that a URL cannot hold unescaped.

    Raises:
        InvalidInputError: not 4 to 200 characters of A-Z a-z 0-9 . _ ~ -.
    """
    if not _TOKEN.fullmatch(token):
        raise InvalidInputError(
            "token: expected 4 to 200 characters of A-Z a-z 0-9 . _ ~ -; "
            f"this one has {len(token)} (is a variable unset?). Leave it out, and one is made"
        )


def origin_host(origin: str) -> str:
    """The host name of an address such as "https://try.example:8443".

    Raises:
        InvalidInputError: not such an address.
    """
    name = ""
    if re.fullmatch(r"https?://[^/?#@\s]+", origin):
        name = _host_name(origin.partition("//")[2])
    if not name:
        raise InvalidInputError(
            f"origin: {origin!r} is no address; expected one such as https://try.example"
        )
    return name


@dataclass(frozen=True)
class GuardOptions:
    """Which requests a `Guard` accepts.

    Attributes:
        loopback: whether the server listens on loopback only.
        token: token that every request must carry, or None.
        origin: public address of a reverse proxy, or None.
        limits: limits on requests.

    Raises:
        InvalidInputError: an empty or malformed token, or an origin that is not an address.
    """

    loopback: bool
    token: str | None
    origin: str | None
    limits: Limits

    def __post_init__(self) -> None:
        if self.token is not None:
            check_token(self.token)
        if self.origin is not None:
            origin_host(self.origin)


class Guard:
    """ASGI middleware that checks every request and socket before the app.

    - Loopback servers answer only to loopback host names and to the host name of `origin`. This
      blocks DNS rebinding: a foreign page that points its own name at 127.0.0.1.
    - Requests and sockets from another origin are refused.
    - With a token set, every request needs it: `Authorization: Bearer TOKEN`, `?token=TOKEN`, or
      the cookie that a visit with `?token=` sets.
    - Bodies over the size or time limit are refused before they are fully read. The number of
      bodies read at once is limited.
    - Unhandled errors are logged and answered with status 500.

    Starlette's `TrustedHostMiddleware` cannot do the first: its plain-text answer does not name
    the accepted hosts, and older supported versions cut the Host header at its first colon, so
    they refuse IPv6 addresses.
    """

    def __init__(self, app: ASGIApp, options: GuardOptions) -> None:
        self._app = app
        self._token = options.token
        self._origin = options.origin
        shown = (origin_host(options.origin),) if options.origin else ()
        self._hosts = LOOPBACK + shown if options.loopback else None
        self._limits = options.limits
        self._places = Places(options.limits.requests, options.limits.requests_per_address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(scope, receive, send, *refusal)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            timed = _timed(send, self._limits.answer_seconds)
            try:
                await self._answer(scope, receive, _with_headers(timed, self._cookie(scope)))
            except ClientDisconnect:
                _log.warning("%s: the client went away, or took no answer", scope["path"][:_SHOWN])

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in _WITHOUT_BODY:
            await self._guarded(scope, receive, send)
            return
        address = scope["client"][0] if scope.get("client") else ""
        with self._places.one(address) as free:
            if not free:
                busy = _error(503, "busy: too many requests at once; try again in a moment")
                busy.headers["retry-after"] = "1"
                await busy(scope, receive, send)
                return
            body = Body(receive, self._limits.request_bytes, self._limits.body_seconds)
            try:
                await self._guarded(scope, body.receive, body.unless_refused(send))
            except ClientDisconnect:
                if body.refusal is None:
                    return
            if body.refusal is not None:
                await _error(*body.refusal)(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            raise
        except Exception as error:
            _log.error("%s failed", scope["path"][:_SHOWN], exc_info=error)
            if started:
                raise
            await _error(500, "the server failed at this request; its log says why")(
                scope, receive, send
            )

    def _cookie(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """The cookie with which a page opened by `?token=` loads its scripts and pictures."""
        if self._token is None or b"token=" not in scope["query_string"]:
            return []
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        value = f"{_COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/{secure}"
        return [(b"set-cookie", value.encode())]

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = _host_name(host)
        if self._hosts is not None and name not in self._hosts:
            shown = " or ".join(("localhost", *self._hosts[len(LOOPBACK) :]))
            return 403, f"host {name[:_SHOWN]!r} refused: this server answers to {shown} only"
        if not name:
            return 400, "host missing or malformed"
        origin = headers.get("origin")
        if origin is not None and origin != self._origin and _netloc(origin) != host:
            return 403, f"origin {origin[:_SHOWN]!r} refused: use the page of this server"
        if self._token is not None and not self._has_token(scope, headers):
            return 401, "token missing or wrong: open the address that the server printed"
        length = headers.get("content-length", "0")
        limit = self._limits.request_bytes
        if not _LENGTH.fullmatch(length) or int(length) > limit:
            return 413, f"body too large: send at most {limit} bytes"
        return None

    def _has_token(self, scope: Scope, headers: Headers) -> bool:
        assert self._token is not None
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        query = scope["query_string"].decode("latin-1")
        given = [bearer, *(p[6:] for p in query.split("&") if p.startswith("token="))]
        given += cookie_parser(headers.get("cookie", "")).get(_COOKIE, "").split()
        return any(secrets.compare_digest(g.encode(), self._token.encode()) for g in given)


def _host_name(host: str) -> str:
    """The name in a Host header, without the port; empty if the header is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _timed(send: Send, seconds: float) -> Send:
    """A `send` with a time limit: a client that does not read its answer counts as gone."""

    async def sending(message: Message) -> None:
        try:
            await asyncio.wait_for(send(message), seconds)
        except asyncio.TimeoutError:
            raise ClientDisconnect from None

    return sending


def _with_headers(send: Send, more: Sequence[tuple[bytes, bytes]] = ()) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS, *more]
        await send(message)

    return sending


def _error(status: int, reason: str) -> JSONResponse:
    """An error in the API's JSON form; it closes the connection, so the rest is not read."""
    return JSONResponse({"error": reason}, status, headers={"connection": "close"})


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        await send({"type": "websocket.close", "code": 1008, "reason": reason[:120]})
    else:
        await _error(status, reason)(scope, receive, _with_headers(send))
