"""Seeded damage of files."""

import random
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO

import pytest


def _damaged(data: bytes, chance: random.Random) -> bytes:
    """Bytes flipped, dropped, doubled, zeroed or cut off, as disks, networks and attackers do."""
    content = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(content))
        size = min(chance.choice((1, 2, 4, 16)), len(content) - at)
        kind = chance.randrange(5)
        if kind == 0:
            content[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            content[at : at + size] = chance.randbytes(size)
        elif kind == 2:
            content[at : at + size] = chance.choice((b"\0", b"\xff")) * size
        elif kind == 3:
            content[at:at] = content[at : at + size]
        else:
            del content[at : chance.choice((at + size, len(content)))]
        if not content:
            break
    return bytes(content)


@pytest.fixture
def damages() -> Callable[..., Iterator[bytes]]:
    """`damages(data, count)`: that many damaged copies, the same in every run."""

    def damage(data: bytes, count: int) -> Iterator[bytes]:
        chance = random.Random(0)
        for _ in range(count):
            yield _damaged(data, chance)

    return damage


@pytest.fixture
def damages_in_zip(damages: Callable[..., Iterator[bytes]]) -> Callable[..., Iterator[bytes]]:
    """Like `damages`, of one member of a zip that is itself whole."""

    def damage(data: bytes, member: str, count: int) -> Iterator[bytes]:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        for content in damages(members[member], count):
            buffer = BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                for name, whole in members.items():
                    archive.writestr(name, content if name == member else whole)
            yield buffer.getvalue()

    return damage
