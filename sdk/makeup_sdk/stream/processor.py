"""One frame of a stream: follow the faces, steady them, put on what each wears."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_sdk.classic.light import from_log, to_log
from makeup_sdk.classic.tone import SkinTone
from makeup_sdk.engine import MakeupEngine, Outfit, Result, Stopwatch, judge, to_bgr
from makeup_sdk.faces import Face, FaceAnalysis, FaceStatus
from makeup_sdk.images import check_frame
from makeup_sdk.mobile.paint import weaken
from makeup_sdk.model import ChangePainter, CropPaint, LayerPainter, Paint
from makeup_sdk.stream.options import FadeOptions, StreamOptions
from makeup_sdk.stream.steady import PaintPast, SteadyFace
from makeup_sdk.stream.tracker import TrackedFace, Tracker

FloatArray = NDArray[np.float32]
Image = NDArray[np.uint8]

_FAINTEST_CHANGE = 1e-3
"""Log light: less than this changes no pixel by a whole step."""
_SMALLEST_STEP = 1e-3
"""Seconds from one frame to the next, at least."""
_MOST_FACES = 8
"""Faces that a stream follows where the engine sets no limit; more are told."""
_MOST_LAYERS = 3
"""Looks that one face changes between at once; each costs the time to paint it."""


class FrameProcessor:
    """`MakeupEngine.process_detailed` with a memory of the frames before.

    Looks and strength are the engine's at the moment of each frame; a change of look cross-fades.
    Without a look, frames come back bare, their faces tracked all the same.

    Args:
        engine: whose looks are worn.
        options: see there.
    """

    def __init__(self, engine: MakeupEngine, options: StreamOptions) -> None:
        self._engine = engine
        self._options = options
        self._tracker = Tracker(
            engine.analyzer, engine.max_faces or _MOST_FACES, options.tracker, options.stillness
        )
        self._wearers: dict[int, _Wearer] = {}
        self._last_time: float | None = None

    def process(self, frame: Image, time: float) -> Result:
        """Put the looks on the faces of the next frame.

        Args:
            frame: uint8 (H, W, 3) in the engine's channel order; not modified.
            time: seconds, more than at the last call.

        Raises:
            InvalidInputError: the frame has the wrong dtype or shape.
        """
        frame = check_frame(frame)
        started = self._last_time is None
        if self._last_time is not None:
            time = max(time, self._last_time + _SMALLEST_STEP)
        dt = 0.0 if self._last_time is None else time - self._last_time
        self._last_time = time
        image = np.array(frame, order="C")
        watch = Stopwatch()
        bgr = to_bgr(frame, self._engine.color)
        tracked = self._tracker.update(bgr, time, watch.lap)
        faces = []
        for face in tracked:
            wearer = self._wearers.get(face.track_id)
            if wearer is None:
                wearer = _Wearer(self._options, appeared=not started)
                self._wearers[face.track_id] = wearer
            analysis, status = wearer.see(face, dt)
            watch.lap("analyze")
            wearer.dress(self._engine.outfit(face.track_id), dt)
            paints = wearer.paint(analysis, self._engine, dt)
            watch.lap("generate")
            if face.lost and not paints:  # faded out
                continue
            for paint in paints:
                self._engine.put(image, analysis, paint)
            watch.lap("composite")
            faces.append(
                Face(
                    analysis.landmarks,
                    face.box,
                    analysis.score,
                    face.track_id,
                    status,
                    bool(paints),
                )
            )
        seen = {face.track_id for face in faces}
        self._wearers = {key: self._wearers[key] for key in seen}  # who returns comes back bare
        return Result(image, tuple(faces), watch.timings)


class _Wearer:
    """A face's makeup over time: how far it is faded in, and which looks it changes between."""

    def __init__(self, options: StreamOptions, *, appeared: bool) -> None:
        self._fade = options.fade
        self._steady = SteadyFace(options.stillness) if options.stillness else None
        self._opacity = 0.0
        self._appeared = appeared
        self._worn: list[_Worn] = []

    def see(self, face: TrackedFace, dt: float) -> tuple[FaceAnalysis, FaceStatus]:
        """Take the face as it is now: its steadied analysis, and what it may wear."""
        analysis = face.analysis
        if self._steady is not None:
            regions = self._steady.regions(analysis, dt)
            analysis = FaceAnalysis(
                analysis.landmarks, analysis.score, analysis.matrix, analysis.crop, regions
            )
        status, visible = (FaceStatus.UNSURE, 0.0) if face.lost else judge(analysis)
        if self._appeared:
            self._opacity = faded(self._opacity, visible, dt, self._fade)
        else:  # it was there when the stream began
            self._opacity, self._appeared = visible, True
        return analysis, status

    def dress(self, outfit: Outfit | None, dt: float) -> None:
        """Move on from the looks worn until now to one outfit."""
        if not self._worn or self._fade.look <= 0:
            if not self._worn or self._worn[-1].outfit is not outfit:
                self._worn = [_Worn(outfit, 1.0)]
            return
        current = next((worn for worn in self._worn if worn.outfit is outfit), None)
        if current is None:
            current = _Worn(outfit, 0.0)
            kept = sorted(self._worn, key=lambda worn: worn.share)[1 - _MOST_LAYERS :]
            self._worn = [*kept, current]
        others = sum(worn.share for worn in self._worn if worn is not current)
        left = max(1 - current.share - dt / self._fade.look, 0.0)
        for worn in self._worn:
            worn.share = 1 - left if worn is current else worn.share * left / others
        self._worn = [worn for worn in self._worn if worn is current or worn.share > 0]

    def paint(self, face: FaceAnalysis, engine: MakeupEngine, dt: float) -> list[Paint]:
        """What goes into the frame; nothing if it stays bare."""
        if self._opacity <= 0:
            return []
        dressed = [(worn, worn.outfit) for worn in self._worn if worn.outfit is not None]
        layers = [
            (worn, outfit.painter, engine.strength_of(outfit))
            for worn, outfit in dressed
            if isinstance(outfit.painter, LayerPainter)
        ]
        paints: list[Paint] = []
        for worn, outfit in dressed:
            opacity = self._opacity * worn.share
            strength = {r: share * opacity for r, share in engine.strength_of(outfit).items()}
            if not strength or opacity <= 0 or isinstance(outfit.painter, LayerPainter):
                continue
            if isinstance(outfit.painter, ChangePainter):
                change = outfit.painter.change(face)
                if self._steady is not None:
                    change = self._steady.change(worn.past, change, face.crop)
                paints.append(weaken(change, face.regions, strength))
            else:
                paints.append(outfit.painter.paint(face, strength))
        layered = self._paint_layers(face, layers, dt) if layers else None
        return paints if layered is None else [layered, *paints]

    def _paint_layers(
        self,
        face: FaceAnalysis,
        layers: list[tuple["_Worn", LayerPainter, dict[Region, float]]],
        dt: float,
    ) -> CropPaint | None:
        """Layers of log light, averaged over time and added up; None if nothing can be seen."""
        light = to_log(face.crop)
        tone = SkinTone.fit(light, face.regions)
        if tone is None:
            return None
        if self._steady is not None:
            tone = self._steady.tone(tone, dt)
        change = np.zeros_like(light)
        for worn, painter, strength in layers:
            layer, _ = painter.layer(face, light, tone, strength)
            if self._steady is not None:
                layer = self._steady.layer(worn.past, layer)
            change += layer * np.float32(self._opacity * worn.share)
        faint = (-_FAINTEST_CHANGE,) * 3, (_FAINTEST_CHANGE,) * 3
        mask = (cv2.inRange(change, *faint) == 0).astype(np.float32)
        return CropPaint(from_log(light + change), mask) if mask.any() else None


@dataclass
class _Worn:
    """An outfit, how much of it shows, and the averages of its paint."""

    outfit: Outfit | None
    share: float
    past: PaintPast = field(default_factory=dict)


def faded(opacity: float, target: float, dt: float, fade: FadeOptions) -> float:
    """The opacity a time step later, on its way to its target at the pace of the options."""
    if target > opacity:
        return min(target, opacity + dt / fade.appear) if fade.appear > 0 else target
    return max(target, opacity - dt / fade.vanish) if fade.vanish > 0 else target
