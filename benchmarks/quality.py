"""What makeup must not change: `python benchmarks/quality.py --data FACES_DIR`.

Writes results/quality.json and results/quality.md beside this file. `arrival.py` measures how much
of a look is transferred, and in which light.

1. Identity, with soft looks painted by the renderer on the references: luminance gradients of
result
   and source; pixels changed outside the face's regions; distance of landmarks after makeup from
   those before.
2. Stillness: change of the makeup layer between frames of moving, noisy films, after compensating
   the motion.
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
    Image,
    analysed,
    pairs,
    people,
)
from quality_landmarks import MediaPipeLandmarks
from quality_stillness import stillness
from skimage.color import rgb2lab

from makeup_sdk import MakeupEngine
from makeup_sdk.bench.machine import machine_info
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis, pupil_distance
from makeup_training.data.portraits import Portrait

RESULTS = Path(__file__).parent / "results"
Figures = dict[str, Any]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the faces folder")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    analyzer = BundledFaceAnalyzer()
    faces = people(options.data)
    report: Figures = {"machine": machine_info(2, ("makeup-sdk", "opencv", "onnxruntime"))}
    report["identity"] = identity(faces, 60, analyzer, MediaPipeLandmarks(options.data))
    report["stillness"] = stillness(faces, 4, analyzer)
    (options.out / "quality.json").write_text(json.dumps(report, indent=2) + "\n")
    (options.out / "quality.md").write_text(table(report))
    print(table(report))


def identity(
    faces: list[Portrait], count: int, analyzer: BundledFaceAnalyzer, judge: MediaPipeLandmarks
) -> Figures:
    """Measure 1.

    Landmarks come from our network, and from MediaPipe's, its teacher, which is more accurate.
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
    lines = ["# Quality"]
    for title, figures in report.items():
        if title == "machine":
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
