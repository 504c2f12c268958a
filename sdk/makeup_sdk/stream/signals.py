"""Make Ctrl-C, TERM and HUP end a stream cleanly, even if repeated."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_USUAL = (signal.SIG_DFL, signal.default_int_handler)


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Inside the block, the first such signal calls `stop`; further ones do nothing.

    Python handles signals only in its main thread; in other threads, and for signals that the app
    handles or ignores, nothing changes.
    """
    before = {}
    # its own thread: the interrupted one may hold a lock that `stop` needs
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
