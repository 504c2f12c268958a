"""Live sessions that move: what a stream remembers, signed, so that its client can carry it.

A client that was served by one replica hands the text to the next one, which goes on as the first
would have done. Replicas share a key and nothing else; none keeps anything of a client.
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
"""Characters of a session; one face in full makeup has 100,000."""
_SHORTEST_KEY = 16
_CLOCKS_APART = 5.0
"""Seconds by which the clocks of two replicas may differ."""
_DIGEST = sha256().digest_size
_TIME = struct.Struct(">d")
_PURPOSE = f"makeup-sdk {__version__} live session".encode()


@dataclass(frozen=True)
class Moved:
    """A session that a client brought.

    Attributes:
        memory: see `FrameProcessor.remember`.
        outfit: digest of what was worn.
        age: seconds since it was taken.
    """

    memory: Memory
    outfit: bytes
    age: float


class Sessions:
    """Seals sessions, and opens those that this or another replica has sealed.

    Args:
        key: shared by the replicas; None makes one that no other has.
        seconds: age from which a session is refused.
        now: seconds since 1970.

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
        """The text that a client carries.

        Args:
            memory: of the stream.
            outfit: SHA-256 of what is worn, 32 bytes.
        """
        body = _TIME.pack(self._now()) + outfit + memory.to_bytes()
        return base64.b64encode(hmac.digest(self._key, body, "sha256") + body).decode()

    def open(self, text: str) -> Moved:
        """The session that a client brings.

        Raises:
            InvalidInputError: it is damaged, forged, of another key or version, or too old.
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
