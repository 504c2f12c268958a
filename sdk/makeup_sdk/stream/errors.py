"""What can end a stream from outside."""

import errno

from makeup_kernels import MakeupError

DISK_ERRORS = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM,
     errno.ENOENT, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.EPIPE)
)  # fmt: skip
"""Errors of the place that is written to, rather than of what is written."""


class SourceLostError(MakeupError):
    """A camera or network source stopped giving frames. It ends a stream, cleanly."""


class SinkFullError(MakeupError):
    """There is no more room for what is written. It ends a stream, cleanly."""
