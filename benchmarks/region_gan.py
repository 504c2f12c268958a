"""Accuracy of `region-gan`'s styles on faces of real people.

    python benchmarks/region_gan.py --data FACES --out benchmarks/results

The truth of a style is its products, painted on the face by `makeup_sdk.cosmetics`
(`makeup_training.systems.styles`). Pictures are slightly blurred and compared by CIEDE2000, mean
over a region's pixels. `left` is the remaining difference relative to the unchanged face's, medians
over faces. `back_to_bare`: faces painted in a style, with bare skin as the target. `off`: ΔE of the
change in a region that was not requested.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from makeup_kernels import Region, crop_face
from makeup_kernels.types import Image
from makeup_sdk import Look, MakeupEngine
from makeup_sdk.bench.machine import machine_info
from makeup_sdk.cosmetics.paint import paint
from makeup_sdk.cosmetics.view import FaceView
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis
from makeup_sdk.images import read_image
from makeup_sdk.shades.color_difference import ciede2000
from makeup_training.systems.styles import STYLES

REGIONS = (Region.LIPS, Region.EYES, Region.SKIN)
WHOLE = dict.fromkeys(REGIONS, 1.0)
_BLUR = 1.5
"""Standard deviation of the blur, in crop pixels."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the faces folder")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--faces", type=int, default=20)
    options = parser.parse_args()
    paths = sorted((options.data / "val" / "images").glob("*.jpg"))
    people = _people(paths[:: max(1, len(paths) // options.faces)][: options.faces])
    engine = MakeupEngine(model="region-gan", max_faces=1)
    report = {"machine": machine_info(), "faces": len(people)} | measure(engine, people)
    (options.out / "region-gan.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


def measure(
    engine: MakeupEngine, people: list[tuple[Image, FaceAnalysis]]
) -> dict[str, dict[str, dict[str, float]]]:
    """The figures described in the module's docstring."""
    styles: dict[str, dict[str, float]] = {}
    back: dict[str, dict[str, float]] = {}
    off: dict[str, list[float]] = {region.name.lower(): [] for region in REGIONS}
    for style in list(STYLES)[1:]:
        there: list[dict[str, float]] = []
        home: list[dict[str, float]] = []
        for image, face in people:
            truth = painted(image, face, style)
            engine.look, engine.strength = Look.from_style(style), WHOLE
            there.append(left(engine.process(image), truth, image, face))
            engine.strength = {Region.LIPS: 1.0}
            for region, value in difference(engine.process(image), image, face).items():
                if region != "lips":
                    off[region].append(value)
            engine.strength = {Region.EYES: 1.0}
            off["lips"].append(difference(engine.process(image), image, face)["lips"])
            engine.look, engine.strength = Look.from_style("bare"), WHOLE
            home.append(left(engine.process(truth), image, truth, face))
        styles[style], back[style] = _medians(there), _medians(home)
    worst = {name: round(max(values), 2) for name, values in off.items()}
    return {"left": styles, "back_to_bare": back, "off": {"worst": worst}}


def painted(image: Image, face: FaceAnalysis, style: str) -> Image:
    """A photo with the products of a style."""
    result = image.copy()
    for patch in paint(FaceView.of(face), STYLES[style], WHOLE):
        patch.put(result, face.matrix, color="bgr", threads=1)
    return result


def left(result: Image, wanted: Image, before: Image, face: FaceAnalysis) -> dict[str, float]:
    """By region, a result's distance from the target, relative to the photo's distance."""
    now, then = difference(result, wanted, face), difference(before, wanted, face)
    return {region: now[region] / max(then[region], 1e-3) for region in now}


def difference(one: Image, other: Image, face: FaceAnalysis) -> dict[str, float]:
    """Mean CIEDE2000 of each region."""
    away = ciede2000(_lab(one, face), _lab(other, face))
    return {
        region.name.lower(): float(away[face.regions == region].mean())
        for region in REGIONS
        if (face.regions == region).any()
    }


def _lab(image: Image, face: FaceAnalysis) -> np.ndarray:
    crop = cv2.GaussianBlur(crop_face(image, face.matrix), (0, 0), _BLUR)
    return np.asarray(cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_BGR2LAB), np.float64)


def _medians(rows: list[dict[str, float]]) -> dict[str, float]:
    names = {name for row in rows for name in row}
    return {
        name: round(float(np.median([row[name] for row in rows if name in row])), 2)
        for name in sorted(names)
    }


def _people(paths: list[Path]) -> list[tuple[Image, FaceAnalysis]]:
    analyzer = BundledFaceAnalyzer()
    people = []
    for path in paths:
        image = read_image(path)
        detections = analyzer.detect(image, 1)
        if detections:
            people.append((image, analyzer.analyze(image, detections[0])))
    return people


if __name__ == "__main__":
    main()
