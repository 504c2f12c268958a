"""Mutated look files give a `MakeupError` or a usable look."""

import io
import json
import random
from collections.abc import Callable

import numpy as np
import pytest

from makeup_sdk import Look, MakeupEngine, MakeupError
from makeup_sdk.faces import BundledFaceAnalyzer

HEADS = [["lips", "skin", "eyes", "brows"], ["lips"], [], ["none"], "lips", None, 3, ["x"], 1e400]


def arrays_of(look: Look) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(look.to_bytes())) as archive:
        return {name: archive[name] for name in archive.files}


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def mutated(arrays: dict[str, np.ndarray], chance: random.Random) -> dict[str, np.ndarray]:
    changed = dict(arrays)
    for _ in range(chance.randint(1, 2)):
        name = chance.choice(sorted(changed))
        value = changed[name].copy()
        kind = chance.randrange(6)
        if name == "head":
            head = json.loads(value.tobytes())
            head[chance.choice(sorted(head))] = chance.choice(HEADS)
            changed[name] = np.frombuffer(json.dumps(head).encode(), np.uint8)
        elif kind == 0:
            del changed[name]
        elif kind == 1:
            types = (np.float16, np.float32, np.float64, np.uint8, np.int64, np.bool_)
            changed[name] = value.astype(chance.choice(types))
        elif kind == 2:
            odd = (0, 1, -1, 6, 3e4, np.nan, np.inf) if value.dtype.kind == "f" else (0, 1, 255)
            value.reshape(-1)[chance.randrange(value.size)] = chance.choice(odd)
            changed[name] = value
        elif kind == 3:
            changed[name] = np.full_like(value, chance.choice((0, 1, 255)))
        elif kind == 4:
            changed[name] = value[..., None]
        else:
            changed[name] = value.reshape(-1)[::-1].reshape(value.shape)
    return changed


@pytest.mark.parametrize("kind", ["mobile", "products"])
def test_mutated_looks(
    demo: Callable[[str], np.ndarray], analyzer: BundledFaceAnalyzer, kind: str
) -> None:
    chance = random.Random(14)
    engine = MakeupEngine(analyzer=analyzer, threads=1)
    photo = demo("berry-evening.jpg")
    whole = Look.from_photo(photo, model=engine.model, analyzer=analyzer)
    if kind == "products":
        whole = Look.from_colors(lips="#b3123a", eyes="#1b7f86", blush="#e2607a", finish="gloss")
    arrays = arrays_of(whole)
    assert whole.makeup.kind == kind
    frame = demo("medium.jpg")
    refused = painted = 0
    for _ in range(50):
        data = packed(mutated(arrays, chance))
        try:
            look = Look.from_bytes(data, "x.look")
        except MakeupError as error:
            refused += "not a look file or damaged" in str(error)
            continue
        engine.look = look
        engine.process(frame)
        assert Look.from_bytes(look.to_bytes(), "x.look").regions == look.regions
        painted += 1
    assert refused + painted == 50
    assert min(refused, painted) > 3, (refused, painted)
