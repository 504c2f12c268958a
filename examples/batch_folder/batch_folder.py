"""Every photo of a folder in every look of another, with a report of what could not be made up.

python batch_folder.py photos/ looks/ out/
"""

import csv
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from makeup_sdk import BundledFaceAnalyzer, Look, MakeupEngine, MakeupError, read_image, write_image

PHOTOS = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class Row:
    """One line of the report."""

    photo: str
    look: str
    painted: int
    note: str


def main(photos: Path, looks: Path, out: Path, workers: int = 2) -> list[Row]:
    # one engine per look; they share the networks. A thread of its own per photo, none inside.
    analyzer = BundledFaceAnalyzer(threads=1)
    engines = {
        path.stem: MakeupEngine(load(path, analyzer), analyzer=analyzer, threads=1)
        for path in sorted(looks.iterdir())
        if path.suffix.lower() in PHOTOS | {".look"}
    }
    files = sorted(path for path in photos.rglob("*") if path.suffix.lower() in PHOTOS)

    def work(path: Path) -> list[Row]:
        return list(make_up(path, engines, out / path.relative_to(photos).parent))

    with ThreadPoolExecutor(workers) as pool:
        rows = [row for rows in pool.map(work, files) for row in rows]
    with open(out / "report.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(Row))
        writer.writerows(astuple(row) for row in rows)
    return rows


def load(path: Path, analyzer: BundledFaceAnalyzer) -> Look:
    if path.suffix == ".look":
        return Look.load(path)
    return Look.from_photo(path, analyzer=analyzer)


def make_up(path: Path, engines: dict[str, MakeupEngine], out: Path) -> Iterator[Row]:
    """One photo in every look; a photo that cannot be read or made up is noted, not raised."""
    out.mkdir(parents=True, exist_ok=True)
    for name, engine in engines.items():
        try:
            result = engine.process_detailed(read_image(path))
        except MakeupError as error:
            yield Row(str(path), name, 0, str(error))
            return
        painted = sum(face.painted for face in result.faces)
        states = ", ".join(face.status.value for face in result.faces) or "no face"
        if painted:
            write_image(out / f"{path.stem}-{name}.jpg", result.image)
        yield Row(str(path), name, painted, states)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    rows = main(*map(Path, sys.argv[1:4]))
    print(f"{sum(row.painted > 0 for row in rows)} of {len(rows)} pictures made")
