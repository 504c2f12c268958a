"""The engine: frames in, frames with makeup out."""

import asyncio
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL.Image import Image as Pillow

from makeup_kernels import InvalidInputError, Region
from makeup_kernels.dispatch import thread_count, usable_cores
from makeup_kernels.types import Image
from makeup_sdk.arguments import as_count, as_number
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalyzer
from makeup_sdk.frame import (
    Outfit,
    Result,
    StrengthLike,
    normalize_strength,
)
from makeup_sdk.gpu.backend import GpuBackend
from makeup_sdk.gpu.device import Device
from makeup_sdk.images import Picture, check_color, open_picture
from makeup_sdk.looks.look import Look, look_by_name
from makeup_sdk.makeup.base import TONE, Part
from makeup_sdk.models.base import Model, ModelOptions
from makeup_sdk.models.registry import DEFAULT_MODEL, open_model
from makeup_sdk.pipeline import CpuBackend, FramePipeline, ImageFaces
from makeup_sdk.stream import Stream, StreamOptions, open_stream

DEVICES = ("cpu", "cuda")
EVERY_FACE = sys.maxsize
"""Value of `FaceAnalyzer.detect`'s `max_faces` for no limit."""


class MakeupEngine:
    """Puts a look on the faces of frames.

        engine = MakeupEngine(look="reference.jpg")
        frame_out = engine.process(frame)

    An engine keeps no state between frames (a `stream` keeps its own) and may be shared by threads.

    Args:
        look: a `Look`; the name of a designed look (`makeup look list`); the path of a look file
            (`.look`), of products (`.json`) or of a reference photo; or a reference photo as a
            frame or a Pillow image. None paints nothing until `engine.look` is set.
        model: a name (`makeup models` lists them), the path of a published model's bundle (a
            directory or a zip, made by `makeup export` or `makeup import`), or a `Model`.
        backend: runs the graphs of a bundle: "auto", or one of `makeup_engines.BACKENDS`, which
            runs or raises.
        device: processes the frames: "cpu", or "cuda", which also accepts GPU frames (torch, CuPy,
            PyCUDA) and returns the same kind. "cuda" supports `mobile`, `products` and psgan
            bundles, needs torch with CUDA and Triton, and has not run on a GPU yet.
        strength: one number in [0, 1.5], 1 being the full look, or a mapping from `Region` or its
            name ("lips") to such a number; other regions stay bare.
        tone: how far the whole face, up to the edge of the neck, takes the shade of the reference's
            skin (its foundation), in [0, 1]. Only for looks that `mobile` read from a photo.
        max_faces: paint at most this many faces, the most confident ones; None paints every face of
            a frame, and tracks 8 in a stream.
        color: channel order of the frames, "bgr" or "rgb".
        analyzer: face analysis, on the CPU only; default `BundledFaceAnalyzer`.
        threads: CPU threads; default one per core.

    Raises:
        InvalidInputError: an argument is out of range.
        NoFaceError: the reference photo has no usable face.
        BundleError: the look file or the bundle is missing or damaged, or of another kind.
        BackendUnavailableError: the backend cannot run here.
    """

    def __init__(
        self,
        look: Look | Picture | None = None,
        *,
        model: str | Path | Model = DEFAULT_MODEL,
        backend: str = "auto",
        device: str = "cpu",
        strength: StrengthLike = 1.0,
        tone: float = 0.0,
        max_faces: int | None = None,
        color: str = "bgr",
        analyzer: FaceAnalyzer | None = None,
        threads: int | None = None,
    ) -> None:
        if max_faces is not None:
            max_faces = as_count(max_faces, "max_faces", "an integer of at least 1, or None")
        self.max_faces = max_faces
        self.color = check_color(color)
        if threads is not None:
            threads = as_count(threads, "threads", "an integer of at least 1, or None")
        self.threads = threads
        if device not in DEVICES:
            raise InvalidInputError(f"device: {device!r} is unknown; expected one of {DEVICES}")
        if device == "cuda" and analyzer is not None:
            raise InvalidInputError(
                "analyzer: device 'cuda' runs the shipped face analysis on the GPU; leave "
                "analyzer= out, or use device='cpu'"
            )
        options = ModelOptions(backend, threads, device)
        gpu = Device() if device == "cuda" else None
        self.model = open_model(model, options)
        self.analyzer = analyzer or BundledFaceAnalyzer(threads=threads)
        self.pipeline = FramePipeline(
            GpuBackend(self.model, options, color, gpu)
            if gpu
            else CpuBackend(self.model, self.analyzer, color, threads)
        )
        self._outfit: Outfit | None = None
        self._outfits: dict[int, Outfit | None] = {}
        self.strength = strength
        self._tone = _checked_tone(tone)
        self.look = look

    def __repr__(self) -> str:
        return f"MakeupEngine(look={self.look!r}, model={self.model.name!r})"

    @property
    def look(self) -> Look | None:
        """The current look; set it to anything that the constructor accepts.

        Setting the same `Look` object again changes nothing.
        """
        return self._outfit.look if self._outfit else None

    @look.setter
    def look(self, look: Look | Picture | None) -> None:
        self._outfit = self._tailor(look, self._outfit)

    def wear(self, face_id: int, look: Look | Picture | None) -> None:
        """Give one face of a stream its own look; None leaves it bare.

        Args:
            face_id: `Face.track_id` of the stream's results; the face need not have appeared yet.
            look: anything that the constructor accepts.
        """
        if not isinstance(face_id, int):
            raise InvalidInputError(f"face_id: got {face_id!r}, expected a `Face.track_id`")
        self._outfits[face_id] = self._tailor(look, self._outfits.get(face_id))

    def wear_default(self, face_id: int) -> None:
        """Give a face of a stream `engine.look` again, undoing `wear`."""
        self._outfits.pop(face_id, None)

    def outfit(self, face_id: int) -> Outfit | None:
        """The current outfit of a face of a stream; None if it stays bare."""
        return self._outfits.get(face_id, self._outfit)

    def _tailor(self, look: Look | Picture | None, worn: Outfit | None) -> Outfit | None:
        """The outfit for a look: the one that is worn, if it was made from the same object."""
        if look is None:
            return None
        if worn and (look is worn.given or look is worn.look):
            return worn
        if isinstance(look, str):
            look = look_by_name(look) or look
        if isinstance(look, (str, Path)) and Path(look).suffix == ".look":
            look = Look.load(look)
        elif isinstance(look, (str, Path)) and Path(look).suffix == ".json":
            look = Look.from_json_file(look)
        elif isinstance(look, (str, Path, np.ndarray, Pillow)):
            look = Look.from_photo(look, model=self.model, analyzer=self.analyzer, color=self.color)
        elif not isinstance(look, Look):
            raise InvalidInputError(
                f"look: got {type(look).__name__}, expected a Look, a path or a frame"
            )
        made = look.made_for(self.model)
        if self._tone:
            _check_has_tone(made)
        return Outfit(made, self.pipeline.backend.painter(made), look)

    @property
    def strength(self) -> Mapping[Region, float]:
        """Strength per region, read-only; set it to anything that the constructor accepts."""
        return MappingProxyType(self._strength)

    @strength.setter
    def strength(self, strength: StrengthLike) -> None:
        self._strength = normalize_strength(strength)

    @property
    def tone(self) -> float:
        """How far the whole face takes the shade of the reference's skin, in [0, 1]."""
        return self._tone

    @tone.setter
    def tone(self, tone: float) -> None:
        tone = _checked_tone(tone)
        for outfit in (self._outfit, *self._outfits.values()):
            if tone and outfit:
                _check_has_tone(outfit.look)
        self._tone = tone

    def process(self, frame: Picture | Any, *, out: Image | None = None) -> Image:
        """Put the look on every face of a picture.

        Args:
            frame: uint8 (H, W, 3), any strides, read-only allowed; never modified unless
                `out=frame`. Also (H, W, 4) with alpha last, grey (H, W) or (H, W, 1), the path of
                an image file, or a Pillow image. With device="cuda" also a GPU array with
                contiguous rows.
            out: array for the result of a frame (H, W, 3), on the GPU if the frame is; default a
                new array.

        Returns:
            uint8 (H, W, 3) in the engine's channel order, or (H, W, 4) if the picture has alpha.
            Pixels outside the painted regions are bit-identical to the input; a picture without a
            face comes back unchanged.

        Raises:
            InvalidInputError: the picture or `out` has the wrong dtype or shape, the file cannot be
                read, or no look is set.
        """
        return self.process_detailed(frame, out=out).image

    def process_detailed(self, frame: Picture | Any, *, out: Image | None = None) -> Result:
        """Like `process`, with the faces found and the time each stage took."""
        outfit = self._outfit
        if outfit is None:
            raise InvalidInputError("no look is set; give MakeupEngine a look, or set engine.look")
        opened, alpha = open_picture(frame, self.color)
        if out is not None and opened is not frame:
            raise InvalidInputError(
                "out: takes the result of frames uint8 (H, W, 3) alone; leave it out for files, "
                "Pillow images, and frames that are grey or have alpha"
            )
        backend = self.pipeline.backend
        faces = ImageFaces(backend, self.max_faces or EVERY_FACE, outfit, self.strength_of(outfit))
        result = self.pipeline.run(opened, faces, out)
        if alpha is None:
            return result
        return replace(result, image=np.concatenate([result.image, alpha], axis=2))

    def process_batch(self, frames: Iterable[Picture]) -> Iterator[Result]:
        """Put the look on many pictures, in parallel if `threads` leaves cores free.

            engine = MakeupEngine(look="reference.jpg", threads=1)  # one picture per core
            for number, result in enumerate(engine.process_batch(["photo.jpg", frame])):
                result.save(f"made-up-{number}.jpg")

        Args:
            frames: as in `process`; read as needed.

        Yields:
            the result of `process_detailed` for each, in order.

        Raises:
            InvalidInputError: one path instead of several pictures; else as in `process`, at the
                invalid picture.
        """
        if isinstance(frames, (str, Path)):
            raise InvalidInputError(
                f"frames: got one path, expected several pictures: [{frames!r}]"
            )
        at_once = max(usable_cores() // thread_count(self.threads), 1)
        waiting: deque[Future[Result]] = deque()
        with ThreadPoolExecutor(at_once) as pool:
            try:
                for frame in frames:
                    waiting.append(pool.submit(self.process_detailed, frame))
                    if len(waiting) > at_once:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for one in waiting:
                    one.cancel()

    async def aprocess(self, frame: Picture) -> Image:
        """`process` in a worker thread, for event loops: `await engine.aprocess(frame)`."""
        return await asyncio.to_thread(self.process, frame)

    def stream(
        self, source: Any, sink: Any = None, *, options: StreamOptions | None = None
    ) -> Stream:
        """Put looks on the faces of a video or camera, frame by frame.

            for result in engine.stream(0):
                show(result.image)
            engine.stream("in.mp4", sink="out.mp4").run()

        Args:
            source: camera index; path of a video file or of a folder of images; URL (rtsp://,
                http://, …); GStreamer pipeline, if OpenCV has GStreamer; an iterable of frames in
                the engine's channel order; or a `makeup_sdk.stream.Source`.
            sink: path of a video file or of a folder for images; "window"; "camera" (virtual
                camera); a function of a `StreamResult`; a `makeup_sdk.stream.Sink`; None for no
                sink.
            options: see `StreamOptions`; temporal smoothing is on by default.

        Returns:
            a `Stream`: iterate over its results, or call `run()` to process everything.

        Raises:
            InvalidInputError: the source cannot be opened, or the sink cannot be written.
            BackendUnavailableError: source or sink need something that is not installed.
        """
        return open_stream(self, source, sink, options)

    def strength_of(self, outfit: Outfit) -> dict[Part, float]:
        """The engine's non-zero strengths for an outfit's regions, and its tone."""
        amounts: dict[Part, float] = {
            region: amount
            for region, amount in self._strength.items()
            if amount > 0 and region in outfit.look.regions
        }
        return amounts | {TONE: self._tone} if self._tone else amounts


def _checked_tone(tone: float) -> float:
    tone = as_number(tone, "tone")
    if not 0 <= tone <= 1:
        raise InvalidInputError(f"tone: got {tone}, expected a number in [0, 1]")
    return tone


def _check_has_tone(look: Look) -> None:
    if not look.has_tone:
        raise InvalidInputError(
            f"tone: look {look.title!r} has no shade of skin; leave tone at 0, or wear a look that "
            "'mobile' read from a photo"
        )
