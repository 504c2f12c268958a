"""uvicorn's h11 protocol with limits on the time, size and number of connections."""

import asyncio
import json
from collections import Counter
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from makeup_sdk.web.limits import Limits
from makeup_sdk.web.places import is_loopback


def bounded_protocol(limits: Limits) -> type[H11Protocol]:
    """The protocol class for uvicorn's option `http`."""
    held: Counter[str] = Counter()

    class BoundedProtocol(H11Protocol):
        """Refuses slow headers, and too many connections in total or per address."""

        _header_timer: asyncio.TimerHandle | None = None
        _address = ""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._address = self.client[0] if self.client else ""
            held[self._address] += 1
            one = held[self._address] > limits.connections_per_address
            if held.total() > limits.connections or (one and not is_loopback(self._address)):
                self._send_error(503, "too many connections; try again in a moment")
                return
            self._watch_header()

        def connection_lost(self, exc: Exception | None) -> None:
            self._let_go()
            super().connection_lost(exc)

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            """Stop counting the connection: live sockets have a limit of their own."""
            self._let_go()
            super().handle_websocket_upgrade(event)

        def _let_go(self) -> None:
            self._stop_timer()
            held[self._address] -= 1
            if held[self._address] <= 0:
                del held[self._address]

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch_header()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.conn.trailing_data[0]:
                self._watch_header()

        def _watch_header(self) -> None:
            """Run the timer from the start of a connection or request to its header's end."""
            if self.conn.their_state is not h11.IDLE:
                self._stop_timer()
            elif self._header_timer is None:
                self._header_timer = self.loop.call_later(limits.header_seconds, self._too_slow)

        def _stop_timer(self) -> None:
            if self._header_timer is not None:
                self._header_timer.cancel()
                self._header_timer = None

        def _too_slow(self) -> None:
            self._header_timer = None
            if not self.transport.is_closing():
                self._send_error(408, "header too slow")

        def send_400_response(self, msg: str) -> None:
            """Answer data that is not HTTP, or a header that is too large."""
            self._stop_timer()
            self._send_error(400, msg)

        def _send_error(self, status: int, reason: str) -> None:
            body = json.dumps({"error": reason}).encode()
            headers = [("content-type", "application/json"), ("connection", "close")]
            headers.append(("content-length", str(len(body))))
            answer: list[Any] = [
                h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status]),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ]
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                for event in answer:
                    self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

    return BoundedProtocol
