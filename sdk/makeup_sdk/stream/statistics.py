"""Live statistics of a stream."""

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

import numpy as np

_WINDOW = 300
"""Number of frames for rates and percentiles."""


@dataclass(frozen=True)
class StageTime:
    """Milliseconds of a stage: median and 95th percentile of the last 300 frames."""

    p50: float
    p95: float


@dataclass(frozen=True)
class StreamStatistics:
    """A snapshot of a running or ended stream.

    Attributes:
        frames: results delivered.
        captured: frames read from the source.
        dropped: frames replaced by a newer one before processing (policy "latest").
        reconnects: number of reconnections of the source.
        fps: results per second, over the last 300.
        stages: by name: capture, detect, analyze, generate, composite, process (wall time of these
            four together), write.
    """

    frames: int
    captured: int
    dropped: int
    reconnects: int
    fps: float
    stages: Mapping[str, StageTime]


class Recorder:
    """Collects the values of `StreamStatistics`; thread-safe, in bounded memory."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._times: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_WINDOW))
        self._delivered: deque[float] = deque(maxlen=_WINDOW + 1)
        self._frames = 0
        self._captured = 0

    def capture(self, milliseconds: float) -> None:
        """Record a frame that was read."""
        with self._lock:
            self._captured += 1
            self._times["capture"].append(milliseconds)

    def stages(self, times: Mapping[str, float]) -> None:
        """Record milliseconds per stage."""
        with self._lock:
            for stage, milliseconds in times.items():
                self._times[stage].append(milliseconds)

    def deliver(self, now: float) -> None:
        """Record a result delivered at a time in seconds."""
        with self._lock:
            self._frames += 1
            self._delivered.append(now)

    def snapshot(self, dropped: int, reconnects: int) -> StreamStatistics:
        """Current statistics."""
        with self._lock:
            stages = {
                stage: StageTime(*(float(p) for p in np.percentile(times, (50, 95))))
                for stage, times in self._times.items()
            }
            span = self._delivered[-1] - self._delivered[0] if len(self._delivered) > 1 else 0.0
            fps = (len(self._delivered) - 1) / span if span > 0 else 0.0
            return StreamStatistics(self._frames, self._captured, dropped, reconnects, fps, stages)
