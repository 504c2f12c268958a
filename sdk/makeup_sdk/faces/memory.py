"""The state of a stream as named numbers and maps, so that another process can resume it."""

import json
import math
import zlib
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from makeup_kernels import InvalidInputError
from makeup_kernels.types import FloatArray, Image

_LARGEST = 8 << 20
"""Maximum bytes of a memory; eight faces with full makeup need half of it."""
_HEAD = 4
"""Size in bytes of the header's length field."""


class Memory:
    """Named arrays: numbers as float32, maps of a crop in 8 bits. No code, no objects.

    memory = Memory()
    memory.put("speed", [1.0, 2.0])
    memory.below("face 0").put_map("shares", shares)
    Memory.from_bytes(memory.to_bytes()).take("speed", (2,))
    """

    def __init__(self) -> None:
        self._numbers: dict[str, FloatArray] = {}
        self._maps: dict[str, tuple[float, float, Image]] = {}
        self._prefix = ""

    def below(self, name: str) -> "Memory":
        """A view of this memory in which all names are prefixed with `name`."""
        part = Memory()
        part._numbers, part._maps = self._numbers, self._maps
        part._prefix = f"{self._prefix}{name}/"
        return part

    def put(self, name: str, values: ArrayLike) -> None:
        """Store numbers as float32."""
        self._numbers[self._prefix + name] = np.array(values, np.float32)

    def put_map(self, name: str, values: FloatArray) -> None:
        """Store float32 values of any shape, quantised to 255 steps between minimum and maximum."""
        low, high = float(values.min()), float(values.max())
        steps = np.rint((values - np.float32(low)) * np.float32(255 / max(high - low, 1e-9)))
        self._maps[self._prefix + name] = (low, high, steps.astype(np.uint8))

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._numbers or self._prefix + name in self._maps

    def take(self, name: str, shape: tuple[int, ...] = ()) -> FloatArray:
        """Stored numbers, float32.

        Raises:
            InvalidInputError: none with this name and shape.
        """
        found = self._numbers.get(self._prefix + name)
        if found is None or found.shape != shape:
            raise self._missing(name, shape)
        copied: FloatArray = found.copy()
        return copied

    def take_count(self, name: str, most: int) -> int:
        """A stored whole number from 0 to `most`.

        Raises:
            InvalidInputError: missing, or not such a number.
        """
        number = float(self.take(name))
        if not (number.is_integer() and 0 <= number <= most):
            raise InvalidInputError(
                f"memory: {self._prefix}{name} is {number}, expected 0 to {most}"
            )
        return int(number)

    def take_map(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """A stored map, float32, accurate to half a step.

        Raises:
            InvalidInputError: none with this name and shape.
        """
        low, high, steps = self._maps.get(self._prefix + name, (0.0, 0.0, None))
        if steps is None or steps.shape != shape:
            raise self._missing(name, shape)
        values: FloatArray = steps * np.float32((high - low) / 255) + np.float32(low)
        return values

    def _missing(self, name: str, shape: tuple[int, ...]) -> InvalidInputError:
        return InvalidInputError(f"memory: no {self._prefix}{name} of shape {shape}")

    def to_bytes(self) -> bytes:
        """The whole memory, packed."""
        head = {
            "numbers": [[name, values.shape] for name, values in self._numbers.items()],
            "maps": [[name, m.shape, low, high] for name, (low, high, m) in self._maps.items()],
        }
        text = json.dumps(head).encode()
        numbers = (values.astype("<f4").tobytes() for values in self._numbers.values())
        maps = (_steps_between(m).tobytes() for _, _, m in self._maps.values())
        return zlib.compress(b"".join([len(text).to_bytes(_HEAD, "big"), text, *numbers, *maps]), 1)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Memory":
        """The inverse of `to_bytes`.

        Raises:
            InvalidInputError: damaged, larger than 8 MiB, or with non-finite numbers.
        """
        try:
            unpacker = zlib.decompressobj()
            unpacked = unpacker.decompress(data, _LARGEST)
            if not unpacker.eof:
                raise ValueError("cut short, or too large")
            return cls._parsed(unpacked)
        except (zlib.error, ValueError, TypeError, KeyError, OverflowError) as error:
            raise InvalidInputError(f"memory: damaged ({error})") from None

    @classmethod
    def _parsed(cls, data: bytes) -> "Memory":
        end = _HEAD + int.from_bytes(data[:_HEAD], "big")
        head: dict[str, Any] = json.loads(data[_HEAD:end])
        memory = cls()
        for name, shape in head["numbers"]:
            values, end = _next(data, end, shape, "<f4")
            if not np.isfinite(values).all():
                raise ValueError(f"{name} is not finite")
            memory._numbers[str(name)] = values.astype(np.float32)
        for name, shape, low, high in head["maps"]:
            if not (math.isfinite(low) and math.isfinite(high)):
                raise ValueError(f"{name} is not finite")
            steps, end = _next(data, end, shape, "u1")
            whole = np.add.accumulate(steps, axis=-1, dtype=np.uint8)
            memory._maps[str(name)] = (float(low), float(high), cast(Image, whole))
        if end != len(data):
            raise ValueError(f"{len(data)} bytes, expected {end}")
        return memory


def _steps_between(values: Image) -> Image:
    """Differences along rows, modulo 256, so that smooth maps compress well."""
    return np.diff(values, axis=-1, prepend=np.uint8(0))


def _next(data: bytes, start: int, shape: list[int], kind: str) -> tuple[Any, int]:
    """The array with this shape at an offset, and its end."""
    if any(not isinstance(side, int) or side < 0 for side in shape):
        raise ValueError(f"shape {shape}")
    count = math.prod(shape)
    end = start + count * np.dtype(kind).itemsize
    if end > len(data):
        raise ValueError("cut short")
    return np.frombuffer(data, kind, count, start).reshape(shape), end
