"""The engine: frames in, frames with makeup out."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError, Region
from makeup_sdk.arguments import as_count, as_number, as_region
from makeup_sdk.faces import (
    BundledFaceAnalyzer,
    Face,
    FaceAnalysis,
    FaceAnalyzer,
    FaceStatus,
    pupil_distance,
    visible_share,
    yaw_degrees,
)
from makeup_sdk.images import check_frame
from makeup_sdk.look import Look
from makeup_sdk.model import (
    DEFAULT_MODEL,
    MAKEUP_REGIONS,
    Model,
    ModelOptions,
    Paint,
    Painter,
    open_model,
)

if TYPE_CHECKING:
    from makeup_sdk.device.device import Device
    from makeup_sdk.device.path import DevicePainter, DevicePath
    from makeup_sdk.stream import Stream, StreamOptions

Image = NDArray[np.uint8]
Strength = float | Mapping[Region, float] | Mapping[str, float]

COLORS = ("bgr", "rgb")
DEVICES = ("cpu", "cuda")
EVERY_FACE = sys.maxsize
"""As `max_faces` of a `FaceAnalyzer`: no limit."""

_MIN_PUPIL_DISTANCE = 10.0
_MIN_SCORE = 0.5
_MIN_VISIBLE = 0.4
_SIDE_VIEW = (30.0, 48.0)
"""Degrees of yaw between which makeup fades out."""


@dataclass(frozen=True)
class Result:
    """What `MakeupEngine.process_detailed` returns.

    Attributes:
        image: the frame with makeup, layout as the input.
        faces: every face that was found, most certain first, painted or not (`Face.status`).
        timings: milliseconds per stage: detect, analyze, generate, composite.
    """

    image: Image
    faces: tuple[Face, ...]
    timings: Mapping[str, float]


@dataclass(frozen=True)
class Outfit:
    """What a face wears: a look, made ready to be painted."""

    look: Look
    painter: Painter
    on_device: "DevicePainter | None" = None


@dataclass
class Stopwatch:
    """Adds up wall time per stage."""

    timings: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("detect", "analyze", "generate", "composite"), 0.0)
    )
    _since: float = field(default_factory=perf_counter)

    def lap(self, stage: str) -> None:
        """Book the time since the last lap to a stage."""
        now = perf_counter()
        self.timings[stage] += (now - self._since) * 1e3
        self._since = now


class MakeupEngine:
    """Puts a look on the faces of frames.

        engine = MakeupEngine(look="reference.jpg")
        frame_out = engine.process(frame)

    An engine keeps no state between frames (a `stream` keeps its own) and may be shared by threads.

    Args:
        look: a `Look`, the path of a look file (`.look`) or of a reference photo, or a reference
            photo as a frame; None paints nothing until `engine.look` is set.
        model: "mobile", "classic", the path of a published model's bundle (a directory or a zip,
            made by `makeup export` or `makeup import`), or a `Model`.
        backend: runs the graphs of a bundle: "auto", or a name of `makeup_engines.BACKENDS`, which
            runs or raises.
        device: where frames are worked on: "cpu", or "cuda", where `process` also takes frames on
            the GPU (torch, CuPy, PyCUDA) and gives the same kind back; `mobile` and psgan bundles
            only, needs torch with CUDA and Triton, and has not run on a GPU yet. Streams stay on
            the CPU.
        strength: how much of the look arrives: one number in [0, 1], or a mapping from `Region`,
            or its name ("lips"), to such a number, in which regions that are not named stay bare.
        max_faces: paint at most this many faces, the most certain ones; None paints every face of
            a frame, and follows 8 in a stream.
        color: channel order of the frames, "bgr" or "rgb".
        analyzer: face analysis; default `BundledFaceAnalyzer`.
        threads: CPU threads; default one per core.

    Raises:
        InvalidInputError: an argument is out of range.
        NoFaceError: the reference photo has no usable face.
        BundleError: the look file or the bundle is missing or damaged, or of another kind.
        BackendUnavailableError: the backend cannot run here.
    """

    def __init__(
        self,
        look: Look | str | Path | Image | None = None,
        *,
        model: str | Path | Model = DEFAULT_MODEL,
        backend: str = "auto",
        device: str = "cpu",
        strength: Strength = 1.0,
        max_faces: int | None = None,
        color: str = "bgr",
        analyzer: FaceAnalyzer | None = None,
        threads: int | None = None,
    ) -> None:
        if color not in COLORS:
            raise InvalidInputError(f"color: {color!r} is unknown; expected one of {COLORS}")
        if max_faces is not None:
            max_faces = as_count(max_faces, "max_faces", "an integer of at least 1, or None")
        self.max_faces = max_faces
        self.color = color
        if threads is not None:
            threads = as_count(threads, "threads", "an integer of at least 1, or None")
        self.threads = threads
        if device not in DEVICES:
            raise InvalidInputError(f"device: {device!r} is unknown; expected one of {DEVICES}")
        options = ModelOptions(backend, threads, device)
        gpu = _open_device() if device == "cuda" else None
        self.model = open_model(model, options)
        self._path = _device_path(self.model, options, gpu) if gpu else None
        self.analyzer = analyzer or BundledFaceAnalyzer(threads=threads)
        self._outfit: Outfit | None = None
        self._outfits: dict[int, Outfit | None] = {}
        self.strength = strength
        self.look = look

    @property
    def look(self) -> Look | None:
        """The look that is worn; set it to anything that the constructor takes."""
        return self._outfit.look if self._outfit else None

    @look.setter
    def look(self, look: Look | str | Path | Image | None) -> None:
        self._outfit = self._tailor(look)

    def wear(self, face_id: int, look: Look | str | Path | Image | None) -> None:
        """Give one face of a stream a look of its own; None leaves it bare.

        Args:
            face_id: `Face.track_id` of the stream's results; may be given before the face is seen.
            look: anything that the constructor takes.
        """
        if not isinstance(face_id, int):
            raise InvalidInputError(f"face_id: got {face_id!r}, expected a `Face.track_id`")
        self._outfits[face_id] = self._tailor(look)

    def wear_default(self, face_id: int) -> None:
        """Let a face of a stream wear `engine.look` again, like every face not named to `wear`."""
        self._outfits.pop(face_id, None)

    def outfit(self, face_id: int) -> Outfit | None:
        """What a face of a stream wears now; None if it stays bare."""
        return self._outfits.get(face_id, self._outfit)

    def _tailor(self, look: Look | str | Path | Image | None) -> Outfit | None:
        if look is None:
            return None
        if isinstance(look, (str, Path)) and Path(look).suffix == ".look":
            look = Look.load(look)
        elif isinstance(look, np.ndarray):
            frame = check_frame(look, "look")
            photo = to_bgr(frame, self.color)
            look = Look.from_photo(photo, model=self.model, analyzer=self.analyzer)
        elif isinstance(look, (str, Path)):
            look = Look.from_photo(look, model=self.model, analyzer=self.analyzer)
        elif not isinstance(look, Look):
            raise InvalidInputError(
                f"look: got {type(look).__name__}, expected a Look, a path or a frame"
            )
        look = look.made_for(self.model)
        on_device = self._path.painter(look) if self._path else None
        return Outfit(look, self.model.painter(look), on_device)

    @property
    def strength(self) -> Mapping[Region, float]:
        """Strength per region, read-only; set it to what the constructor takes."""
        return MappingProxyType(self._strength)

    @strength.setter
    def strength(self, strength: Strength) -> None:
        self._strength = normalize_strength(strength)

    def process(self, frame: Image, *, out: Image | None = None) -> Image:
        """Put the look on every face of a frame.

        Args:
            frame: uint8 (H, W, 3), any strides, read-only allowed; never modified unless
                `out=frame`. With device="cuda" also an array on the GPU, each row without gaps.
            out: where the result goes, on the GPU where the frame is; default a new array.

        Returns:
            uint8 (H, W, 3). Pixels outside the made-up regions are bit-identical to the input; a
            frame without a face comes back unchanged.

        Raises:
            InvalidInputError: the frame or `out` has the wrong dtype or shape, or no look is set.
        """
        return self.process_detailed(frame, out=out).image

    def process_detailed(self, frame: Image, *, out: Image | None = None) -> Result:
        """Like `process`, with the faces found and the time each stage took."""
        outfit = self._outfit
        if self._path is None:
            frame = check_frame(frame)
        if outfit is None:
            raise InvalidInputError("no look is set; give MakeupEngine a look, or set engine.look")
        strength = self.strength_of(outfit)
        if self._path is not None and outfit.on_device is not None:
            return self._path.process(
                frame,
                out,
                outfit.on_device,
                strength,
                color=self.color,
                max_faces=self.max_faces or EVERY_FACE,
            )
        image = output(frame, out)
        watch = Stopwatch()
        bgr = to_bgr(frame, self.color)
        faces = []
        found = self.analyzer.detect(bgr, self.max_faces or EVERY_FACE)
        watch.lap("detect")
        analyses = [(self.analyzer.analyze(bgr, face), face) for face in found]
        watch.lap("analyze")
        for number, (analysis, detection) in enumerate(analyses):
            status, fade = judge(analysis)
            worn_here = bool(strength) and fade > 0
            faces.append(
                Face(analysis.landmarks, detection.box, detection.score, number, status, worn_here)
            )
            if not worn_here:
                continue
            paint = outfit.painter.paint(
                analysis, {region: amount * fade for region, amount in strength.items()}
            )
            watch.lap("generate")
            self.put(image, analysis, paint)
            watch.lap("composite")
        return Result(image, tuple(faces), watch.timings)

    def stream(
        self, source: Any, sink: Any = None, *, options: "StreamOptions | None" = None
    ) -> "Stream":
        """Put looks on the faces of a video or camera, frame by frame.

            for result in engine.stream(0):
                show(result.image)
            engine.stream("in.mp4", sink="out.mp4").run()

        Args:
            source: camera index; path of a video file or of a folder of images; URL (rtsp://,
                http://, …); GStreamer pipeline, where OpenCV has GStreamer; an iterable of frames
                in the engine's channel order; or a `makeup_sdk.stream.Source`.
            sink: path of a video file or of a folder for images; "window"; "camera" (a virtual
                one); a function of a `StreamResult`; a `makeup_sdk.stream.Sink`; None for no sink.
            options: see `StreamOptions`; stillness is on by default.

        Returns:
            a `Stream`: iterate over its results, or call `run()` to go through to the end.

        Raises:
            InvalidInputError: the source cannot be opened, or the sink not written.
            BackendUnavailableError: source or sink need something that is not installed.
        """
        from makeup_sdk.stream import open_stream

        return open_stream(self, source, sink, options)

    def strength_of(self, outfit: Outfit) -> dict[Region, float]:
        """The engine's strength where an outfit has makeup, above 0."""
        return {
            region: amount
            for region, amount in self._strength.items()
            if amount > 0 and region in outfit.look.regions
        }

    def put(self, image: Image, face: FaceAnalysis, paint: Paint) -> None:
        """Put the paint of a face into an image of the engine's channel order, in place."""
        paint.put(image, face, color=self.color, threads=self.threads)


def _open_device() -> "Device":
    """The GPU; what it needs is imported only where it is asked for."""
    from makeup_sdk.device.device import Device

    return Device()


def _device_path(model: Model, options: ModelOptions, device: "Device") -> "DevicePath":
    """The way of frames on the GPU."""
    from makeup_sdk.device.path import DevicePath

    return DevicePath(model, options, device)


def to_bgr(frame: Image, color: str) -> Image:
    """A frame of channel order "bgr" (as it is) or "rgb" (turned around, contiguous) as BGR."""
    return np.ascontiguousarray(frame[..., ::-1]) if color == "rgb" else frame


def normalize_strength(strength: Strength) -> dict[Region, float]:
    """A number or mapping to one number in [0, 1] per makeup region.

    Raises:
        InvalidInputError: a number is not in [0, 1], or a key is no makeup region.
    """
    if isinstance(strength, Mapping):
        given = {as_region(key, "strength"): value for key, value in strength.items()}
        amounts = {
            region: as_number(given.get(region, 0.0), f"strength of {region.name.lower()}")
            for region in MAKEUP_REGIONS
        }
    else:
        amounts = dict.fromkeys(MAKEUP_REGIONS, as_number(strength, "strength"))
    for region, amount in amounts.items():
        if not 0 <= amount <= 1:
            raise InvalidInputError(
                f"strength: {amount} for {region.name.lower()}, expected a number in [0, 1]"
            )
    return amounts


def judge(face: FaceAnalysis) -> tuple[FaceStatus, float]:
    """Whether a face can wear makeup: its status, and the share in [0, 1] that it may wear."""
    if face.score < _MIN_SCORE:
        return FaceStatus.UNSURE, 0.0
    if pupil_distance(face.landmarks) < _MIN_PUPIL_DISTANCE:
        return FaceStatus.TOO_SMALL, 0.0
    if visible_share(face) < _MIN_VISIBLE:
        return FaceStatus.OCCLUDED, 0.0
    start, end = _SIDE_VIEW
    fade = float(np.clip((end - abs(yaw_degrees(face.landmarks))) / (end - start), 0, 1))
    return (FaceStatus.OK if fade == 1 else FaceStatus.SIDE_VIEW), fade


def output(frame: Image, out: Image | None) -> Image:
    """The array that the result is written to, already holding the frame."""
    if out is frame:
        if not frame.flags.writeable:
            raise InvalidInputError("out: the frame is read-only; leave out=, or give a copy")
        return frame
    if out is None:
        return np.array(frame, order="C")
    out = check_frame(out, "out")
    if out.shape != frame.shape or not out.flags.writeable:
        raise InvalidInputError(
            f"out: got shape {out.shape}, writeable {out.flags.writeable}, "
            f"expected a writeable array of the frame's shape {frame.shape}"
        )
    np.copyto(out, frame)
    return out
