"""Products: cost relative to the face analysis, and accuracy under changing light.

    python benchmarks/products.py --out benchmarks/results
    python benchmarks/products.py --out benchmarks/results --data FACES   # light on real people too

Writes `products.json`, and the sheets `products-looks.jpg` (every designed look) and
`products-strength.jpg` (every product at three strengths) of the shipped faces.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import cv2
import numpy as np
from numpy.typing import NDArray
from relight import LIGHTS, relit

from makeup_kernels.dispatch import cpu_isa
from makeup_sdk import Look, MakeupEngine, read_image
from makeup_sdk.bench.machine import machine_info
from makeup_sdk.bench.options import Scenario
from makeup_sdk.bench.scene import demo_picture, scene
from makeup_sdk.cosmetics import (
    Blush,
    Brows,
    Contour,
    Eyeliner,
    EyeShadow,
    Foundation,
    Highlighter,
    Lashes,
    LipLiner,
    Lipstick,
    Product,
)
from makeup_sdk.cosmetics.light import to_linear
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis
from makeup_sdk.faces.smoothing import SmoothingOptions, Step
from makeup_sdk.looks.shipped import SHIPPED_LOOKS
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.models.products.paint import ProductsPainter
from makeup_sdk.shades.color_difference import ciede2000, lab_of

Image = NDArray[np.uint8]

ALL: Sequence[Product] = (
    Foundation(opacity=0.5),
    Contour(),
    Blush("#d9707a", opacity=0.4),
    Highlighter(),
    Brows(),
    EyeShadow("#b08467", "#8f4632", "#4a3a34", "#f2dcc4", lower=0.4, finish="shimmer"),
    Eyeliner(wing=0.5),
    Lashes(length=0.7, volume=0.6),
    LipLiner("#7b0c1a"),
    Lipstick("#b3101f", finish="gloss"),
)
FACES = ("light.jpg", "medium.jpg", "dark.jpg")
_EVERYWHERE = dict.fromkeys(MAKEUP_REGIONS, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder with val/")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    analyzer = BundledFaceAnalyzer(threads=options.threads)
    cv2.setNumThreads(options.threads)
    report = {
        "machine": machine_info(options.threads),
        "isa": str(cpu_isa()),
        "threads": options.threads,
        "milliseconds": [
            cost(Scenario("image", width, height, 1), analyzer, options.rounds, options.threads)
            for width, height in ((1280, 720), (1920, 1080), (3840, 2160))
        ],
        "light": {"shipped faces": light(map(demo_picture, FACES), analyzer)},
    }
    if options.data:
        photos = sorted((options.data / "val" / "images").glob("*"))[::12]
        report["light"]["real people"] = light(map(read_image, photos), analyzer)
    (options.out / "products.json").write_text(json.dumps(report, indent=1) + "\n")
    for name, picture in {
        "looks": looks_sheet(analyzer),
        "strength": strength_sheet(analyzer),
    }.items():
        small = cv2.resize(picture, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 82]
        cv2.imwrite(str(options.out / f"products-{name}.jpg"), small, quality)
    print(json.dumps({key: report[key] for key in ("milliseconds", "light")}, indent=1))


def cost(scenario: Scenario, analyzer: BundledFaceAnalyzer, rounds: int, threads: int) -> dict:
    """Milliseconds to analyse a frame, paint all products, and put them into the frame.

    Reports wall time, which other work on the machine disturbs, and processor time. The three are
    measured in turn, so that disturbances affect all of them.
    """
    frame = scene(scenario)[0]
    detection = analyzer.detect(frame, 1)[0]
    painter, target = ProductsPainter(ALL), frame.copy()
    face = analyzer.analyze(frame, detection)
    paint = painter.paint(face, _EVERYWHERE)
    follower = painter.follow(SmoothingOptions())
    follower.paint(face, None, _EVERYWHERE, 1.0)
    still = Step(1 / 30, np.eye(2, 3), 0.0, np.zeros((64, 64), np.float32))
    steps: dict[str, Callable[[], object]] = {
        "analyze": lambda: analyzer.analyze(frame, detection),
        "paint": lambda: painter.paint(face, _EVERYWHERE),
        "paint in a stream": lambda: follower.paint(face, still, _EVERYWHERE, 1.0),
        "put": lambda: paint.put(target, face, color="bgr", threads=threads),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    cpu: dict[str, float] = dict.fromkeys(steps, 0.0)
    for _ in range(rounds):
        for name, step in steps.items():
            began, began_cpu = perf_counter(), process_time()
            step()
            times[name].append((perf_counter() - began) * 1e3)
            cpu[name] += (process_time() - began_cpu) * 1e3 / rounds
    figures = {
        name: {
            "median": round(median(t), 2),
            "fastest": round(min(t), 2),
            "processor": round(cpu[name], 2),
        }
        for name, t in times.items()
    }
    return {"frame": f"{scenario.width}x{scenario.height}", **figures}


def light(photos: Iterable[Image], analyzer: BundledFaceAnalyzer) -> dict[str, float]:
    """Error of makeup in another light, as a fraction of the makeup's change (CIEDE2000)."""
    engine = MakeupEngine(Look.from_products(ALL), model="products", analyzer=analyzer)
    size: list[float] = []
    off: dict[str, list[float]] = {name: [] for name in LIGHTS}
    for photo in photos:
        painted = engine.process(photo)
        there = (painted != photo).any(axis=2)
        if not there.any():
            continue
        size.append(difference(photo, painted, there))
        for name, gains in LIGHTS.items():
            relit_after, relit_before = relit(painted, gains), engine.process(relit(photo, gains))
            off[name].append(difference(relit_after, relit_before, there))
    return {name: round(float(np.mean(values) / np.mean(size)), 3) for name, values in off.items()}


def difference(one: Image, other: Image, where: NDArray[np.bool_]) -> float:
    return float(ciede2000(*(lab_of(to_linear(image)[where]) for image in (one, other))).mean())


def looks_sheet(analyzer: BundledFaceAnalyzer) -> Image:
    """Rows: the shipped faces; columns: bare, and every designed look."""
    looks = [Look.shipped(name).makeup.products for name in SHIPPED_LOOKS]
    titles = ["bare", *SHIPPED_LOOKS]
    rows = [[worn(face, products, 1.0) for products in ((), *looks)] for face in faces(analyzer)]
    half = (len(titles) + 1) // 2
    return np.vstack(
        [_table([row[:half] for row in rows], titles[:half])]
        + [_table([_padded(row[half:], half) for row in rows], titles[half:])]
    )


def strength_sheet(analyzer: BundledFaceAnalyzer) -> Image:
    """Rows: the shipped faces at strength 0.4, 1 and 1.5; columns: every product alone."""
    titles = [type(product).__name__ for product in ALL]
    rows = [
        [worn(face, [product], strength) for product in ALL]
        for face in faces(analyzer)
        for strength in (0.4, 1.0, 1.5)
    ]
    return _table(rows, titles)


def faces(analyzer: BundledFaceAnalyzer) -> list[FaceAnalysis]:
    found = []
    for file in FACES:
        photo = demo_picture(file)
        face = analyzer.analyze(photo, analyzer.detect(photo, 1)[0])
        found.append(replace(face, landmarks=face.crop_landmarks, matrix=np.eye(2, 3)))
    return found


def worn(face: FaceAnalysis, products: Sequence[Product], strength: float) -> Image:
    """uint8 (224, 224, 3): the face's crop in makeup."""
    crop = face.crop.copy()
    if products:
        amounts = dict.fromkeys(MAKEUP_REGIONS, strength)
        paint = ProductsPainter(products).paint(face, amounts)
        paint.put(crop, face, color="bgr", threads=1)
    return crop[16:240, 16:240]


def _padded(row: list[Image], count: int) -> list[Image]:
    return row + [np.full_like(row[0], 255)] * (count - len(row))


def _table(rows: list[list[Image]], titles: Sequence[str]) -> Image:
    head = np.full((22, sum(image.shape[1] for image in rows[0]), 3), 255, np.uint8)
    for number, title in enumerate(titles):
        left = number * rows[0][0].shape[1] + 6
        cv2.putText(head, title, (left, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, 16)
    return np.vstack([head, *(np.hstack(row) for row in rows)])


if __name__ == "__main__":
    main()
