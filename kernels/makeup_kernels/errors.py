"""The errors of the whole SDK; every one derives from `MakeupError`.

They live in the lowest room so that each room above can raise them.
"""


class MakeupError(Exception):
    """Base of every error the SDK raises on purpose.

    The message says what happened, what was expected, and the command or argument that mends it.
    """


class InvalidInputError(MakeupError, ValueError):
    """An argument has the wrong dtype, rank, shape or range, or is not finite."""


class BackendUnavailableError(MakeupError, RuntimeError):
    """A backend or device was asked for by name and cannot run here."""


class NoFaceError(MakeupError):
    """A reference photo has no usable face."""


class BundleError(MakeupError):
    """A bundle, look or manifest is missing, corrupt, foreign or unsafe."""
