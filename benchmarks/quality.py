"""Quality of the makeup against exact truth: `python benchmarks/quality.py --data FACES_DIR`.

Writes results/quality.json and results/quality.md beside this file; sheets of real people go to a
folder of your own (`--people DIR`): they are not ours to publish.

1. Accuracy: real people, one in renderer makeup as the reference, another one bare as the source;
   CIEDE2000 from the result to the truth, the mean over each region.
2. Identity: luminance gradients of the result against the source's, in soft looks; pixels changed
   outside the face's regions; how far landmarks found after makeup lie from those before.
3. Fairness: measure 1 by terciles of the source's skin lightness.
4. Stillness: change of the makeup layer from frame to frame of moving, noisy films, after undoing
   the motion.
5. Removal of nothing: a bare reference leaves a bare face.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from quality_data import (
    REGIONS,
    Image,
    analysed,
    labelled_regions,
    methods,
    pairs,
    people,
)
from quality_landmarks import MediaPipeLandmarks
from quality_sheets import write_sheets
from quality_stillness import stillness
from skimage.color import deltaE_ciede2000, rgb2lab

from makeup_kernels import Region
from makeup_sdk import MakeupEngine
from makeup_sdk.bench.machine import machine_info
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis, pupil_distance
from makeup_training.data.portraits import Portrait

RESULTS = Path(__file__).parent / "results"
MEASURED = (Region.LIPS, Region.EYES, Region.SKIN)
Figures = dict[str, Any]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the faces folder")
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--people", type=Path, help="folder for sheets of real people")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    analyzer = BundledFaceAnalyzer()
    faces = people(options.data)
    report: Figures = {"machine": machine_info(2, ("makeup-sdk", "opencv", "onnxruntime"))}
    report["accuracy"], report["fairness"] = accuracy(faces, options.pairs, analyzer)
    report["identity"] = identity(faces, 60, analyzer, MediaPipeLandmarks(options.data))
    report["bare_reference"] = bare_reference(faces, 40, analyzer)
    report["stillness"] = stillness(faces, 4, analyzer)
    (options.out / "quality.json").write_text(json.dumps(report, indent=2) + "\n")
    (options.out / "quality.md").write_text(table(report))
    if options.people:
        write_sheets(options.people, faces, analyzer)
    print(table(report))


def accuracy(
    faces: list[Portrait], count: int, analyzer: BundledFaceAnalyzer
) -> tuple[Figures, Figures]:
    """Measures 1 and 3."""
    competitors = methods(analyzer)
    errors: dict[str, dict[Region, list[float]]] = defaultdict(lambda: defaultdict(list))
    lightness: list[float] = []
    for pair in pairs(faces, count, seed=1):
        regions = labelled_regions(pair.source)
        truth = lab(pair.truth)
        results = {
            name: method(pair.source.image, pair.reference) for name, method in competitors.items()
        }
        if any(result is None for result in results.values()):
            continue
        lightness.append(float(lab(pair.source.image)[regions == Region.SKIN, 0].mean()))
        for name, result in results.items():
            distance = deltaE_ciede2000(truth, lab(result))
            for region in REGIONS:
                here = regions == region
                errors[name][region].append(float(distance[here].mean()) if here.any() else np.nan)
    means = {
        name: {region.name.lower(): _mean(errors[name][region]) for region in REGIONS}
        for name in errors
    }
    best = {
        r.name.lower(): min(means[name][r.name.lower()] for name in means if name != "mobile")
        for r in MEASURED
    }
    ratio = {r: round(means["mobile"][r] / value, 3) for r, value in best.items()}
    order = np.argsort(lightness)
    fairness: Figures = {}
    for region in MEASURED:
        values = np.array(errors["mobile"][region])
        thirds = [_mean(values[part]) for part in np.array_split(order, 3)]
        fairness[region.name.lower()] = {
            "dark": thirds[0],
            "medium": thirds[1],
            "light": thirds[2],
            "worst_over_mean": round(max(thirds) / float(np.nanmean(values)), 3),
        }
    return {"pairs": len(lightness), "delta_e": means, "mobile_over_best_other": ratio}, fairness


def identity(
    faces: list[Portrait], count: int, analyzer: BundledFaceAnalyzer, judge: MediaPipeLandmarks
) -> Figures:
    """Measure 2, on soft looks.

    Landmarks are found by our own network, and by MediaPipe's, which labelled the pictures that
    ours learned from and is more exact.
    """
    alike: list[float] = []
    drift: dict[str, list[float]] = defaultdict(list)
    outside = 0
    engine = MakeupEngine(model="mobile", analyzer=analyzer)
    for pair in pairs(faces, count, seed=2, style="natural"):
        source = pair.source.image
        engine.look = pair.reference
        result = engine.process(source)
        face = analysed(analyzer, source)
        if face is None:
            continue
        inside = where_frames_may_change(face, source.shape)
        outside += int((result != source).any(axis=2)[~inside].sum())
        alike.append(structure(source, result, inside))
        unit = pupil_distance(face.landmarks) / 100
        before = judge.find(source, face)
        for whose, made_up in (("", result), ("_of_the_truth", pair.truth)):
            after = analysed(analyzer, made_up)
            if after is not None:
                moved = after.landmarks - face.landmarks
                drift[f"landmark_drift_percent{whose}"].append(_length(moved) / unit)
                moved = judge.find(made_up, after) - before
                drift[f"mediapipe_landmark_drift_percent{whose}"].append(_length(moved) / unit)
    return {
        "faces": len(alike),
        "gradient_structure": _mean(alike),
        "pixels_changed_outside": outside,
    } | {name: _mean(values) for name, values in drift.items()}


def bare_reference(faces: list[Portrait], count: int, analyzer: BundledFaceAnalyzer) -> Figures:
    """Measure 5: another bare face as the reference."""
    found: dict[str, list[float]] = defaultdict(list)
    engine = MakeupEngine(model="mobile", analyzer=analyzer)
    for number in range(count):
        rng = np.random.default_rng([6, number])
        source, reference = (faces[i] for i in rng.choice(len(faces), 2, replace=False))
        engine.look = reference.image
        distance = deltaE_ciede2000(lab(engine.process(source.image)), lab(source.image))
        regions = labelled_regions(source)
        for region in MEASURED:
            key = f"mobile.{region.name.lower()}"
            found[key].append(float(distance[regions == region].mean()))
        found["mobile"].append(float(distance[regions > 0].mean()))
    return {name: _mean(values) for name, values in found.items()}


def structure(source: Image, result: Image, inside: NDArray[np.bool_]) -> float:
    """Cosine between the luminance gradients of two pictures inside a mask."""
    gradients = []
    for image in (source, result):
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
        gradients.append(
            np.stack([cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)])[
                :, inside
            ]
        )
    a, b = gradients
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def where_frames_may_change(face: FaceAnalysis, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where a frame may change: the regions and one cell of the change around them."""
    grown = cv2.dilate((face.regions > 0).astype(np.uint8), np.ones((9, 9), np.uint8))
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(grown, face.matrix, shape[1::-1], flags=flags) > 0


def lab(image: Image | None) -> NDArray[np.float64]:
    """CIELAB of a BGR picture."""
    assert image is not None
    return rgb2lab(image[..., ::-1])


def table(report: Figures) -> str:
    """The report as Markdown."""
    accuracy_ = report["accuracy"]
    lines = [
        "# Quality",
        "",
        f"ΔE2000 to the truth, {accuracy_['pairs']} pairs of real people, renderer makeup:",
        "",
        "| method | lips | skin | eyes | brows |",
        "|---|---|---|---|---|",
    ]
    for name, values in accuracy_["delta_e"].items():
        row = " | ".join(f"{values[r.name.lower()]:.2f}" for r in REGIONS)
        lines.append(f"| {name} | {row} |")
    lines += ["", "`mobile` over the best other method:", ""]
    lines += [f"- {key}: {value}" for key, value in accuracy_["mobile_over_best_other"].items()]
    for title, figures in report.items():
        if title in ("machine", "accuracy"):
            continue
        lines += ["", f"## {title.replace('_', ' ').capitalize()}", ""]
        lines += [f"- {key}: {value}" for key, value in figures.items()]
    return "\n".join(lines) + "\n"


def _length(moved: NDArray[np.floating[Any]]) -> float:
    """Mean length of (N, 2)."""
    return float(np.hypot(*moved.T).mean())


def _mean(values: Any) -> float:
    return round(float(np.nanmean(values)), 4)


if __name__ == "__main__":
    main()
