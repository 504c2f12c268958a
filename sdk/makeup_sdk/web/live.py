"""Live frames over a WebSocket.

The client sends
- text: an `Outfit` as JSON, whenever what is worn changes;
- binary: a frame as JPEG, PNG or WebP; one at a time, the next after the answer. A frame that
  comes sooner takes the place of one that still waits.

The server answers each frame it processes with one binary message: 4 bytes, big-endian, length of a
JSON header {"faces", "milliseconds", "dropped"}; that header; the frame as JPEG. What cannot be
done is answered with text {"error": "..."}; a client that sends nonsense 20 times is closed.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

import anyio.to_thread
from fastapi import WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from makeup_kernels import InvalidInputError, MakeupError
from makeup_sdk.engine import MakeupEngine
from makeup_sdk.stream.options import StreamOptions
from makeup_sdk.stream.processor import FrameProcessor
from makeup_sdk.web.outfits import Gallery, Outfit
from makeup_sdk.web.pictures import Limits, encode_picture, open_picture

T = TypeVar("T")

_MAX_NONSENSE = 20
_TRY_AGAIN_LATER, _POLICY = 1013, 1008


class Places:
    """How many clients are served, and how many frames are worked on, at once; first come first.

    Args:
        clients: live sockets at once.
        frames: frames or photos at once.
    """

    def __init__(self, clients: int, frames: int) -> None:
        self.free = clients
        self._frames = asyncio.Semaphore(frames)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run in a worker thread when it is this caller's turn."""
        async with self._frames:
            return await anyio.to_thread.run_sync(function, *arguments)


class LiveClient:
    """One socket: its tracker, its outfit, and the newest frame that waits."""

    def __init__(
        self,
        socket: WebSocket,
        engine: MakeupEngine,
        gallery: Gallery,
        limits: Limits,
        places: Places,
    ) -> None:
        self._socket = socket
        self._engine = engine
        self._gallery = gallery
        self._limits = limits
        self._places = places
        self._processor = FrameProcessor(engine, StreamOptions())
        self._waiting: bytes | None = None
        self._arrived = asyncio.Event()
        self._dropped = 0
        self._nonsense = 0

    async def serve(self) -> None:
        """Answer frames until the client goes."""
        await self._socket.accept()
        if self._places.free <= 0:
            await self._socket.close(_TRY_AGAIN_LATER, "all places are taken; try again later")
            return
        self._places.free -= 1
        worker = asyncio.create_task(self._work())
        try:
            await self._listen()
        except WebSocketDisconnect:
            pass
        finally:
            self._places.free += 1
            worker.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await worker

    async def _listen(self) -> None:
        while self._nonsense < _MAX_NONSENSE:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") is not None:
                self._dropped += self._waiting is not None
                self._waiting = message["bytes"]
                self._arrived.set()
            else:
                await self._wear(message.get("text") or "")
        await self._socket.close(_POLICY, "too many messages that make no sense")

    async def _wear(self, text: str) -> None:
        try:
            if len(text) > self._limits.body_bytes:
                raise InvalidInputError("outfit: message too large")
            outfit = Outfit.model_validate_json(text)
            look = await self._places.run(self._gallery.dress, outfit)
            self._engine.strength = outfit.strength.by_region()
            self._engine.look = look
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "outfit"
            await self._complain(f"{field}: {first['msg']}")
        except MakeupError as error:
            await self._complain(str(error))

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            data, self._waiting = self._waiting, None
            if data is None:
                continue
            try:
                answer = await self._places.run(self._process, data)
            except MakeupError as error:
                await self._complain(str(error))
            else:
                await self._socket.send_bytes(answer)

    def _process(self, data: bytes) -> bytes:
        start = time.perf_counter()
        result = self._processor.process(open_picture(data, self._limits), start)
        image = encode_picture(result.image, "jpeg")
        header = json.dumps(
            {
                "faces": [
                    {"id": face.track_id, "status": face.status.value, "painted": face.painted}
                    for face in result.faces
                ],
                "milliseconds": round((time.perf_counter() - start) * 1e3, 2),
                "dropped": self._dropped,
            }
        ).encode()
        return len(header).to_bytes(4, "big") + header + image

    async def _complain(self, message: str) -> None:
        self._nonsense += 1
        await self._socket.send_text(json.dumps({"error": message}))
