"""The report with one row per pair of photo and look, and the records that it is made from.

A record is a small gzipped JSON file per photo with its final rows. It is written after the
pictures that it lists, so these always exist and are complete. The report is made only from the
records, in the order of photos and looks.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import Enum

import pyarrow as pa
from pyarrow import parquet

from makeup_kernels.files import sha256
from makeup_sdk.catalogue.job import Job, PhotoRef
from makeup_sdk.catalogue.storage import Place

REPORT = "report.parquet"
_READERS = 16
_WINDOW = 256
_ROW_GROUP = 1 << 16


class Status(str, Enum):
    """Result of a pair.

    Attributes:
        MADE: at least one face has the look; the picture is written.
        BARE: faces were found, but none could be painted (see `face_statuses`); no picture.
        NO_FACE: no face was found; no picture.
        BAD_PHOTO: the photo is damaged, empty or not a picture; see `message`.
        FAILED: storage or worker failed; see `message`. The next run retries it.
    """

    MADE = "made"
    BARE = "bare"
    NO_FACE = "no_face"
    BAD_PHOTO = "bad_photo"
    FAILED = "failed"


REPORT_SCHEMA = pa.schema(
    [
        pa.field("photo", pa.string(), nullable=False),
        pa.field("look", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("message", pa.string()),
        pa.field("picture", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("faces", pa.int32()),
        pa.field("painted", pa.int32()),
        pa.field("face_statuses", pa.string()),
        pa.field("photo_milliseconds", pa.float32()),
        pa.field("milliseconds", pa.float32()),
        pa.field("photo_sha256", pa.string()),
        pa.field("look_sha256", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("model_sha256", pa.string(), nullable=False),
        pa.field("picture_sha256", pa.string()),
    ]
)
TIMES = ("photo_milliseconds", "milliseconds")
"""Columns that differ between two runs with the same input."""


@dataclass
class Row:
    """One pair. Columns as in `REPORT_SCHEMA`; docs/howto/catalogue.md explains them."""

    photo: str
    look: str
    status: str
    look_sha256: str
    model: str
    model_sha256: str
    message: str | None = None
    picture: str | None = None
    width: int | None = None
    height: int | None = None
    faces: int | None = None
    painted: int | None = None
    face_statuses: str | None = None
    photo_milliseconds: float | None = None
    milliseconds: float | None = None
    photo_sha256: str | None = None
    picture_sha256: str | None = None


def record_name(photo: str) -> str:
    """Path of a photo's record below the output."""
    digest = sha256(photo.encode("utf-8", "surrogateescape"))
    return f"records/{digest[:2]}/{digest}.json.gz"


def write_record(output: Place, photo: PhotoRef, rows: Sequence[Row]) -> None:
    """Write the final rows of a photo atomically."""
    content = {"photo": photo.name, "version": photo.version, "rows": [vars(row) for row in rows]}
    text = json.dumps(content, separators=(",", ":")).encode()
    output.write(record_name(photo.name), gzip.compress(text, 1, mtime=0))


def read_record(output: Place, photo: PhotoRef) -> list[Row]:
    """The final rows of a photo; empty if the photo has changed or the record is damaged.

    Raises:
        OSError: the store cannot be reached.
    """
    try:
        data = output.read(record_name(photo.name))
    except FileNotFoundError:
        return []
    try:
        content = json.loads(gzip.decompress(data))
        name, version = content["photo"], content["version"]
        rows = [Row(**row) for row in content["rows"]]
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError):
        return []
    changed = bool(photo.version) and bool(version) and version != photo.version
    return [] if name != photo.name or changed else rows


def write_report(
    output: Place, job: Job, photos: Sequence[PhotoRef], troubles: Mapping[str, str]
) -> dict[str, int]:
    """Write the report from the records; returns the number of rows per status.

    Args:
        output: place of the records and the report.
        job: the job; the report has the order of its looks.
        photos: the photos, in the order of the report.
        troubles: why pairs are missing, by photo.
    """
    counts = dict.fromkeys((status.value for status in Status), 0)
    with output.writing(REPORT) as place:
        writer = parquet.ParquetWriter(str(place), REPORT_SCHEMA, compression="zstd")
        with writer:
            waiting: list[Row] = []
            for rows in _rows(output, job, photos, troubles):
                for row in rows:
                    counts[row.status] += 1
                waiting += rows
                while len(waiting) >= _ROW_GROUP:
                    _write(writer, waiting[:_ROW_GROUP])
                    del waiting[:_ROW_GROUP]
            if waiting:
                _write(writer, waiting)
    return counts


def _write(writer: parquet.ParquetWriter, rows: Sequence[Row]) -> None:
    writer.write_table(pa.Table.from_pylist([asdict(row) for row in rows], schema=REPORT_SCHEMA))


def _rows(
    output: Place, job: Job, photos: Sequence[PhotoRef], troubles: Mapping[str, str]
) -> Iterator[list[Row]]:
    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(photos), _WINDOW):
            window = photos[start : start + _WINDOW]
            records = pool.map(lambda photo: read_record(output, photo), window)
            for photo, record in zip(window, records, strict=True):
                final = {(row.look, row.look_sha256): row for row in record}
                reason = troubles.get(photo.name, "no worker has finished it; start again")
                yield [
                    final.get((look.name, look.digest))
                    or Row(
                        photo.name,
                        look.name,
                        Status.FAILED.value,
                        look.digest,
                        job.settings.model,
                        job.settings.model_sha256,
                        message=reason,
                    )
                    for look in job.looks
                ]
