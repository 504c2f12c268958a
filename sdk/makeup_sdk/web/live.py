"""Live frames over a WebSocket.

The client sends:
- text: a `LiveRequest` as JSON, whenever the outfit or its wearer changes. The field `session`
  asks for sealed sessions: first "", on a later socket the last session received.
- binary: one frame as JPEG, PNG or WebP, then the next after the answer. A frame that arrives
  earlier replaces the one that waits.

The server answers each processed frame with one binary message: the header's length (4 bytes,
big-endian), a JSON header {"faces", "skin", "milliseconds", "dropped"}, and the frame as JPEG. If
the client asked for sessions, about one header a second also holds `session`. A new socket, here
or at another replica with the same key, restores the stream from it. If the session is refused,
the server answers with an error and starts a new one.

Errors are answered with text {"error": "..."}. A socket is closed after 20 invalid messages (code
1008), or when it stays idle too long (code 4408).
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from makeup_kernels import InvalidInputError, MakeupError
from makeup_sdk.engine import MakeupEngine
from makeup_sdk.looks.look import Look
from makeup_sdk.models.registry import DEFAULT_MODEL
from makeup_sdk.stream.options import StreamOptions
from makeup_sdk.stream.processor import FrameProcessor
from makeup_sdk.web.limits import Limits
from makeup_sdk.web.pictures import encode_picture, open_picture
from makeup_sdk.web.places import Places, Workers
from makeup_sdk.web.requests import LiveRequest, parse
from makeup_sdk.web.session import Sessions
from makeup_sdk.web.studio import Studio

_MAX_NONSENSE = 20
_SESSION_EVERY = 1.0
"""Seconds between sealed sessions; a move to another replica loses at most this much."""
_TRY_AGAIN_LATER, _POLICY, _IDLE = 1013, 1008, 4408
_log = logging.getLogger("makeup_sdk.web")


class LiveClient:
    """One socket: its tracker, its outfit, and the newest waiting frame."""

    def __init__(
        self,
        socket: WebSocket,
        studio: Studio,
        limits: Limits,
        places: Places,
        workers: Workers,
        sessions: Sessions,
    ) -> None:
        self._socket = socket
        self._studio = studio
        self._limits = limits
        self._places = places
        self._workers = workers
        self._sessions = sessions
        self._sealed: float | None = None
        self._waiting: bytes | None = None
        self._arrived = asyncio.Event()
        self._busy = False
        self._dropped = 0
        self._nonsense = 0
        self._outfit: LiveRequest | None = None
        self._engine: MakeupEngine
        self._processor: FrameProcessor

    async def serve(self) -> None:
        """Answer frames until the client disconnects."""
        await self._socket.accept()
        address = self._socket.client.host if self._socket.client else ""
        with self._places.one(address) as free:
            if free:
                await self._converse()
            else:
                await self._close(_TRY_AGAIN_LATER, "all places are taken; try again later")

    async def _converse(self) -> None:
        await self._workers.run(self._use_model)
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._work())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except (WebSocketDisconnect, RuntimeError):  # RuntimeError: a send after the close
            pass
        finally:
            for task in tasks:
                task.cancel()
            # Not `gather`: if cancelled here, it raises the tasks' own CancelledError, which the
            # server's cancel scope does not recognise.
            await asyncio.wait(tasks)
            for task in tasks:
                if not task.cancelled():
                    task.exception()  # else asyncio logs that it was never retrieved

    def _use_model(self, *name: str) -> None:
        self._engine = self._studio.engine(*name)
        self._processor = FrameProcessor(self._engine, StreamOptions())

    async def _listen(self) -> None:
        while self._nonsense < _MAX_NONSENSE:
            try:
                message = await asyncio.wait_for(self._socket.receive(), self._limits.idle_seconds)
            except asyncio.TimeoutError:
                if not self._is_idle():
                    continue
                await self._close(_IDLE, "idle: send a frame to go on")
                return
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") is not None:
                self._dropped += self._waiting is not None
                self._waiting = message["bytes"]
                self._arrived.set()
            else:
                text = (message.get("text") or "").encode("utf-8", "replace")
                await self._attempt(self._wear, text)
        await self._close(_POLICY, "too many messages that make no sense")

    def _is_idle(self) -> bool:
        """Whether no frame waits or is in work: the next message is the client's."""
        return not self._busy and self._waiting is None

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            data, self._waiting = self._waiting, None
            if data is not None:
                self._busy = True
                answer = await self._attempt(self._process, data)
                if answer is not None:
                    await self._socket.send_bytes(answer)
                self._busy = False

    async def _attempt(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run in a worker thread; any error is sent to the client and gives None."""
        try:
            return await self._workers.run(function, *arguments)
        except MakeupError as error:
            await self._complain(str(error))
        except Exception as error:
            _log.error("a message over a socket failed", exc_info=error)
            await self._complain("the server failed at this message; its log says why")
        return None

    def _wear(self, text: bytes) -> None:
        self._check_size(text)
        outfit = parse(LiveRequest, text)
        if not outfit.same_makeup(self._outfit):
            look = self._studio.gallery.dress(outfit)
            if outfit.model != (self._outfit.model if self._outfit else DEFAULT_MODEL):
                self._use_model(outfit.model)
            self._engine.tone = 0.0  # the new look may not support a tone
            self._put_on(look, outfit)
            self._outfit = outfit
        self._engine.strength = outfit.strength.by_region()
        self._engine.tone = outfit.tone
        if outfit.session is not None:
            self._sealed = float("-inf")
        if outfit.session:
            self._go_on(outfit.session)

    def _go_on(self, session: str) -> None:
        """Restore the stream's memory from a session that another socket sealed."""
        moved = self._sessions.open(session)
        processor = FrameProcessor(self._engine, StreamOptions())
        then = time.perf_counter() - moved.age
        processor.recall(moved.memory, then, same_looks=moved.outfit == self._makeup())
        self._processor = processor

    def _makeup(self) -> bytes:
        """SHA-256 of the outfit's makeup."""
        return sha256(self._outfit.makeup().encode() if self._outfit else b"").digest()

    def _put_on(self, look: Look | None, outfit: LiveRequest) -> None:
        """Put the look on the face that the outfit names, or on all faces."""
        before = self._outfit.face if self._outfit else None
        if before is not None:
            self._engine.wear_default(before)
        self._engine.look = look if outfit.face is None else None
        if outfit.face is not None:
            self._engine.wear(outfit.face, look)

    def _process(self, data: bytes) -> bytes:
        start = time.perf_counter()
        self._check_size(data)
        frame = open_picture(data, self._limits)
        result = self._processor.process(frame, start)
        image = encode_picture(result.image, "jpeg")
        told = {
            **self._studio.describe(frame, result.faces),
            "milliseconds": round((time.perf_counter() - start) * 1e3, 2),
            "dropped": self._dropped,
        }
        if self._sealed is not None and start - self._sealed >= _SESSION_EVERY:
            told["session"] = self._sessions.seal(self._processor.remember(), self._makeup())
            self._sealed = start
        header = json.dumps(told).encode()
        return len(header).to_bytes(4, "big") + header + image

    def _check_size(self, message: bytes) -> None:
        if len(message) > self._limits.frame_bytes:
            raise InvalidInputError(
                f"message: {len(message)} bytes; send at most {self._limits.frame_bytes}"
            )

    async def _complain(self, message: str) -> None:
        self._nonsense += 1
        await self._socket.send_text(json.dumps({"error": message}))

    async def _close(self, code: int, reason: str) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.close(code, reason)
