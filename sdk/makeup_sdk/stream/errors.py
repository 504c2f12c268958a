"""What can end a stream from outside."""

from makeup_kernels import MakeupError


class SourceLostError(MakeupError):
    """A camera or network source stopped giving frames. It ends a stream, cleanly."""


class SinkFullError(MakeupError):
    """There is no more room for what is written. It ends a stream, cleanly."""
