"""Limits on the size and duration of a request body."""

import asyncio

from starlette.types import Message, Receive, Send


class Body:
    """Wraps the ASGI `receive` of a request and limits its body.

    If the body is too large or too slow, the app sees a disconnect. `refusal` then holds the
    status and reason to answer instead.

    Args:
        receive: the server's `receive`.
        size: maximum size in bytes.
        seconds: time limit for the whole body, from now.
    """

    def __init__(self, receive: Receive, size: int, seconds: float) -> None:
        self._receive = receive
        self._size = self._left = size
        self._clock = asyncio.get_running_loop().time
        self._end = self._clock() + seconds
        self._whole = False
        self.refusal: tuple[int, str] | None = None

    async def receive(self) -> Message:
        """The next ASGI message of the body."""
        if self._whole:
            return await self._receive()
        try:
            wait = max(self._end - self._clock(), 0)
            message = await asyncio.wait_for(self._receive(), wait)
        except asyncio.TimeoutError:
            return self._refuse(408, "body too slow: send it faster, or a smaller picture")
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            return self._refuse(413, f"body too large: send at most {self._size} bytes")
        self._whole = not message.get("more_body", False)
        return message

    def unless_refused(self, send: Send) -> Send:
        """A `send` that drops the app's messages after a refusal."""

        async def sending(message: Message) -> None:
            if self.refusal is None:
                await send(message)

        return sending

    def _refuse(self, status: int, reason: str) -> Message:
        self._whole, self.refusal = True, (status, reason)
        return {"type": "http.disconnect"}
