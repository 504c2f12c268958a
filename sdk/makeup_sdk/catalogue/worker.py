"""All looks on one photo, which is decoded and analysed once."""

import ctypes
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from time import monotonic, perf_counter

import cv2

from makeup_kernels import BackendUnavailableError, MakeupError, OutputError, Region
from makeup_kernels.files import sha256
from makeup_sdk.catalogue.job import Job, LookRef, PhotoRef
from makeup_sdk.catalogue.report import Row, Status, read_record, write_record
from makeup_sdk.catalogue.storage import Place
from makeup_sdk.engine import EVERY_FACE, MakeupEngine
from makeup_sdk.frame import Outfit, Stopwatch
from makeup_sdk.looks.look import Look
from makeup_sdk.photos import Photo, decode_photo, encode_photo
from makeup_sdk.photos.color import ColorSpace
from makeup_sdk.pipeline import KnownFaces, SeenFace, find_faces

_WRITERS, _ON_THE_WAY = 8, 16
"""Threads that write to a network store, and the maximum number of waiting pictures."""

_TRIM, _MMAP = (-1, 256 << 20), (-3, 32 << 20)
"""Parameters M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's `mallopt`, and their new values."""

_RECORD_EVERY = 10.0
"""Seconds between records of a slow photo; a kill loses at most this much work."""


@dataclass(frozen=True)
class Outcome:
    """A worker's result for a photo.

    Attributes:
        photo: name of the photo.
        new: number of newly finished pairs.
        trouble: why pairs are missing; None if all are final.
    """

    photo: str
    new: int
    trouble: str | None = None


@dataclass(frozen=True)
class _Seen:
    """An analysed photo."""

    photo: Photo
    digest: str
    faces: list[SeenFace]
    milliseconds: float


class PhotoWorker:
    """Processes photos with one engine; each look is prepared once.

    Args:
        job: the job to run.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._output = Place(job.output)
        self._outfits: dict[str, Outfit] = {}
        self._writers = None if self._output.local else ThreadPoolExecutor(_WRITERS)
        self._writing: deque[Future[None]] = deque()
        self._digests = {look.name: look.digest for look in job.looks}

    @cached_property
    def engine(self) -> MakeupEngine:
        """The engine, created for the first photo that needs it."""
        cv2.setNumThreads(self.job.threads)
        settings = self.job.settings
        return MakeupEngine(
            model=settings.model,
            backend=settings.backend,
            strength={Region[name.upper()]: x for name, x in settings.strength.items()},
            tone=settings.tone,
            max_faces=settings.max_faces,
            threads=self.job.threads,
        )

    def __call__(self, photo: PhotoRef) -> Outcome:
        """Process the missing pairs of a photo, and record them."""
        new = 0
        try:
            rows = {(row.look, row.look_sha256): row for row in read_record(self._output, photo)}
            missing = [look for look in self.job.looks if self._key(look) not in rows]
            if not missing:
                return Outcome(photo.name, 0)
            done = monotonic()
            seen = self._see(photo)
            for look in missing:
                rows[self._key(look)] = self._row(photo, look, seen)
                new += 1
                if monotonic() - done > _RECORD_EVERY:
                    self._record(photo, list(rows.values()))
                    done = monotonic()
            self._record(photo, list(rows.values()))
        except (OSError, OutputError, BackendUnavailableError, MemoryError) as error:
            wait(self._writing)
            self._writing.clear()
            return Outcome(photo.name, 0, f"{type(error).__name__}: {error}")
        return Outcome(photo.name, new)

    def pictures(self, photo: PhotoRef) -> list[int]:
        """Size in bytes of each picture of a photo, without writing them; for estimates."""
        seen = self._see(photo)
        if not isinstance(seen, _Seen):
            return []
        made = (self._picture(photo, look, seen)[1] for look in self.job.looks)
        return [len(data) for data in made if data]

    def _key(self, look: LookRef) -> tuple[str, str]:
        return look.name, self._digests[look.name]

    def _see(self, photo: PhotoRef) -> _Seen | Row:
        """Decode a photo and find its faces; for a bad photo, the row for all looks."""
        start = perf_counter()
        data = Place(photo.address).read()
        try:
            picture = shrunk(decode_photo(data, photo.name), self.job.settings.size)
            backend = self.engine.pipeline.backend
            view = backend.canvas(picture.image, None).view
            most = self.engine.max_faces or EVERY_FACE
            faces = find_faces(backend, view, most, Stopwatch().lap)
        except BackendUnavailableError:
            raise
        except MakeupError as error:
            return self._blank(photo, Status.BAD_PHOTO, str(error), sha256(data))
        return _Seen(picture, sha256(data), faces, (perf_counter() - start) * 1e3)

    def _blank(self, photo: PhotoRef, status: Status, message: str | None, digest: str) -> Row:
        settings = self.job.settings
        return Row(
            photo.name,
            "",
            status.value,
            "",
            settings.model,
            settings.model_sha256,
            message=message,
            photo_sha256=digest,
        )

    def _row(self, photo: PhotoRef, look: LookRef, seen: _Seen | Row) -> Row:
        """Process a pair, write its picture, and return its row of the report."""
        start = perf_counter()
        if isinstance(seen, Row):
            row = Row(**vars(seen))
        else:
            row, data = self._picture(photo, look, seen)
            if data:
                row.picture = f"pictures/{photo.name}/{look.name}.{self.job.settings.format}"
                row.picture_sha256 = sha256(data)
                self._write(row.picture, data)
        row.look, row.look_sha256 = look.name, self._digests[look.name]
        row.milliseconds = (perf_counter() - start) * 1e3
        return row

    def _write(self, name: str, data: bytes) -> None:
        """Write a picture; to a network store in the background."""
        if self._writers is None:
            self._output.write(name, data)
            return
        self._writing.append(self._writers.submit(self._output.write, name, data))
        while len(self._writing) > _ON_THE_WAY:
            self._writing.popleft().result()

    def _record(self, photo: PhotoRef, rows: list[Row]) -> None:
        """Write a photo's record after all its pictures are written."""
        while self._writing:
            self._writing.popleft().result()
        write_record(self._output, photo, rows)

    def _picture(self, photo: PhotoRef, look: LookRef, seen: _Seen) -> tuple[Row, bytes | None]:
        row = self._blank(photo, Status.NO_FACE, None, seen.digest)
        row.faces, row.painted, row.photo_milliseconds = len(seen.faces), 0, seen.milliseconds
        row.height, row.width = seen.photo.image.shape[:2]
        if not seen.faces:
            return row, None
        outfit = self._outfit(look)
        pipeline = self.engine.pipeline
        source = KnownFaces(seen.faces, pipeline.backend, outfit, self.engine.strength_of(outfit))
        result = pipeline.run(seen.photo.image, source)
        row.face_statuses = ",".join(face.status.value for face in result.faces)
        row.painted = sum(face.painted for face in result.faces)
        if not row.painted:
            row.status = Status.BARE.value
            return row, None
        row.status = Status.MADE.value
        suffix = f".{self.job.settings.format}"
        return row, encode_photo(seen.photo.wearing(result.image), suffix, photo.name)

    def _outfit(self, look: LookRef) -> Outfit:
        if look.name not in self._outfits:
            worn = Look.from_bytes(look.data, look.name)
            self._outfits[look.name] = Outfit(worn, self.engine.pipeline.backend.painter(worn))
        return self._outfits[look.name]


def keep_memory() -> None:
    """Keep the memory of freed pictures for the next ones, in a process that only works.

    By default glibc returns it to the system after every photo; getting thousands of pages again
    costs several milliseconds. Does nothing without glibc.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if set_option is not None:
        for option in (_TRIM, _MMAP):
            set_option(*option)


def shrunk(photo: Photo, size: int) -> Photo:
    """Shrink a photo to a longer side of at most `size` pixels, dropping metadata; 0: no limit."""
    height, width = photo.image.shape[:2]
    if not size or max(height, width) <= size:
        return photo
    scale = size / max(height, width)
    shape = max(round(width * scale), 1), max(round(height * scale), 1)
    image = cv2.resize(photo.image, shape, interpolation=cv2.INTER_AREA)
    return Photo(image, ColorSpace("RGB", None, "photo"))
