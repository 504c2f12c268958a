"""Processing of a stream's frame: track faces, smooth them over time, paint their looks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from makeup_sdk.faces import FaceStatus
from makeup_sdk.faces.memory import Memory
from makeup_sdk.faces.smoothing import RegionSmoother, Step, StepEstimator
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.frame import Outfit, Result, judge
from makeup_sdk.makeup.base import Part
from makeup_sdk.models.base import Remembering
from makeup_sdk.pipeline import Brush, FaceToPaint, FramePipeline, Lap, Stroke
from makeup_sdk.stream.options import FadeOptions, StreamOptions
from makeup_sdk.stream.tracker import MOST_TRACKS, TrackedFace, Tracker

_SMALLEST_STEP = 1e-3
"""Minimum seconds between frames."""
_MOST_FACES = 8
"""Number of tracked faces if the engine sets no limit; more give a warning."""
_MOST_LOOKS = 3
"""Maximum looks in a cross-fade of one face; each costs the time to paint it."""


class Wardrobe(Protocol):
    """The part of an engine that a stream uses; see `MakeupEngine`."""

    max_faces: int | None
    color: str

    @property
    def pipeline(self) -> FramePipeline: ...

    def outfit(self, face_id: int) -> Outfit | None: ...

    def strength_of(self, outfit: Outfit) -> dict[Part, float]: ...


class FrameProcessor:
    """`MakeupEngine.process_detailed` with tracking and smoothing between frames.

    Uses the engine's current looks and strength for each frame; a change of look cross-fades.
    Without a look, faces are tracked but not painted.

    Args:
        engine: provides the looks.
        options: see `StreamOptions`.
    """

    def __init__(self, engine: Wardrobe, options: StreamOptions) -> None:
        self._engine = engine
        self._tracker = make_tracker(engine, options)
        self._dresser = Dresser(engine, options, fade_in=True)
        self._clock = FrameClock()

    def process(self, frame: Any, time: float) -> Result:
        """Put the looks on the faces of the next frame.

        Args:
            frame: uint8 (H, W, 3) in the engine's channel order, on the engine's device; not
                modified.
            time: seconds, greater than at the last call.

        Raises:
            InvalidInputError: the frame has the wrong dtype or shape.
        """
        self._clock.advance(time)
        return self._engine.pipeline.run(frame, self)

    def faces(self, view: Any, lap: Lap) -> list[FaceToPaint]:
        """See `FaceSource.faces`; in the order of their ids."""
        tracked = self._tracker.update(view, self._clock.time, lap)
        faces = self._dresser.dress(tracked, self._clock.step)
        lap("analyze")
        return faces

    def remember(self) -> Memory:
        """Its current state: a few KB of numbers and about 10 KB of maps per face.

        Looks and options are not part of it.
        """
        memory = Memory()
        self._tracker.remember(memory.below("tracker"), self._clock.time)
        self._dresser.remember(memory.below("dresser"))
        return memory

    def recall(self, memory: Memory, time: float, *, same_looks: bool) -> None:
        """Resume from another processor's state, before the first frame.

        Args:
            memory: state of the other one, which had the same options.
            time: when it was stored, in seconds of this processor's frames.
            same_looks: whether faces have the same looks as then; else their paint starts fresh.

        Raises:
            InvalidInputError: not the state of a processor. Use a new processor then.
        """
        self._clock.advance(time)
        self._tracker.recall(memory.below("tracker"), time)
        self._dresser.recall(memory.below("dresser"), same_looks=same_looks)


class FrameClock:
    """Frame times, forced to increase.

    Attributes:
        time: seconds of the newest frame.
        step: seconds since the previous frame; 0 for the first one.
    """

    def __init__(self) -> None:
        self.time = 0.0
        self.step = 0.0
        self._started = False

    def advance(self, time: float) -> None:
        """Advance to the next frame."""
        if self._started:
            time = max(time, self.time + _SMALLEST_STEP)
            self.step = time - self.time
        self.time, self._started = time, True


def make_tracker(engine: Wardrobe, options: StreamOptions) -> Tracker:
    """The tracker of a stream."""
    analyzer = engine.pipeline.backend.analyzer
    limit = engine.max_faces or _MOST_FACES
    return Tracker(analyzer, limit, options.tracker, options.smoothing)


class Dresser:
    """Decides the looks and opacities of the tracked faces; keeps state between frames.

    Args:
        engine: provides the looks.
        options: see `StreamOptions`.
        fade_in: whether makeup fades in on faces that were not in the first frame.
    """

    def __init__(self, engine: Wardrobe, options: StreamOptions, *, fade_in: bool) -> None:
        self._engine = engine
        self._options = options
        self._fade_in = fade_in
        self._wearers: dict[int, _Wearer] = {}
        self._started = False

    def dress(self, tracked: list[TrackedFace], step: float) -> list[FaceToPaint]:
        """The faces of the next frame, `step` seconds after the last one."""
        faces, wearers = [], {}
        for face in tracked:
            wearer = self._wearers.get(face.track_id)
            if wearer is None:
                fades = self._fade_in and self._started
                wearer = _Wearer(self._options, self._engine, appeared=fades)
            to_paint = wearer.wear(face, step)
            if face.lost and not to_paint.strokes:  # faded out
                continue
            faces.append(to_paint)
            wearers[face.track_id] = wearer
        self._wearers = wearers  # a returning face starts bare
        self._started = True
        return faces

    def remember(self, memory: Memory) -> None:
        """Store the opacities and averages of all faces."""
        memory.put("wearers", list(self._wearers))
        memory.put("count", len(self._wearers))
        for track_id, wearer in self._wearers.items():
            wearer.remember(memory.below(str(track_id)))

    def recall(self, memory: Memory, *, same_looks: bool) -> None:
        """Restore them; see `FrameProcessor.recall`."""
        for track_id in memory.take("wearers", (memory.take_count("count", MOST_TRACKS),)):
            wearer = _Wearer(self._options, self._engine, appeared=True)
            outfit = self._engine.outfit(int(track_id)) if same_looks else None
            wearer.recall(memory.below(str(int(track_id))), outfit)
            self._wearers[int(track_id)] = wearer
        self._started = True


class _Wearer:
    """A face's makeup over time: its opacity, and the looks of a cross-fade."""

    def __init__(self, options: StreamOptions, engine: Wardrobe, *, appeared: bool) -> None:
        self._fade = options.fade
        self._smoothing = options.smoothing
        self._engine = engine
        self._estimate = StepEstimator()
        self._smooth = RegionSmoother(options.smoothing.regions) if options.smoothing else None
        self._opacity = 0.0
        self._appeared = appeared
        self._worn: list[_Worn] = []

    def wear(self, tracked: TrackedFace, dt: float) -> FaceToPaint:
        """Update with the current face, dt seconds after the last frame."""
        face, step = tracked.analysis, None
        if self._smooth is not None:
            step = self._estimate(face, dt)
            face = replace(face, regions=self._smooth(face.regions, step))
        status, visible = (FaceStatus.UNSURE, 0.0) if tracked.lost else judge(face)
        if self._appeared:
            self._opacity = faded(self._opacity, visible, dt, self._fade)
        else:  # present when the stream began, or no fade-in
            self._opacity, self._appeared = visible, True
        self._dress(self._engine.outfit(tracked.track_id), dt)
        place = (face.landmarks, tracked.box, face.score, tracked.track_id)
        return FaceToPaint(*place, status, tuple(self._strokes(face, step)))

    def remember(self, memory: Memory) -> None:
        """Store the opacity, and the averages of face and paint."""
        memory.put("opacity", self._opacity)
        self._estimate.remember(memory)
        if self._smooth is not None:
            self._smooth.remember(memory)
        if self._worn and isinstance(self._worn[-1].brush, Remembering):
            self._worn[-1].brush.remember(memory.below("paint"))

    def recall(self, memory: Memory, outfit: Outfit | None) -> None:
        """Restore them, with the outfit of that time; None if it was another one.

        A change of looks that was on its way is over.
        """
        self._opacity = min(max(float(memory.take("opacity")), 0.0), 1.0)
        self._estimate.recall(memory)
        if self._smooth is not None:
            self._smooth.recall(memory)
        if outfit is not None:
            self._worn = [self._put_on(outfit, 1.0)]
            if isinstance(self._worn[0].brush, Remembering):
                self._worn[0].brush.recall(memory.below("paint"))

    def _dress(self, outfit: Outfit | None, dt: float) -> None:
        """Advance the cross-fade from the current looks to one outfit."""
        if not self._worn or self._fade.look <= 0:
            if not self._worn or self._worn[-1].outfit is not outfit:
                self._worn = [self._put_on(outfit, 1.0)]
            return
        current = next((worn for worn in self._worn if worn.outfit is outfit), None)
        if current is None:
            current = self._put_on(outfit, 0.0)
            kept = sorted(self._worn, key=lambda worn: worn.share)[1 - _MOST_LOOKS :]
            self._worn = [*kept, current]
        others = sum(worn.share for worn in self._worn if worn is not current)
        left = max(1 - current.share - dt / self._fade.look, 0.0)
        for worn in self._worn:
            worn.share = 1 - left if worn is current else worn.share * left / others
        self._worn = [worn for worn in self._worn if worn is current or worn.share > 0]

    def _put_on(self, outfit: Outfit | None, share: float) -> "_Worn":
        brush = None
        if outfit is not None:
            brush = self._engine.pipeline.backend.brush(outfit.painter, self._smoothing)
        return _Worn(outfit, brush, share)

    def _strokes(self, face: FaceAnalysis, step: Step | None) -> Iterator[Stroke]:
        """The strokes to paint; none if the face stays bare."""
        for worn in self._worn:
            opacity = self._opacity * worn.share
            if worn.outfit is None or opacity <= 0:
                continue
            strength = self._engine.strength_of(worn.outfit)
            if strength:
                yield Stroke(face, worn.brush, strength, opacity, step)


@dataclass
class _Worn:
    """An outfit, its brush for this face, and its opacity."""

    outfit: Outfit | None
    brush: Brush
    share: float


def faded(opacity: float, target: float, dt: float, fade: FadeOptions) -> float:
    """The opacity after a time step, moving to its target at the speed of the options."""
    if target > opacity:
        return min(target, opacity + dt / fade.appear) if fade.appear > 0 else target
    return max(target, opacity - dt / fade.vanish) if fade.vanish > 0 else target
