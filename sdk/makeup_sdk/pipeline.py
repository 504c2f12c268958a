"""One frame's way: find the faces, paint them, put the paint into the frame.

`MakeupEngine.process` and streams go the same way, on the CPU and on a GPU. A `FaceSource` says
which faces a frame has and what each wears (a stream's remembers the frames before); a
`FrameBackend` says where the work is done.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces import Face, FaceAnalysis, FaceAnalyzer, FaceStatus
from makeup_sdk.faces.smoothing import SmoothingOptions, Step
from makeup_sdk.frame import Outfit, Result, Stopwatch, judge, output
from makeup_sdk.images import check_frame, to_bgr
from makeup_sdk.look import Look
from makeup_sdk.makeup.base import Part
from makeup_sdk.models.base import Follower, FrameByFrame, Model, Painter

Lap = Callable[[str], None]
"""Books the time since the last call to a stage."""

Brush: TypeAlias = Any
"""Paints one look on one face: a `Follower` on the CPU, a `GpuPainter` on a GPU."""


@dataclass(frozen=True)
class Stroke:
    """What one look puts on one face of a frame.

    Attributes:
        face: the analysed face.
        brush: of the look.
        strength: per region, above 0.
        opacity: in (0, 1]: how far the look is faded in.
        step: what happened to the face since the last frame; None for images, and at first.
    """

    face: FaceAnalysis
    brush: Brush
    strength: Mapping[Part, float]
    opacity: float
    step: Step | None = None


@dataclass(frozen=True)
class FaceToPaint:
    """A face of a frame, and what it wears.

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
    """Finds the faces of frames, and says what each wears."""

    def faces(self, view: Any, lap: Lap) -> list[FaceToPaint]:
        """The faces of a frame.

        Args:
            view: the frame as the backend's analyser takes it.
            lap: called with "detect" or "analyze" after each part of the work.
        """
        ...


class Canvas(Protocol):
    """A frame that is being made up."""

    @property
    def view(self) -> Any:
        """The frame without makeup, as the backend's analyser takes it."""
        ...

    def paint(self, strokes: Sequence[Stroke], lap: Lap) -> None:
        """Put makeup on faces.

        Args:
            strokes: of all faces of the frame.
            lap: called with "generate" or "composite" after each part of the work.
        """
        ...

    def result(self) -> Any:
        """The frame with makeup, of the kind of array that the frame was."""
        ...


class FrameBackend(Protocol):
    """Where frames are worked on.

    Attributes:
        analyzer: takes views of canvases.
        color: channel order of frames, "bgr" or "rgb".
    """

    @property
    def color(self) -> str: ...

    @property
    def analyzer(self) -> FaceAnalyzer: ...

    def canvas(self, frame: Any, out: Any) -> Canvas:
        """Take a frame to be made up.

        Raises:
            InvalidInputError: the frame or `out` has the wrong dtype, shape or place.
        """
        ...

    def analyze(self, view: Any, found: Sequence[Any]) -> list[FaceAnalysis]:
        """Analyse several faces of a view; see `FaceAnalyzer.analyze`."""
        ...

    def painter(self, look: Look) -> Any:
        """Prepare a look to be painted.

        Raises:
            BackendUnavailableError: it cannot be painted here.
        """
        ...

    def brush(self, painter: Any, smoothing: SmoothingOptions | None) -> Brush:
        """Start to paint one face with a painter; without `smoothing`, each frame for itself."""
        ...


class FramePipeline:
    """Takes frames through analysis, paint and put.

    Args:
        backend: where the work is done.
    """

    def __init__(self, backend: FrameBackend) -> None:
        self.backend = backend

    def run(self, frame: Any, source: FaceSource, out: Any = None) -> Result:
        """Put makeup on the faces of one frame.

        Args:
            frame: uint8 (H, W, 3), where the backend takes it.
            source: of the frame's faces.
            out: where the result goes; default a new array.

        Raises:
            InvalidInputError: the frame or `out` has the wrong dtype, shape or place.
        """
        return self.paint(self.backend.canvas(frame, out), source)

    def paint(self, canvas: Canvas, source: FaceSource) -> Result:
        """Put makeup on the faces of a frame that the backend has taken."""
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
        analysis: of the backend's analyser.
        box, score, status: as in `Face`.
        visible: share in [0, 1] of its makeup that it may wear.
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
    """Faces of a single image that were found before, all in the same outfit. A `FaceSource`.

    Attributes:
        found: see `find_faces`.
        backend: paints them.
        outfit: what they wear.
        strength: per region where the outfit has makeup, above 0.
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
    """Faces of a single image, all in the same outfit. A `FaceSource`.

    Attributes:
        backend: analyses them.
        max_faces: at most so many, the most certain ones.
        outfit: what they wear.
        strength: per region where the outfit has makeup, above 0.
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
        model: puts the makeup on.
        analyzer: of BGR frames.
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
    """A NumPy frame that is being made up. See `Canvas`."""

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
