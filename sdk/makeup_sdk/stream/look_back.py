"""Streams of files: faces have makeup from the first frame that shows them."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from makeup_sdk.frame import Result, Stopwatch
from makeup_sdk.pipeline import Canvas, FaceToPaint, Lap
from makeup_sdk.stream.options import StreamOptions
from makeup_sdk.stream.processor import Dresser, FrameClock, Wardrobe, make_tracker
from makeup_sdk.stream.tracker import TrackedFace

_MOST_BYTES = 512 << 20
"""Maximum bytes of waiting frames."""


@dataclass
class _Waiting:
    """A waiting frame and the faces found in it so far."""

    canvas: Canvas
    step: float
    tracked: list[TrackedFace]
    timings: dict[str, float]


class LookBackProcessor:
    """Like `FrameProcessor`, but delays each result until the detector has run again.

    A newly detected face is tracked back through the waiting frames, so that it has makeup in all
    of them instead of fading in. Results are `TrackerOptions.detect_every` frames late, or fewer if
    the waiting frames would exceed 512 MiB.

    Args:
        engine: provides the looks, at the moment a result is made.
        options: see `StreamOptions`.
    """

    def __init__(self, engine: Wardrobe, options: StreamOptions) -> None:
        self._engine = engine
        self._delay = options.tracker.detect_every
        self._tracker = make_tracker(engine, options)
        self._dresser = Dresser(engine, options, fade_in=False)
        self._clock = FrameClock()
        self._waiting: deque[_Waiting] = deque()
        self._painted: _Waiting | None = None

    def process(self, frame: Any, time: float) -> Result | None:
        """Take the next frame; returns the result of the oldest waiting one, or None.

        Args:
            frame: uint8 (H, W, 3) in the engine's channel order, on the engine's device; not
                modified.
            time: seconds, greater than at the last call.

        Raises:
            InvalidInputError: the frame has the wrong dtype or shape.
        """
        self._clock.advance(time)
        canvas = self._engine.pipeline.backend.canvas(frame, None)
        watch = Stopwatch()
        tracked = self._tracker.update(canvas.view, self._clock.time, watch.lap)
        for face in tracked:
            if not face.lost:
                self._follow_back(face)
        watch.lap("analyze")
        self._waiting.append(_Waiting(canvas, self._clock.step, tracked, watch.timings))
        most = min(self._delay, max(_MOST_BYTES // (2 * frame.nbytes), 1))
        return self._paint() if len(self._waiting) > most else None

    def rest(self) -> Iterator[Result]:
        """Results of the waiting frames, after the source has ended."""
        while self._waiting:
            yield self._paint()

    def faces(self, view: Any, lap: Lap) -> list[FaceToPaint]:
        """See `FaceSource.faces`."""
        assert self._painted is not None  # only `_paint` calls this
        faces = self._dresser.dress(self._painted.tracked, self._painted.step)
        lap("analyze")
        return faces

    def _paint(self) -> Result:
        self._painted = self._waiting.popleft()
        made = self._engine.pipeline.paint(self._painted.canvas, self)
        before = self._painted.timings
        timings = {stage: spent + before.get(stage, 0.0) for stage, spent in made.timings.items()}
        return replace(made, timings=timings)

    def _follow_back(self, face: TrackedFace) -> None:
        """Find a face in the preceding frames, as far back as they show it."""
        landmarks = face.analysis.landmarks
        step = np.zeros_like(landmarks)
        for waiting in reversed(self._waiting):
            seen = [other for other in waiting.tracked if not other.lost]
            if any(other.track_id == face.track_id for other in seen):
                return
            boxes = [other.box for other in seen]
            found = self._tracker.find(waiting.canvas.view, landmarks + step, boxes)
            if found is None:
                return
            step, landmarks = found.landmarks - landmarks, found.landmarks
            others = [other for other in waiting.tracked if other.track_id != face.track_id]
            traced = TrackedFace(face.track_id, found, lost=False)
            waiting.tracked = sorted([*others, traced], key=lambda other: other.track_id)
