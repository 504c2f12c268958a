"""A bounded queue between two stages of a stream."""

from collections import deque
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class ChannelClosedError(Exception):
    """The channel was closed; no more items can be sent or received."""


class Channel(Generic[T]):
    """A FIFO queue; when full, the sender waits, or the oldest item is dropped.

    Args:
        size: maximum number of waiting items.
        newest_wins: a full channel drops its oldest item instead of making the sender wait.
    """

    def __init__(self, size: int, *, newest_wins: bool = False) -> None:
        self._items: deque[T] = deque()
        self._size = size
        self._newest_wins = newest_wins
        self._ended = False
        self._closed = False
        self._changed = Condition()
        self.dropped = 0

    def put(self, item: T) -> None:
        """Send an item. Raises `ChannelClosedError` after the receiver closed the channel."""
        with self._changed:
            while len(self._items) >= self._size and not self._closed:
                if self._newest_wins:
                    self._items.popleft()
                    self.dropped += 1
                else:
                    self._changed.wait()
            if self._closed:
                raise ChannelClosedError
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T:
        """Wait for the next item. Raises `ChannelClosedError` after the last one."""
        with self._changed:
            while not self._items and not self._ended and not self._closed:
                self._changed.wait()
            if self._closed or not self._items:
                raise ChannelClosedError
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def wait_for_room(self) -> None:
        """Wait until `put` would not block. Raises `ChannelClosedError` like `put`."""
        with self._changed:
            while len(self._items) >= self._size and not self._closed:
                self._changed.wait()
            if self._closed:
                raise ChannelClosedError

    def end(self) -> None:
        """The sender is done: waiting items are still delivered."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """The receiver is done: waiting items are dropped, and senders are woken."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
