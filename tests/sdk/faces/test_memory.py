"""A stream's memory: round trips, and errors for anything else."""

import json
import zlib

import numpy as np
import pytest

from makeup_kernels import InvalidInputError
from makeup_sdk.faces.memory import Memory


def packed(head: object, body: bytes = b"") -> bytes:
    text = json.dumps(head).encode()
    return zlib.compress(len(text).to_bytes(4, "big") + text + body)


def kept() -> Memory:
    memory = Memory()
    memory.put("count", 3)
    memory.below("face").put("speed", [[1.5, -2.25]])
    random = np.random.default_rng(0)
    memory.below("face").put_map("shares", random.uniform(-3, 5, (2, 7, 9)).astype(np.float32))
    memory.put_map("even", np.full((2, 2), 0.7, np.float32))
    return memory


def test_numbers_come_back_as_they_were_and_maps_to_half_a_step() -> None:
    memory = Memory.from_bytes(kept().to_bytes())
    assert memory.take_count("count", 3) == 3
    np.testing.assert_array_equal(memory.below("face").take("speed", (1, 2)), [[1.5, -2.25]])
    expected = np.random.default_rng(0).uniform(-3, 5, (2, 7, 9))
    found = memory.below("face").take_map("shares", (2, 7, 9))
    assert np.abs(found - expected).max() <= 8 / 255 / 2 + 1e-6
    np.testing.assert_allclose(memory.take_map("even", (2, 2)), 0.7, rtol=1e-6)
    assert "speed" in memory.below("face")
    assert "speed" not in memory


def test_what_is_taken_may_be_changed() -> None:
    memory = kept()
    memory.take("count")[...] = 9
    assert memory.take_count("count", 3) == 3


def test_missing_or_of_another_shape() -> None:
    memory = kept()
    with pytest.raises(InvalidInputError, match=r"memory: no face/speed of shape \(2,\)"):
        memory.below("face").take("speed", (2,))
    with pytest.raises(InvalidInputError, match=r"memory: no nothing of shape \(\)"):
        memory.take("nothing")
    with pytest.raises(InvalidInputError, match=r"memory: no even of shape \(3, 3\)"):
        memory.take_map("even", (3, 3))
    with pytest.raises(InvalidInputError, match=r"memory: count is 3.0, expected 0 to 2"):
        memory.take_count("count", 2)
    memory.put("half", 0.5)
    with pytest.raises(InvalidInputError, match=r"memory: half is 0.5, expected 0 to 2"):
        memory.take_count("half", 2)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no zlib",
        zlib.compress(b""),
        zlib.compress(b"\xff\xff\xff\xff{}"),
        packed([]),
        packed({"numbers": []}),
        packed({"numbers": [["a", [1]]], "maps": []}),
        packed({"numbers": [["a", [-1]]], "maps": []}),
        packed({"numbers": [["a", [1 << 40, 1 << 40]]], "maps": []}),
        packed({"numbers": [["a", ["1"]]], "maps": []}, b"1234"),
        packed({"numbers": [["a", [1]]], "maps": []}, np.float32([np.nan]).tobytes()),
        packed({"numbers": [["a", [1]]], "maps": []}, b"12345678"),
        packed({"numbers": [], "maps": [["a", [1], 0, float("inf")]]}, b"1"),
        packed({"numbers": [], "maps": [["a", [1], "x", 1]]}, b"1"),
        packed({"numbers": [], "maps": [["a", [], 0, 1]]}, b"1"),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError, match="memory: damaged"):
        Memory.from_bytes(data)


def test_every_cut_is_refused() -> None:
    data = kept().to_bytes()
    for end in range(len(data)):
        with pytest.raises(InvalidInputError, match="memory: damaged"):
            Memory.from_bytes(data[:end])


def test_what_unpacks_without_end_is_refused() -> None:
    bomb = packed({"numbers": [], "maps": [["a", [1 << 30], 0, 1]]}, bytes(16 << 20))
    with pytest.raises(InvalidInputError, match=r"memory: damaged \(cut short, or too large\)"):
        Memory.from_bytes(bomb)
