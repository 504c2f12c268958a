"""Places: how many are served at once, in all and of one address, first come first served."""

import asyncio
import contextlib
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import anyio.to_thread

T = TypeVar("T")


class Places:
    """A number of places, of which one address may hold a few.

    Args:
        places: in all.
        per_address: of one address; loopback addresses may hold all of them.
    """

    def __init__(self, places: int, per_address: int) -> None:
        self._free = places
        self._per_address = per_address
        self._taken: Counter[str] = Counter()

    @contextlib.contextmanager
    def one(self, address: str) -> Iterator[bool]:
        """Hold a place while the block runs; gives False where none is free."""
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
    """Threads for what takes long, off the event loop; first come, first served.

    Args:
        at_once: frames, photos or outfits that are worked on at once.
    """

    def __init__(self, at_once: int) -> None:
        self._turn = asyncio.Semaphore(at_once)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run in a worker thread when it is this caller's turn."""
        async with self._turn:
            return await anyio.to_thread.run_sync(function, *arguments)


def is_loopback(address: str) -> bool:
    """Whether an address is one of this machine's own."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
