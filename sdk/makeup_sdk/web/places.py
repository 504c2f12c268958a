"""Limits on concurrent clients, in total and per address, and on concurrent work."""

import asyncio
import contextlib
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import anyio.to_thread

T = TypeVar("T")


class Places:
    """A limited number of places, also limited per address.

    Args:
        places: places in total.
        per_address: places per address; loopback addresses may hold all of them.
    """

    def __init__(self, places: int, per_address: int) -> None:
        self._free = places
        self._per_address = per_address
        self._taken: Counter[str] = Counter()

    @contextlib.contextmanager
    def one(self, address: str) -> Iterator[bool]:
        """Hold a place while the block runs; yields False if none is free."""
        if self._free <= 0 or (
            self._taken[address] >= self._per_address and not is_loopback(address)
        ):
            yield False
            return
        self._free -= 1
        self._taken[address] += 1
        try:
            yield True
        finally:
            self._free += 1
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]


class Workers:
    """Runs slow functions in threads, off the event loop; first come, first served.

    Args:
        at_once: maximum number of functions that run at once.
    """

    def __init__(self, at_once: int) -> None:
        self._turn = asyncio.Semaphore(at_once)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Wait for a free slot, then run the function in a worker thread."""
        async with self._turn:
            return await anyio.to_thread.run_sync(function, *arguments)


def is_loopback(address: str) -> bool:
    """Whether an address is a loopback address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
