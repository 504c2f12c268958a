"""The processing of a frame: find the faces, paint them, put the paint into the frame.

`MakeupEngine.process` and streams share it, on the CPU and on a GPU. A `FaceSource` provides the
faces of a frame and their looks (a stream's keeps state between frames); a `FrameBackend` runs the
work on a device.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces import Face, FaceAnalysis, FaceAnalyzer, FaceStatus
from makeup_sdk.faces.smoothing import SmoothingOptions, Step
from makeup_sdk.frame import Outfit, Result, Stopwatch, judge, output
from makeup_sdk.images import check_frame, to_bgr
from makeup_sdk.looks.look import Look
from makeup_sdk.makeup.base import Part
from makeup_sdk.models.base import Follower, FrameByFrame, Model, Painter

Lap = Callable[[str], None]
"""Adds the time since the last call to a stage."""

Brush: TypeAlias = Any
"""Paints one look on one face: a `Follower` on the CPU, a `GpuPainter` on a GPU."""


@dataclass(frozen=True)
class Stroke:
    """One look to paint on one face of a frame.

    Attributes:
        face: the analysed face.
        brush: paints the look.
        strength: strength per region, above 0.
        opacity: in (0, 1]: how far the look is faded in.
        step: motion and change of the face since the last frame; None for images and first frames.
    """

    face: FaceAnalysis
    brush: Brush
    strength: Mapping[Part, float]
    opacity: float
    step: Step | None = None


@dataclass(frozen=True)
class FaceToPaint:
    """A face of a frame, and the looks to paint on it.

    Attributes:
        landmarks, box, score, track_id, status: as in `Face`.
        strokes: empty for a face that stays bare.
    """

    landmarks: FloatArray
    box: FloatArray
    score: float
    track_id: int
    status: FaceStatus
    strokes: tuple[Stroke, ...]


class FaceSource(Protocol):
    """Finds the faces of frames, and the looks of each."""

    def faces(self, view: Any, lap: Lap) -> list[FaceToPaint]:
        """The faces of a frame.

        Args:
            view: the frame in the form that the backend's analyser expects.
            lap: called with "detect" or "analyze" after each part of the work.
        """
        ...


class Canvas(Protocol):
    """A frame during painting."""

    @property
    def view(self) -> Any:
        """The frame without makeup, in the form that the backend's analyser expects."""
        ...

    def paint(self, strokes: Sequence[Stroke], lap: Lap) -> None:
        """Put makeup on faces.

        Args:
            strokes: strokes of all faces of the frame.
            lap: called with "generate" or "composite" after each part of the work.
        """
        ...

    def result(self) -> Any:
        """The frame with makeup, as the same kind of array as the input."""
        ...


class FrameBackend(Protocol):
    """Processes frames on one kind of device.

    Attributes:
        analyzer: analyses views of canvases.
        color: channel order of frames, "bgr" or "rgb".
    """

    @property
    def color(self) -> str: ...

    @property
    def analyzer(self) -> FaceAnalyzer: ...

    def canvas(self, frame: Any, out: Any) -> Canvas:
        """Start painting a frame.

        Raises:
            InvalidInputError: the frame or `out` has the wrong dtype, shape or device.
        """
        ...

    def analyze(self, view: Any, found: Sequence[Any]) -> list[FaceAnalysis]:
        """Analyse several faces of a view; see `FaceAnalyzer.analyze`."""
        ...

    def painter(self, look: Look) -> Any:
        """Prepare a look for painting.

        Raises:
            BackendUnavailableError: this backend cannot paint it.
        """
        ...

    def brush(self, painter: Any, smoothing: SmoothingOptions | None) -> Brush:
        """Start painting one face with a painter; without `smoothing`, each frame independently."""
        ...


class FramePipeline:
    """Analyses frames, paints the faces and puts the paint into the frame.

    Args:
        backend: runs the work.
    """

    def __init__(self, backend: FrameBackend) -> None:
        self.backend = backend

    def run(self, frame: Any, source: FaceSource, out: Any = None) -> Result:
        """Put makeup on the faces of one frame.

        Args:
            frame: uint8 (H, W, 3), on the backend's device.
            source: provides the frame's faces.
            out: array for the result; default a new array.

        Raises:
            InvalidInputError: the frame or `out` has the wrong dtype, shape or device.
        """
        return self.paint(self.backend.canvas(frame, out), source)

    def paint(self, canvas: Canvas, source: FaceSource) -> Result:
        """Put makeup on the faces of a canvas."""
        watch = Stopwatch()
        found = source.faces(canvas.view, watch.lap)
        canvas.paint([stroke for face in found for stroke in face.strokes], watch.lap)
        faces = tuple(
            Face(f.landmarks, f.box, f.score, f.track_id, f.status, painted=bool(f.strokes))
            for f in found
        )
        return Result(canvas.result(), faces, watch.timings, color=self.backend.color)


@dataclass(frozen=True)
class SeenFace:
    """A face of a single image.

    Attributes:
        analysis: result of the backend's analyser.
        box, score, status: as in `Face`.
        visible: opacity in [0, 1] of its makeup.
    """

    analysis: FaceAnalysis
    box: FloatArray
    score: float
    status: FaceStatus
    visible: float


def find_faces(backend: FrameBackend, view: Any, max_faces: int, lap: Lap) -> list[SeenFace]:
    """The faces of a single image, at most `max_faces`, best first; `lap` as in `FaceSource`."""
    found = backend.analyzer.detect(view, max_faces)
    lap("detect")
    analyses = backend.analyze(view, found) if found else []
    lap("analyze")
    return [
        SeenFace(analysis, detection.box, detection.score, *judge(analysis))
        for analysis, detection in zip(analyses, found, strict=True)
    ]


@dataclass(frozen=True)
class KnownFaces:
    """Known faces of a single image, all with the same outfit. A `FaceSource`.

    Attributes:
        found: see `find_faces`.
        backend: paints them.
        outfit: their outfit.
        strength: non-zero strengths of the outfit's regions.
    """

    found: Sequence[SeenFace]
    backend: FrameBackend
    outfit: Outfit
    strength: Mapping[Part, float]

    def faces(self, view: Any, lap: Lap) -> list[FaceToPaint]:
        """See `FaceSource.faces`; best first."""
        brush = self.backend.brush(self.outfit.painter, None)
        faces = []
        for number, seen in enumerate(self.found):
            face = seen.analysis
            wears = bool(self.strength) and seen.visible > 0
            strokes = (Stroke(face, brush, self.strength, seen.visible),) if wears else ()
            place = (face.landmarks, seen.box, seen.score)
            faces.append(FaceToPaint(*place, number, seen.status, strokes))
        return faces


@dataclass(frozen=True)
class ImageFaces:
    """Faces of a single image, all with the same outfit. A `FaceSource`.

    Attributes:
        backend: analyses them.
        max_faces: maximum number of faces; the most confident are used.
        outfit: their outfit.
        strength: non-zero strengths of the outfit's regions.
    """

    backend: FrameBackend
    max_faces: int
    outfit: Outfit
    strength: Mapping[Part, float]

    def faces(self, view: Any, lap: Lap) -> list[FaceToPaint]:
        """See `FaceSource.faces`; best first."""
        found = find_faces(self.backend, view, self.max_faces, lap)
        return KnownFaces(found, self.backend, self.outfit, self.strength).faces(view, lap)


class CpuBackend:
    """Frames as NumPy arrays, painted by a model on the CPU. See `FrameBackend`.

    Args:
        model: the makeup model.
        analyzer: analyses BGR frames.
        color: channel order of the frames, "bgr" or "rgb".
        threads: CPU threads; None: one per core.
    """

    def __init__(
        self, model: Model, analyzer: FaceAnalyzer, color: str, threads: int | None
    ) -> None:
        self._model = model
        self.analyzer = analyzer
        self.color = color
        self._threads = threads

    def canvas(self, frame: Any, out: Any) -> "CpuCanvas":
        """See `FrameBackend.canvas`."""
        return CpuCanvas(check_frame(frame), out, self.color, self._threads)

    def analyze(self, view: Image, found: Sequence[Any]) -> list[FaceAnalysis]:
        """See `FrameBackend.analyze`."""
        return [self.analyzer.analyze(view, face) for face in found]

    def painter(self, look: Look) -> Painter:
        """See `FrameBackend.painter`."""
        return look.painter(self._model)

    def brush(self, painter: Painter, smoothing: SmoothingOptions | None) -> Follower:
        """See `FrameBackend.brush`."""
        return FrameByFrame(painter) if smoothing is None else painter.follow(smoothing)


class CpuCanvas:
    """A NumPy frame during painting. See `Canvas`."""

    def __init__(self, frame: Image, out: Any, color: str, threads: int | None) -> None:
        self._image = output(frame, out)
        self._color = color
        self._threads = threads
        self.view = to_bgr(frame, color)

    def paint(self, strokes: Sequence[Stroke], lap: Lap) -> None:
        """See `Canvas.paint`."""
        for stroke in strokes:
            face = stroke.face
            paint = stroke.brush.paint(face, stroke.step, stroke.strength, stroke.opacity)
            lap("generate")
            paint.put(self._image, face, color=self._color, threads=self._threads)
            lap("composite")

    def result(self) -> Image:
        """See `Canvas.result`."""
        return self._image
