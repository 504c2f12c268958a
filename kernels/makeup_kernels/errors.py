"""The errors of the whole SDK; every one derives from `MakeupError`.

They live in the lowest room so that each room above can raise them.
"""


class MakeupError(Exception):
    """Base of every error the SDK raises on purpose.

    The message says what happened, what was expected, and the command or argument that fixes it.
    It is always printable: control characters and lone surrogates, which file names and titles may
    contain, are shown as escapes.
    """

    def __str__(self) -> str:
        """The message, printable."""
        text = super().__str__()
        return "".join(c if is_shown(c) or c == "\n" else ascii(c)[1:-1] for c in text)


def is_shown(character: str) -> bool:
    """Whether a character may appear in titles and messages.

    Control characters and bidirectional overrides may not; joiners within letters and emoji may.
    """
    return character.isprintable() or character in "\u200c\u200d"


class InvalidInputError(MakeupError, ValueError):
    """An argument has the wrong dtype, rank, shape or range, or is not finite."""


class BackendUnavailableError(MakeupError, RuntimeError):
    """A backend or device was requested by name and cannot run here."""


class NoFaceError(MakeupError):
    """A reference photo has no usable face."""


class BundleError(MakeupError):
    """A bundle, look or manifest is missing, corrupt, foreign or unsafe."""


class OutputError(MakeupError, OSError):
    """A result cannot be written: disk full, target is a directory, or no permission."""
