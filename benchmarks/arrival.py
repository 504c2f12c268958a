"""Is the makeup of a real photo transferred? `python benchmarks/arrival.py --data FACES_DIR`.

References are the photos that `train/makeup.csv` marks `measure`, sources the real people of
`val/`; neither was used for training or tuning. Writes results/arrival.json and arrival.md beside
this file. Sheets of real people go to your own folder (`--people DIR`): they must not be published.

1. Arrival: `arrival_measure.py` on random pairs, medians; by terciles of the source's skin; the
   asymmetry of the change on frontal pairs.
2. Light: difference of process(light(x)) and light(process(x)), CIEDE2000 as a fraction of the
   makeup's change.
3. Natural: luminance gradients of result and source, pixels changed outside the regions, and the
   change by a bare reference.
4. Known makeup: pairs from the renderer; CIEDE2000 to the truth as a fraction of the unchanged
   face's.
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from arrival_measure import (
    REGIONS,
    FloatArray,
    Image,
    arrival,
    asymmetry,
    on_mean_face,
)
from quality import RESULTS, lab, structure, where_frames_may_change
from quality_data import Portrait, analysed, labelled_regions, pairs, people
from relight import LIGHTS, relit
from skimage.color import deltaE_ciede2000

from makeup_kernels import MakeupError, Region
from makeup_sdk import Look, MakeupEngine
from makeup_sdk.bench.machine import machine_info
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis, yaw_degrees
from makeup_sdk.images import read_image

FRONTAL = 10.0
"""Degrees of yaw within which a face is frontal."""
Figures = dict[str, Any]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the faces folder")
    parser.add_argument("--models", nargs="+", default=["mobile"], help="names, or bundles")
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--people", type=Path, help="folder for sheets of real people")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    faces = Faces(options.data)
    report: Figures = {"machine": machine_info(2, ("makeup-sdk", "opencv", "onnxruntime"))}
    for model in options.models:
        engine = MakeupEngine(model=model, analyzer=faces.analyzer)
        report[model] = {
            "arrival": faces.arrival(engine, options.pairs),
            "light": faces.light(engine),
            "natural": faces.natural(engine, 40),
            "known_makeup": known_makeup(engine, people(options.data), 100),
        }
        if options.people:
            faces.sheet(engine, options.people)
    (options.out / "arrival.json").write_text(json.dumps(report, indent=2) + "\n")
    (options.out / "arrival.md").write_text(table(report))
    print(table(report))


class Faces:
    """The photos of the measurements, analysed once.

    Args:
        data: the faces folder.
    """

    def __init__(self, data: Path) -> None:
        self.analyzer = BundledFaceAnalyzer()
        with (data / "train" / "makeup.csv").open(newline="") as file:
            names = [row["name"] for row in csv.DictReader(file) if row["use"] == "measure"]
        self.references = self._read(data / "train" / "images", names)
        self.sources = self._read(data / "val" / "images")

    def _read(
        self, folder: Path, names: list[str] | None = None
    ) -> list[tuple[Image, FaceAnalysis, FloatArray]]:
        """Photo, face, and its colours on the mean face."""
        found = []
        for path in sorted(folder.iterdir()):
            if names is not None and path.stem not in names:
                continue
            image = read_image(path)
            face = analysed(self.analyzer, image)
            if face is not None:
                found.append((image, face, on_mean_face(image, face.landmarks)))
        return found

    def arrival(self, engine: MakeupEngine, count: int) -> Figures:
        """Measure 1."""
        rng = np.random.default_rng(0)
        looks: dict[int, Look | None] = {}
        values: dict[Region, list[tuple[float, float]]] = defaultdict(list)
        glowing, skins, uneven = [], [], []
        refused = 0
        for _ in range(count):
            source, face, before = self.sources[int(rng.integers(len(self.sources)))]
            number = int(rng.integers(len(self.references)))
            photo, reference, wanted = self.references[number]
            if number not in looks:
                looks[number] = _read_look(photo, engine)
            if looks[number] is None:
                refused += 1
                continue
            engine.look = looks[number]
            after = on_mean_face(engine.process(source), face.landmarks)
            pair = arrival(before, wanted, after)
            for region, value in pair.regions.items():
                values[region].append(value)
            glowing.append(pair.glows)
            skins.append(float(lab(face.crop)[face.regions == Region.SKIN, 0].mean()))
            if max(abs(yaw_degrees(f.landmarks)) for f in (face, reference)) < FRONTAL:
                uneven.append(asymmetry(before, after))
        order = np.argsort(skins)
        thirds = {
            region.name.lower(): [
                float(np.median(np.array(values[region])[part, 1]))
                for part in np.array_split(order, 3)
            ]
            for region in REGIONS
        }
        return {
            "pairs": len(glowing),
            "refused": refused,
            "glowing_lips": round(float(np.mean(glowing)), 3),
            "asymmetry_frontal": round(float(np.median(uneven)), 3),
            "left_dark_medium_light": {k: [round(v, 3) for v in t] for k, t in thirds.items()},
        } | {
            region.name.lower(): {
                "arrival": round(float(np.median([a for a, _ in pairs_])), 3),
                "left": round(float(np.median([b for _, b in pairs_])), 3),
            }
            for region, pairs_ in values.items()
        }

    def light(self, engine: MakeupEngine) -> Figures:
        """Measure 2, on 5 x 6 pairs."""
        off: dict[str, list[float]] = defaultdict(list)
        sizes = []
        for source, look in self._few(engine, 5, 6):
            engine.look = look
            painted = engine.process(source)
            changed = (painted != source).any(axis=2)
            if not changed.any():
                continue
            sizes.append(_distance(source, painted)[changed].mean())
            for name, factors in LIGHTS.items():
                one = engine.process(relit(source, factors))
                off[name].append(_distance(one, relit(painted, factors))[changed].mean())
        size = float(np.mean(sizes))
        shares = {name: round(float(np.mean(values)) / size, 3) for name, values in off.items()}
        return {"makeup_delta_e": round(size, 2)} | shares

    def natural(self, engine: MakeupEngine, count: int) -> Figures:
        """Measure 3."""
        alike, outside = [], 0
        for source, look in self._few(engine, 5, count // 5):
            engine.look = look
            face = analysed(self.analyzer, source)
            result = engine.process(source)
            assert face is not None
            inside = where_frames_may_change(face, source.shape)
            outside += int((result != source).any(axis=2)[~inside].sum())
            alike.append(structure(source, result, inside))
        bare = []
        rng = np.random.default_rng(6)
        for _ in range(count):
            source, reference = (
                self.sources[i][0] for i in rng.choice(len(self.sources), 2, replace=False)
            )
            look = _read_look(reference, engine)
            if look is None:
                continue
            engine.look = look
            result = engine.process(source)
            changed = (result != source).any(axis=2)
            bare.append(float(_distance(result, source)[changed].mean()) if changed.any() else 0.0)
        return {
            "gradient_structure": round(float(np.mean(alike)), 3),
            "pixels_changed_outside": outside,
            "bare_reference_delta_e": round(float(np.mean(bare)), 2),
        }

    def sheet(self, engine: MakeupEngine, folder: Path) -> None:
        """8 references on 8 faces at full size."""
        references = self.references[:: max(1, len(self.references) // 8)][:8]
        sources = self.sources[:: max(1, len(self.sources) // 8)][:8]
        size = (384, 384)
        rows = [
            np.hstack(
                [np.full((384, 384, 3), 255, np.uint8)] + [cv2.resize(s[0], size) for s in sources]
            )
        ]
        for photo, _, _ in references:
            look = _read_look(photo, engine)
            engine.look = look
            results = [s[0] if look is None else engine.process(s[0]) for s in sources]
            rows.append(
                np.hstack([cv2.resize(photo, size), *(cv2.resize(r, size) for r in results)])
            )
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"arrival-{Path(engine.model.name).name}.png"), np.vstack(rows))

    def _few(
        self, engine: MakeupEngine, references: int, sources: int
    ) -> Iterator[tuple[Image, Look]]:
        """Sources and looks, spread over all of them."""
        for photo, _, _ in self.references[:: max(1, len(self.references) // references)][
            :references
        ]:
            look = _read_look(photo, engine)
            if look is None:
                continue
            for source, _, _ in self.sources[:: max(1, len(self.sources) // sources)][:sources]:
                yield source, look


def known_makeup(engine: MakeupEngine, faces: list[Portrait], count: int) -> Figures:
    """Measure 4."""
    errors: dict[str, list[float]] = defaultdict(list)
    nothing: dict[str, list[float]] = defaultdict(list)
    for pair in pairs(faces, count, seed=1):
        look = _read_look(pair.reference, engine)
        if look is None:
            continue
        engine.look = look
        regions = labelled_regions(pair.source)
        distances = [
            _distance(image, pair.truth)
            for image in (engine.process(pair.source.image), pair.source.image)
        ]
        for region in REGIONS:
            here = regions == region
            if here.any():
                name = region.name.lower()
                errors[name].append(float(distances[0][here].mean()))
                nothing[name].append(float(distances[1][here].mean()))
    return {
        name: round(float(np.mean(errors[name])) / float(np.mean(nothing[name])), 3)
        for name in errors
    }


def _read_look(photo: Image, engine: MakeupEngine) -> Look | None:
    """The look of a photo; None if it is refused as a reference."""
    try:
        return Look.from_photo(photo, model=engine.model, analyzer=engine.analyzer)
    except MakeupError:
        return None


def _distance(one: Image, other: Image) -> np.ndarray:
    return deltaE_ciede2000(lab(one), lab(other))


def table(report: Figures) -> str:
    """The report as Markdown."""
    lines = [
        "# Arrival: the makeup of real photos",
        "",
        "`python benchmarks/arrival.py --data FACES`; arrival / left, medians.",
        "",
    ]
    lines += [
        "| model | lips | eyes | skin | brows | glowing lips | asymmetry, frontal |",
        "|---|---|---|---|---|---|---|",
    ]
    models = [name for name in report if name != "machine"]
    for name in models:
        found = report[name]["arrival"]
        cells = [
            f"{found[r.name.lower()]['arrival']:.2f} / {found[r.name.lower()]['left']:.2f}"
            for r in REGIONS
        ]
        lines.append(
            f"| `{name}` | "
            + " | ".join([*cells, str(found["glowing_lips"]), str(found["asymmetry_frontal"])])
            + " |"
        )
    for title, key in (
        ("Light, as a share of the makeup", "light"),
        ("Natural", "natural"),
        ("Known makeup, as a share of doing nothing", "known_makeup"),
    ):
        names = list(report[models[0]][key])
        lines += [
            "",
            f"## {title}",
            "",
            "| model | " + " | ".join(n.replace("_", " ") for n in names) + " |",
            "|---" * (len(names) + 1) + "|",
        ]
        lines += [
            f"| `{m}` | " + " | ".join(str(report[m][key][n]) for n in names) + " |" for m in models
        ]
    lines += [
        "",
        "## Left by skin",
        "",
        "| model | region | dark | medium | light |",
        "|---|---|---|---|---|",
    ]
    for name in models:
        for region, values in report[name]["arrival"]["left_dark_medium_light"].items():
            lines.append(
                f"| `{name}` | {region} | " + " | ".join(f"{v:.2f}" for v in values) + " |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
