"""Streams resume in another processor: the paint does not jump, and faces keep their ids."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import FPS, HEIGHT, WIDTH, Actor, film, still

from makeup_kernels import InvalidInputError
from makeup_sdk import Look, MakeupEngine
from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_sdk.faces.memory import Memory
from makeup_sdk.frame import Result
from makeup_sdk.stream import FrameProcessor, StreamOptions

Image = NDArray[np.uint8]
MOVE = 34
"""The first frame of the second processor."""


def around(t: float) -> tuple[float, float]:
    return WIDTH / 2 + 80 * math.sin(2 * t), HEIGHT / 2 + 15 * math.sin(3.1 * t)


def changes(results: list[Result], frames: list[Image]) -> NDArray[np.int16]:
    """What makeup adds to each frame."""
    return np.stack(
        [r.image.astype(np.int16) - frame for r, frame in zip(results, frames, strict=True)]
    )


def sizes(difference: NDArray[np.int16]) -> NDArray[np.float64]:
    """Mean, and what one in a thousand values exceeds."""
    return np.array([np.abs(difference).mean(), np.percentile(np.abs(difference), 99.9)])


@pytest.mark.parametrize("gap", [1, 16])
@pytest.mark.parametrize("path", [still(), around], ids=["still", "moving"])
@pytest.mark.parametrize("worn", ["photo", "products", "both"])
def test_no_jump(
    look: Look,
    analyzer: BundledFaceAnalyzer,
    path: Callable[[float], tuple[float, float]],
    worn: str,
    gap: int,
) -> None:
    """The second processor's frames are as near to an undisturbed run's as two of its frames are to
    each other; `gap` frames after what it remembers. All parts of products are painted anew in its
    first frame, two at most in an undisturbed one.
    """
    soft = Look.shipped("soft-glam")
    worn_look = {"photo": look, "products": soft, "both": look.with_products(soft.products)}[worn]
    engine = MakeupEngine(worn_look, analyzer=analyzer)
    frames = list(film([Actor("medium.jpg", path)], MOVE + 4, noise=4))
    first, results, memory = FrameProcessor(engine, StreamOptions()), [], b""
    for number, frame in enumerate(frames):
        results.append(first.process(frame, number / FPS))
        if number == MOVE - gap:
            memory = first.remember().to_bytes()
    control = changes(results, frames)
    second = FrameProcessor(engine, StreamOptions())
    second.recall(Memory.from_bytes(memory), (MOVE - gap) / FPS, same_looks=True)
    rest = range(MOVE, len(frames))
    moved = changes([second.process(frames[k], k / FPS) for k in rest], frames[MOVE:])
    largest = np.max([sizes(control[k] - control[k - 1]) for k in range(16, len(frames))], axis=0)
    for k, change in zip(rest, moved, strict=True):
        assert (sizes(change - control[k]) <= largest * (1 if worn == "photo" else 1.25)).all()
    assert len(memory) < 110_000


def test_faces_keep_their_ids_and_lost_ones_are_known_again(
    look: Look, analyzer: BundledFaceAnalyzer
) -> None:
    def away(t: float) -> tuple[float, float] | None:
        return (160.0, 180.0) if t < 0.4 or t > 0.9 else None

    actors = [Actor("dark.jpg", still(480, 180)), Actor("light.jpg", away)]
    frames = list(film(actors, 40))
    engine = MakeupEngine(look, analyzer=analyzer)
    first, ids = FrameProcessor(engine, StreamOptions()), []
    for number in range(20):
        ids.append({f.track_id: f.box for f in first.process(frames[number], number / FPS).faces})
    second = FrameProcessor(engine, StreamOptions())
    memory = Memory.from_bytes(first.remember().to_bytes())
    second.recall(memory, 19 / FPS, same_looks=True)
    for number in range(20, 40):
        faces = {f.track_id: f.box for f in second.process(frames[number], number / FPS).faces}
    assert set(ids[5]) == set(faces) == {0, 1}
    for number, box in faces.items():
        np.testing.assert_allclose(box, ids[5][number], atol=6)


def test_another_look_is_worn_whole_at_once(look: Look, analyzer: BundledFaceAnalyzer) -> None:
    frames = list(film([Actor("medium.jpg", still())], 14))
    first = FrameProcessor(MakeupEngine(look, analyzer=analyzer), StreamOptions())
    for number in range(12):
        first.process(frames[number], number / FPS)
    other = MakeupEngine(Look.shipped("soft-glam"), analyzer=analyzer)
    second, fresh = (FrameProcessor(other, StreamOptions()) for _ in range(2))
    second.recall(first.remember(), 11 / FPS, same_looks=False)
    made, expected = (p.process(frames[12], 12 / FPS).image.astype(int) for p in (second, fresh))
    assert np.abs(made - expected).mean() < 0.1 * np.abs(expected - frames[12]).mean()


def test_what_is_no_memory_of_a_stream_is_refused(
    look: Look, analyzer: BundledFaceAnalyzer
) -> None:
    frames = list(film([Actor("medium.jpg", still())], 2))
    engine = MakeupEngine(look, analyzer=analyzer)
    first = FrameProcessor(engine, StreamOptions())
    for number, frame in enumerate(frames):
        first.process(frame, number / FPS)
    memory = first.remember()
    memory.below("tracker/0").put("landmarks", np.zeros((67, 2)))
    for wrong in (memory, Memory()):
        with pytest.raises(InvalidInputError, match="memory: no tracker"):
            FrameProcessor(engine, StreamOptions()).recall(wrong, 1.0, same_looks=True)
