"""A whole run: find photos and looks, run workers, write the report."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic

from makeup_kernels import InvalidInputError
from makeup_kernels.cores import usable_cores
from makeup_kernels.files import sha256
from makeup_sdk import __version__
from makeup_sdk.arguments import as_count
from makeup_sdk.catalogue.inputs import find_looks, find_photos
from makeup_sdk.catalogue.job import SETTINGS, Job, LookRef, PhotoRef, Settings, claim
from makeup_sdk.catalogue.on_ray import run_on_ray
from makeup_sdk.catalogue.pool import ProcessPool
from makeup_sdk.catalogue.report import REPORT, record_name, write_report
from makeup_sdk.catalogue.storage import Place
from makeup_sdk.catalogue.worker import Outcome, PhotoWorker
from makeup_sdk.engine import MakeupEngine
from makeup_sdk.frame import StrengthLike, normalize_strength
from makeup_sdk.models.registry import DEFAULT_MODEL, bundle_of
from makeup_sdk.photos import WRITE_SUFFIXES
from makeup_sdk.weights import open_shipped

_FACE_NETWORKS = ("face_detector", "face_landmarks_regions")
_SAMPLE = 5
_SAMPLE_LOOKS = 20


@dataclass(frozen=True)
class CatalogueOptions:
    """Options of a catalogue run.

    Attributes:
        format: suffix of the pictures, without dot.
        size: maximum longer side in pixels; larger photos are shrunk first, and their results are
            sRGB without metadata. 0: no limit.
        strength, tone, model, backend, max_faces: as in `MakeupEngine`; `max_faces` None paints all
            faces.
        workers: number of processes, each with an engine; 0 uses only this process.
        threads: CPU threads per worker; None: cores divided by workers.
    """

    format: str = "jpg"
    size: int = 0
    strength: StrengthLike = 1.0
    tone: float = 0.0
    model: str = DEFAULT_MODEL
    backend: str = "auto"
    max_faces: int | None = None
    workers: int = 1
    threads: int | None = None

    def __post_init__(self) -> None:
        if f".{self.format}" not in WRITE_SUFFIXES:
            raise InvalidInputError(
                f"format: {self.format!r} is unknown; expected one of "
                + ", ".join(suffix[1:] for suffix in WRITE_SUFFIXES)
            )
        for name in ("size", "workers"):
            if getattr(self, name) != 0:
                as_count(getattr(self, name), name, "an integer of at least 0")
        if self.threads is not None:
            as_count(self.threads, "threads", "an integer of at least 1, or None")

    @property
    def threads_each(self) -> int:
        """CPU threads per worker."""
        return self.threads or max(usable_cores() // max(self.workers, 1), 1)


@dataclass
class CatalogueProgress:
    """Progress of a run.

    Attributes:
        photos: number of photos.
        pairs: photos times looks.
        done: photos that are finished or have failed.
        new: pairs that this run has finished.
        troubles: why pairs are missing, by photo.
    """

    photos: int
    pairs: int
    done: int = 0
    new: int = 0
    troubles: dict[str, str] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of a photo."""
        self.done += 1
        self.new += outcome.new
        if outcome.trouble is not None:
            self.troubles[outcome.photo] = outcome.trouble


@dataclass(frozen=True)
class CatalogueSummary:
    """Result of `run_catalogue`.

    Attributes:
        report: address of the report.
        photos: number of photos.
        pairs: photos times looks, the number of rows of the report.
        new: pairs that this run has finished; the others were finished before, or failed.
        counts: number of rows by `Status`.
        seconds: duration of the run.
    """

    report: str
    photos: int
    pairs: int
    new: int
    counts: Mapping[str, int]
    seconds: float


@dataclass(frozen=True)
class CatalogueEstimate:
    """Result of `estimate_catalogue`.

    Attributes:
        photos: number of photos.
        looks: number of looks.
        begun: photos that have a record in the output.
        sampled: photos processed for the two estimates; if 0, both are 0.
        hours: estimated duration for the photos without a record, with these workers.
        gigabytes: estimated size of their pictures, in 10⁹ bytes.
    """

    photos: int
    looks: int
    begun: int
    sampled: int
    hours: float
    gigabytes: float


def run_catalogue(
    photos: str,
    looks: str,
    output: str,
    options: CatalogueOptions | None = None,
    *,
    ray: str | None = None,
    progress: Callable[[CatalogueProgress], None] | None = None,
) -> CatalogueSummary:
    """Put every look on every photo.

    Args:
        photos: address of a photo, a folder, a pattern, or a manifest with a column `photo`.
        looks: name of a shipped look, or address of a look, a folder or pattern of looks, a table
            of shades, or a manifest with a column `look`. Addresses are paths or addresses of
            fsspec (`s3://`, `gs://`, …).
        output: folder of the results: `pictures/PHOTO/LOOK.FORMAT`, `report.parquet`, and
            `records/` and `catalogue.json`, from which a later run continues.
        options: see `CatalogueOptions`.
        ray: address of a Ray cluster to use instead of local processes: "auto" (this machine's
            cluster), "local" (starts Ray) or any address of `ray.init`. Workers are then actors; 0
            uses as many as fit. Every node must reach the addresses and have this package.
        progress: called after each photo.

    Raises:
        InvalidInputError: no photos or looks, or the output was made with other settings.
        NoFaceError, BundleError: a look cannot be read.
        BackendUnavailableError: a package is missing.
        MakeupError: the workers do not start.
        OutputError: the output cannot be written.
    """
    options = options or CatalogueOptions()
    start = monotonic()
    place = Place(output)
    job, found = prepare(photos, looks, place, options)
    claim(place, job.settings)
    state = CatalogueProgress(len(found), len(found) * len(job.looks))
    for outcome in _outcomes(job, found, options, ray):
        state.add(outcome)
        if progress is not None:
            progress(state)
    counts = write_report(place, job, found, state.troubles)
    return CatalogueSummary(
        place.address_of(place.below(REPORT)),
        state.photos,
        state.pairs,
        state.new,
        counts,
        monotonic() - start,
    )


def estimate_catalogue(
    photos: str, looks: str, output: str, options: CatalogueOptions | None = None
) -> CatalogueEstimate:
    """Count photos and looks, and estimate time and size from a few photos; writes nothing.

    Args:
        photos, looks, output, options: as in `run_catalogue`.

    Raises:
        InvalidInputError, NoFaceError, BundleError, BackendUnavailableError: as `run_catalogue`.
    """
    options = options or CatalogueOptions()
    place = Place(output)
    job, found = prepare(photos, looks, place, options)
    if place.exists(SETTINGS):
        claim(place, job.settings)
    names = {path.removeprefix(place.path + "/") for path in _files_below(place, "records")}
    fresh = [photo for photo in found if record_name(photo.name) not in names]
    few = job.looks[:: -(-len(job.looks) // _SAMPLE_LOOKS)]
    chosen = fresh[:: max(len(fresh) // _SAMPLE, 1)][:_SAMPLE]
    small = Job(job.output, job.settings, few, job.threads)
    seconds, size = (
        _tried(PhotoWorker(small), chosen, len(job.looks) / len(few)) if chosen else (0, 0)
    )
    return CatalogueEstimate(
        len(found),
        len(job.looks),
        len(found) - len(fresh),
        len(chosen),
        seconds * len(fresh) / max(options.workers, 1) / 3600,
        size * len(fresh) / 1e9,
    )


def prepare(
    photos: str, looks: str, output: Place, options: CatalogueOptions
) -> tuple[Job, list[PhotoRef]]:
    """Find the inputs; returns the job and the photos of a run."""
    engine = MakeupEngine(model=options.model, backend=options.backend, tone=options.tone)
    settings = Settings(
        options.model,
        _model_digest(options.model),
        options.backend,
        {
            region.name.lower(): amount
            for region, amount in normalize_strength(options.strength).items()
        },
        engine.tone,
        options.format,
        options.size,
        options.max_faces,
    )
    found = find_photos(photos, output)
    worn: tuple[LookRef, ...] = find_looks(looks, engine)
    return Job(output.address, settings, worn, options.threads_each), found


def _outcomes(
    job: Job, photos: list[PhotoRef], options: CatalogueOptions, ray: str | None
) -> Iterator[Outcome]:
    if ray is not None:
        yield from run_on_ray(job, photos, address=ray, workers=options.workers)
        return
    if options.workers == 0:
        yield from map(PhotoWorker(job), photos)
        return
    if os.name == "nt":
        raise InvalidInputError(
            "workers: there are no worker processes on Windows; use workers=0, or Ray"
        )
    with ProcessPool(job, options.workers) as pool:
        yield from pool.run(photos)


def _model_digest(model: str) -> str:
    """SHA-256 of the SDK's version and the networks: all that affects results besides the job."""
    parts = [__version__, *(sha256(open_shipped(name).manifest_bytes) for name in _FACE_NETWORKS)]
    bundle = bundle_of(model)
    if bundle is not None:
        parts.append(sha256(bundle.manifest_bytes))
    return sha256(" ".join(parts).encode())


def _files_below(place: Place, name: str) -> list[str]:
    return list(place.fs.find(place.below(name))) if place.exists(name) else []


def _tried(worker: PhotoWorker, photos: list[PhotoRef], scale: float) -> tuple[float, float]:
    """Seconds and bytes per photo with all looks, estimated from a few photos and looks."""
    worker.pictures(photos[0])  # warm-up: loads looks and networks
    start = monotonic()
    sizes = [size for photo in photos for size in worker.pictures(photo)]
    return (monotonic() - start) * scale / len(photos), sum(sizes) * scale / len(photos)
