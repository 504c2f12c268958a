"""External conditions that end a stream."""

import errno

from makeup_kernels import MakeupError

DISK_ERRORS = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM,
     errno.ENOENT, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.EPIPE)
)  # fmt: skip
"""Errors of the output device, rather than of the data."""


class SourceLostError(MakeupError):
    """A camera or network source stopped delivering frames. Ends a stream cleanly."""


class SinkFullError(MakeupError):
    """The output cannot be written, as when the disk is full. Ends a stream cleanly."""
