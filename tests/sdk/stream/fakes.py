"""Deterministic stand-ins for sources, engines and sinks."""

from collections.abc import Sequence
from threading import Event, Semaphore

import numpy as np
from numpy.typing import NDArray

from makeup_sdk import Result
from makeup_sdk.stream import Ending, SourceInfo, StreamResult

Image = NDArray[np.uint8]


def frame(number: int) -> Image:
    """A small frame that tells its number."""
    image = np.zeros((4, 6, 3), np.uint8)
    image[0, 0] = (number % 256, number // 256, 7)
    return image


def number_of(image: Image) -> int:
    return int(image[0, 0, 0]) + 256 * int(image[0, 0, 1])


def process(image: Image, time: float) -> Result:
    """An engine that does nothing, at once."""
    return Result(image, (), {"detect": 1.0})


class ListSource:
    """Gives numbered frames at given times; then ends, or raises."""

    reconnects = 0
    lost = 0

    def __init__(
        self,
        times: Sequence[float],
        *,
        live: bool = False,
        error: BaseException | None = None,
    ) -> None:
        self.info = SourceInfo("list", live, 10.0, None if live else len(times))
        self._times = times
        self._error = error
        self.given = 0
        self.closed = False

    def read(self) -> tuple[Image, float] | None:
        if self.given == len(self._times):
            if self._error is not None:
                raise self._error
            return None
        self.given += 1
        return frame(self.given - 1), self._times[self.given - 1]

    def close(self) -> None:
        self.closed = True


class TickedSource:
    """A camera whose next frame comes when the test says so."""

    reconnects = 0
    lost = 0

    def __init__(self, frames: int) -> None:
        self.info = SourceInfo("camera", True, 10.0)
        self.frames = frames
        self.given = 0
        self._ticks = Semaphore(0)
        self._taken = Semaphore(0)
        self._left = Event()

    def tick(self) -> None:
        """Let one frame come, and wait until it lies in the queue."""
        if self.given < self.frames:
            self._ticks.release()
            self._taken.acquire()

    def first(self) -> None:
        """Let the first frame come."""
        self._ticks.release()

    def read(self) -> tuple[Image, float] | None:
        if self.given:
            self._taken.release()
        if self.given == self.frames or self._left.is_set():
            return None
        self._ticks.acquire()
        self.given += 1
        return frame(self.given - 1), (self.given - 1) / self.info.fps

    def close(self) -> None:
        self._left.set()


class ListSink:
    """Keeps the numbers of what it was given."""

    def __init__(self, fail_at: int | None = None, error: BaseException | None = None) -> None:
        self.numbers: list[int] = []
        self.opened: list[str] = []
        self._fail_at = fail_at
        self._error = error

    def open(self, source: SourceInfo) -> None:
        self.opened.append(source.name)

    def write(self, image: Image, result: StreamResult) -> bool:
        if len(self.numbers) == self._fail_at:
            if self._error is not None:
                raise self._error
            return False
        self.numbers.append(number_of(image))
        return True

    def close(self, ending: Ending) -> None:
        self.opened.append("closed")
