"""Ctrl-C, TERM and HUP end a stream cleanly, however often they come."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_USUAL = (signal.SIG_DFL, signal.default_int_handler)


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Within it, the first such signal calls `stop`, and more of them do nothing.

    Python can take signals in its main thread alone; elsewhere, and for signals that the app takes
    or ignores itself, nothing changes.
    """
    before = {}
    # a thread of its own: the interrupted one may hold what `stop` waits for
    stopper = threading.Thread(target=stop, name="makeup-stop")

    def handle(number: int, frame: FrameType | None) -> None:
        if stopper.ident is None:
            stopper.start()

    if threading.current_thread() is threading.main_thread():
        for name in _NAMES:
            number = getattr(signal, name, None)  # Windows has no HUP
            if number is not None and signal.getsignal(number) in _USUAL:
                before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        if stopper.ident is not None:
            stopper.join()
        for number, handler in before.items():
            signal.signal(number, handler)
