"""Sealed live sessions: the memory of a stream, signed, which the client carries.

The client of one replica sends the text to the next, which continues the stream. Replicas share a
key and nothing else; none stores client data.
"""

import base64
import binascii
import hmac
import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from makeup_kernels import InvalidInputError
from makeup_sdk import __version__
from makeup_sdk.faces.memory import Memory

MOST_TEXT = 1 << 20
"""Maximum characters of a session; one face in full makeup takes 100,000."""
_SHORTEST_KEY = 16
_CLOCKS_APART = 5.0
"""Maximum difference between the clocks of two replicas, in seconds."""
_DIGEST = sha256().digest_size
_TIME = struct.Struct(">d")
_PURPOSE = f"makeup-sdk {__version__} live session".encode()


@dataclass(frozen=True)
class Moved:
    """An opened session.

    Attributes:
        memory: see `FrameProcessor.remember`.
        outfit: SHA-256 of the outfit, 32 bytes.
        age: seconds since it was sealed.
    """

    memory: Memory
    outfit: bytes
    age: float


class Sessions:
    """Seals sessions, and opens those of this or another replica.

    Args:
        key: key that the replicas share; None generates a random key.
        seconds: maximum age of a session.
        now: clock, in seconds since 1970.

    Raises:
        InvalidInputError: the key is shorter than 16 characters.
    """

    def __init__(
        self, key: str | None, seconds: float, now: Callable[[], float] = time.time
    ) -> None:
        if key is not None and len(key) < _SHORTEST_KEY:
            raise InvalidInputError(
                f"session key: {len(key)} characters, expected at least {_SHORTEST_KEY}; make one "
                "with `openssl rand -hex 32`, and give it to all replicas"
            )
        secret = secrets.token_bytes(_DIGEST) if key is None else key.encode()
        self._key = hmac.digest(secret, _PURPOSE, "sha256")
        self._seconds = seconds
        self._now = now

    def seal(self, memory: Memory, outfit: bytes) -> str:
        """Seal a session as text for the client.

        Args:
            memory: memory of the stream.
            outfit: SHA-256 of the outfit, 32 bytes.
        """
        body = _TIME.pack(self._now()) + outfit + memory.to_bytes()
        return base64.b64encode(hmac.digest(self._key, body, "sha256") + body).decode()

    def open(self, text: str) -> Moved:
        """Open the text of a sealed session.

        Raises:
            InvalidInputError: damaged, forged, sealed with another key or version, or too old.
        """
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            data = b""
        seal, body = data[:_DIGEST], data[_DIGEST:]
        if not hmac.compare_digest(seal, hmac.digest(self._key, body, "sha256")):
            raise InvalidInputError(
                "session: damaged, or sealed with another key or by another version; "
                "a new one begins"
            )
        (made,) = _TIME.unpack_from(body)
        age = self._now() - made
        if not -_CLOCKS_APART <= age <= self._seconds:
            raise InvalidInputError(
                f"session: {age:.0f} s old, expected at most {self._seconds:.0f} s (are the "
                "replicas' clocks set?); a new one begins"
            )
        outfit, packed = body[_TIME.size :][:_DIGEST], body[_TIME.size + _DIGEST :]
        return Moved(Memory.from_bytes(packed), outfit, max(age, 0.0))
