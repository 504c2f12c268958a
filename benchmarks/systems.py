"""The published systems with their shipped weights, on real faces: a table and sheets.

    python benchmarks/systems.py --data FACES --out benchmarks/results

References are the held-out ones of `train/makeup.csv` (`measure`), faces the people of `val/`.
`systems.json` has, per model, the medians of arrival and left (`arrival_measure.py`), milliseconds
per face and the size of the weights. `turned` is the left of pairs whose yaw differs by 20 to 40
degrees over that of pairs within 10. `oneself` is the PSNR in dB, on the crop, of a reference in
its own makeup to itself. For `psgan-sr` there is also what `small_faces.py` measures.

`systems-MODEL.jpg` shows the model on the shipped demo faces, with references (or styles) down;
`systems.jpg` shows all models side by side; `--sheets FOLDER` also shows real people, whose
pictures must not be published.
"""

import argparse
import csv
import json
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import cv2
import numpy as np
from arrival_measure import REGIONS, arrival, mean_regions, on_mean_face
from small_faces import enlarged, in_frames

from makeup_kernels import Region, crop_face
from makeup_kernels.types import Image
from makeup_sdk import Look, MakeupEngine
from makeup_sdk.bench.machine import machine_info
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis, yaw_degrees
from makeup_sdk.images import read_image, write_image
from makeup_sdk.models.facts import FACTS
from makeup_sdk.models.papers.region_gan import StyleModel
from makeup_sdk.models.registry import open_model, shipped_models
from makeup_sdk.weights import FOLDER

TILE = 320
SHEET = 4
DESIGNS = ("red-classic", "smoky", "editorial")
"""Designed looks for the removal test."""
ALIKE, TURNED = 10.0, (20.0, 40.0)
"""Degrees of yaw by which the two faces of a pair differ at most, and from and to."""


@dataclass(frozen=True)
class Picture:
    """A picture and its face."""

    name: str
    image: Image
    face: FaceAnalysis


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the faces folder")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument(
        "--models",
        nargs="*",
        default=[name for name in shipped_models() if name != "products"],
        help="names, or paths of bundles",
    )
    parser.add_argument("--sources", type=int, default=15, help="faces for each reference")
    parser.add_argument("--sheets", type=Path, help="folder of sheets of the real people")
    options = parser.parse_args()
    references, sources = measured(options.data), people(options.data)
    chosen = sources[:: max(1, len(sources) // options.sources)][: options.sources]
    rows = {}
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.models:
        model = open_model(name)
        if isinstance(model, StyleModel):
            rows[name] = speed(name, Look.from_style(model.styles[-1]), chosen)
        else:
            rows[name] = arrivals(name, references, chosen)
            rows[name] |= speed(name, references[0].image, chosen)
            rows[name]["oneself"] = oneself(name, references)
        if FACTS[model.name].removes:
            rows[name]["removal"] = removal(name, chosen)
        if model.name == "psgan-sr":
            rows[name]["enlarged"] = enlarged(name, references[::4], chosen)
            rows[name]["in_frames"] = in_frames(name, references, chosen)
        rows[name]["megabytes"] = size_of(name)
        folders = {options.out: demo_pictures()}
        if options.sheets:
            options.sheets.mkdir(parents=True, exist_ok=True)
            folders[options.sheets] = (
                [picture.image for picture in _spread(references)],
                [picture.image for picture in _spread(chosen)],
            )
        for folder, (lent, faces) in folders.items():
            looks: list[tuple[Image | None, Any]] = [(image, image) for image in lent]
            if isinstance(model, StyleModel):
                looks = [(None, Look.from_style(style)) for style in model.styles]
            write_image(folder / f"systems-{Path(name).name}.jpg", sheet(name, looks, faces))
        print(name, json.dumps(rows[name]), flush=True)
    write_image(options.out / "systems.jpg", side_by_side(options.models))
    report = {
        "machine": machine_info(),
        "pairs": len(references) * len(chosen),
        "models": rows,
    }
    (options.out / "systems.json").write_text(json.dumps(report, indent=2) + "\n")


def demo_pictures() -> tuple[list[Image], list[Image]]:
    """The shipped references and faces."""
    folder = resources.files("makeup_sdk") / "assets" / "demo"
    listing = json.loads((folder / "demo.json").read_text(encoding="utf-8"))["pictures"]
    found: dict[str, list[Image]] = {"reference": [], "source": []}
    for entry in listing:
        found[entry["role"]].append(read_image(str(folder / entry["file"])))
    return found["reference"], found["source"]


def _spread(pictures: list[Picture]) -> list[Picture]:
    return pictures[:: max(1, len(pictures) // SHEET)][:SHEET]


def measured(data: Path) -> list[Picture]:
    """The references that were not used for training."""
    with (data / "train" / "makeup.csv").open(newline="") as file:
        names = [row["name"] for row in csv.DictReader(file) if row["use"] == "measure"]
    return pictures([data / "train" / "images" / f"{name}.jpg" for name in names])


def people(data: Path) -> list[Picture]:
    """Real people, none of whom is in any training set."""
    return pictures(sorted((data / "val" / "images").glob("*.jpg")))


def pictures(paths: list[Path]) -> list[Picture]:
    """The pictures in which a face is found."""
    analyzer = BundledFaceAnalyzer()
    found = []
    for path in paths:
        image = read_image(path)
        detections = analyzer.detect(image, 1)
        if detections:
            found.append(Picture(path.stem, image, analyzer.analyze(image, detections[0])))
    return found


def arrivals(model: str, references: list[Picture], sources: list[Picture]) -> dict[str, Any]:
    """Medians over all pairs, by region; of `left` also turned pairs over those that are not."""
    bare = [on_mean_face(source.image, source.face.landmarks) for source in sources]
    found: dict[str, list[tuple[float, float]]] = {region.name.lower(): [] for region in REGIONS}
    engine = MakeupEngine(model=model, max_faces=1)
    for reference in references:
        engine.look = Look.from_photo(reference.image, model=engine.model)
        lent = on_mean_face(reference.image, reference.face.landmarks)
        for source, own in zip(sources, bare, strict=True):
            result = on_mean_face(engine.process(source.image), source.face.landmarks)
            for region, value in arrival(own, lent, result).regions.items():
                found[region.name.lower()].append(value)
    away = np.array([[abs(_yaw(s) - _yaw(r)) for s in sources] for r in references]).ravel()
    turned = (away >= TURNED[0]) & (away <= TURNED[1])
    rows: dict[str, Any] = {"turned": {"pairs": int(turned.sum())}}
    for name, values in found.items():
        pairs = np.array(values)
        arrived, left = np.median(pairs, axis=0)
        rows[name] = {"arrival": round(float(arrived), 3), "left": round(float(left), 3)}
        if turned.any():
            ratio = np.median(pairs[turned, 1]) / np.median(pairs[away <= ALIKE, 1])
            rows["turned"][name] = round(float(ratio), 2)
    return rows


def _yaw(picture: Picture) -> float:
    return yaw_degrees(picture.face.landmarks)


def removal(model: str, sources: list[Picture]) -> dict[str, float]:
    """Remaining fraction of a designed look's colour after removal; medians by region."""
    painter = MakeupEngine(model="products", max_faces=1)
    remover = MakeupEngine(model=model, look=Look.bare(), max_faces=1)
    shares: dict[str, list[float]] = {"lips": [], "eyes": []}
    for number, source in enumerate(sources):
        painter.look = Look.shipped(DESIGNS[number % len(DESIGNS)])
        made_up = painter.process(source.image)
        maps = [
            on_mean_face(image, source.face.landmarks)
            for image in (source.image, made_up, remover.process(made_up))
        ]
        bare, worn, cleaned = maps
        for region in (Region.LIPS, Region.EYES):
            here = mean_regions() == region
            before, after = (np.linalg.norm(m[here] - bare[here]) for m in (worn, cleaned))
            shares[region.name.lower()].append(float(after / max(before, 1e-6)))
    return {region: round(median(values), 3) for region, values in shares.items()}


def oneself(model: str, references: list[Picture]) -> dict[str, float]:
    """PSNR of references in their own makeup to themselves: the median and the worst."""
    engine, found = MakeupEngine(model=model, max_faces=1), []
    for reference in references:
        engine.look = Look.from_photo(reference.image, model=engine.model)
        made_up = crop_face(engine.process(reference.image), reference.face.matrix)
        found.append(cv2.PSNR(made_up, crop_face(reference.image, reference.face.matrix)))
    return {"median": round(median(found), 1), "worst": round(min(found), 1)}


def speed(model: str, look: Any, sources: list[Picture]) -> dict[str, float]:
    """Median milliseconds from an analysed face to its paint.

    `core_milliseconds` is processor time on one thread, hardly affected by other programs;
    `milliseconds` is wall time on all cores.
    """
    found, all_threads = {}, cv2.getNumThreads()
    clocks = {"core_milliseconds": (process_time, 1), "milliseconds": (perf_counter, None)}
    for name, (clock, threads) in clocks.items():
        cv2.setNumThreads(threads or all_threads)
        engine = MakeupEngine(model=model, look=look, max_faces=1, threads=threads)
        outfit = engine.outfit(0)
        assert outfit is not None
        strength = engine.strength_of(outfit)
        times = []
        for source in [*sources[:2], *sources]:
            face = replace(source.face)  # without what an earlier painter has worked out
            began = clock()
            outfit.painter.paint(face, strength)
            times.append((clock() - began) * 1e3)
        found[name] = round(median(times[2:]), 1)
    return found


def sheet(model: str, looks: list[tuple[Image | None, Any]], faces: list[Image]) -> Image:
    """Looks down, faces across; the reference at the left of each row."""
    engine = MakeupEngine(model=model, max_faces=1)
    blank = np.full((TILE, TILE, 3), 255, np.uint8)
    rows = [np.hstack([blank, *(_tile(face) for face in faces)])]
    for reference, look in looks:
        engine.look = look
        left = blank if reference is None else _tile(reference)
        rows.append(np.hstack([left, *(_tile(engine.process(face)) for face in faces)]))
    return np.asarray(np.vstack(rows), np.uint8)


def side_by_side(models: list[str]) -> Image:
    """The same faces with the same references, by every model; names above."""
    references, faces = demo_pictures()
    pairs = list(zip(faces, references, strict=False))
    rows = [[_named("face", face), _named("reference", reference)] for face, reference in pairs]
    for name in models:
        engine = MakeupEngine(model=name, max_faces=1)
        for row, (face, reference) in zip(rows, pairs, strict=True):
            style = engine.model.styles[-1] if isinstance(engine.model, StyleModel) else None
            engine.look = reference if style is None else Look.from_style(style)
            title = Path(name).name if style is None else f"{Path(name).name}: {style}"
            row.append(_named(title, engine.process(face)))
    return np.asarray(np.vstack([np.hstack(row) for row in rows]), np.uint8)


def _named(title: str, picture: Image) -> Image:
    tile = np.vstack([np.full((28, TILE, 3), 255, np.uint8), _tile(picture)])
    cv2.putText(tile, title, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (40, 40, 40), 1, cv2.LINE_AA)
    return tile


def size_of(model: str) -> float:
    """Megabytes of the shipped files."""
    folder = FOLDER / model
    files = folder.iterdir() if folder.is_dir() else ()
    return round(sum(path.stat().st_size for path in files) / 1e6, 2)


def _tile(image: Image) -> Image:
    return np.asarray(cv2.resize(image, (TILE, TILE), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    main()
