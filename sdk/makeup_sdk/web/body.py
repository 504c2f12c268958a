"""The body of a request, bounded in size and time."""

import asyncio

from starlette.types import Message, Receive, Send


class Body:
    """Stands between the server and the app while a request's body is read.

    A body that is too large or too slow looks to the app like a client that went away; `refusal`
    then says what to answer in the app's place.

    Args:
        receive: the server's.
        size: bytes at most.
        seconds: from now until the whole body is there.
    """

    def __init__(self, receive: Receive, size: int, seconds: float) -> None:
        self._receive = receive
        self._size = self._left = size
        self._clock = asyncio.get_running_loop().time
        self._end = self._clock() + seconds
        self._whole = False
        self.refusal: tuple[int, str] | None = None

    async def receive(self) -> Message:
        """The next part of the body, as ASGI has it."""
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
        """What the app sends after a refusal goes nowhere."""

        async def sending(message: Message) -> None:
            if self.refusal is None:
                await send(message)

        return sending

    def _refuse(self, status: int, reason: str) -> Message:
        self._whole, self.refusal = True, (status, reason)
        return {"type": "http.disconnect"}
