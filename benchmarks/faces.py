"""Accuracy and speed of face analysis: `python benchmarks/faces.py --data FACES_DIR`.

Writes results/faces.json, results/faces.md and contact sheets to results/faces/ beside this file;
sheets of real people go to your own folder (`--people DIR`): they must not be published.
Everything is measured end to end with the shipped models: detector, first pass, aligned pass.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from faces_sheets import write_people_sheets, write_sheets
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from makeup_kernels import Region
from makeup_kernels.geometry import pupil_distance
from makeup_sdk.faces import BundledFaceAnalyzer, Detection, FaceAnalysis
from makeup_sdk.faces.geometry import pupils
from makeup_training.faces.data import FacePicture, load_crops, load_pictures
from makeup_training.faces.detector_samples import compose_scene
from makeup_training.faces.landmark_samples import faceless_sample
from makeup_training.faces.occluders import OCCLUDERS, occlude

RESULTS = Path(__file__).parent / "results"
HUMAN = {87: 48, 93: 54, 90: 51, 106: 57, 18: 36, 22: 39, 129: 8}
"""Points placed by people (index of 189) that correspond to one of the 68; pupils come apart."""

HUMAN_LIPS = [87, 88, 89, 90, 91, 92, 93, 108, 107, 106, 105, 104]
HUMAN_MOUTH = [87, 94, 95, 96, 97, 98, 93, 103, 102, 101, 100, 99]
"""Points of the 189 around the lips, and around the opening between them."""

TARGETS = {
    "detector.recall": (">=", 98),
    "detector.precision": (">=", 98),
    "landmarks.inner": ("<=", 3),
    "landmarks.all": ("<=", 4),
    "landmarks.human": ("<=", 3),
    "regions.lips": (">=", 0.85),
    "regions.skin": (">=", 0.92),
    "regions.brows": (">=", 0.65),
    "occluders.unpainted": (">=", 90),
    "speed_ms.detect_1280x720": ("<=", 5),
    "speed_ms.network": ("<=", 2.5),
}

NOTES = """Landmark errors are in % of the pupil distance, shares in %, regions in IoU; `skin` is
skin plus eye-shadow area. All measurements run end to end: detector, first pass, aligned pass.

`lips_people_drew` compares `network` and `labels` with lip outlines from 23 points that people
placed on 91 of the pictures. The network agrees better with people than the mask labels do. So an
IoU against these labels says little once it exceeds the labels' own agreement.

Pictures in `faces/` are AI-generated portraits of faker-js/assets-person-portrait (CC0) and the
SFHQ-T2I dataset (MIT), with regions, points and boxes drawn on them.
"""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the faces folder")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--people", type=Path, help="also write sheets of real people here")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    analyzer = BundledFaceAnalyzer(threads=options.threads)
    val = load_crops(options.data / "val", side=384, held=None)
    held = load_pictures(options.data / "detect", held=True, single=False)
    labels = json.loads((options.data / "detect" / "labels.json").read_text())
    single = [p for p in held if labels[p.name]["faces_found"] == 1]
    clips = {path.stem: read_clip(path) for path in sorted((options.data / "video").glob("*.gif"))}
    human = json.loads((options.data / "val" / "labels.json").read_text())
    report = {
        "detector": detector_report(analyzer, single, held, clips, options.data),
        "landmarks": landmark_report(analyzer, val, human),
        "rotated": rotated_report(analyzer, val),
        "regions": region_report(analyzer, val),
        "lips_people_drew": lip_report(analyzer, val, human),
        "occluders": occluder_report(analyzer, val),
        "confidence": confidence_report(analyzer, val, single),
        "speed_ms": speed_report(analyzer, single[0]),
        "machine": {
            "processor": processor_name(),
            "threads": options.threads,
            "onnxruntime": onnxruntime.__version__,
            "date": time.strftime("%Y-%m-%d"),
        },
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "faces.json").write_text(json.dumps(report, indent=2) + "\n")
    (RESULTS / "faces.md").write_text(as_markdown(report))
    print(as_markdown(report))
    write_sheets(RESULTS / "faces", analyzer, held)
    if options.people:
        write_people_sheets(options.people, analyzer, val, clips)


def detector_report(
    analyzer: BundledFaceAnalyzer,
    single: list[FacePicture],
    held: list[FacePicture],
    clips: dict[str, list[NDArray[np.uint8]]],
    data: Path,
) -> dict[str, object]:
    """Recall and precision in % at IoU 0.5, on pictures, pasted scenes and clips."""
    tally = np.zeros(3, int)
    ious = []
    for picture in single:
        found = analyzer.detect(picture.image, 16)
        counts, matched = match(found, picture.box[None])
        tally += counts
        ious += matched
    everything = np.zeros(3, int)
    for picture in held:
        everything += match(analyzer.detect(picture.image, 16), picture.box[None])[0]
    pasted = np.zeros(3, int)
    for start in range(0, len(single) - 5, 3):
        frame, boxes = side_by_side(single[start : start + 6])
        pasted += match(analyzer.detect(frame, 32), boxes)[0]
    hard = np.zeros(3, int)
    rng = np.random.default_rng(7)
    for _ in range(150):
        scene = compose_scene(single, 540, 960, rng)
        found = analyzer.detect(scene.image, 32)
        hard += match(found, scene.boxes[~scene.ignored], scene.boxes[scene.ignored])[0]
    teacher = cv2.FaceDetectorYN.create(
        str(data / "teachers" / "yunet_n_dynamic.onnx"), "", (480, 270), 0.8
    )
    video = {}
    for name, frames in clips.items():
        counts = np.zeros(3, int)
        for frame in frames[::3]:
            teacher.setInputSize(frame.shape[1::-1])
            _, faces = teacher.detect(frame)
            boxes = np.zeros((0, 4)) if faces is None else faces[:, :4].copy()
            boxes[:, 2:] += boxes[:, :2]
            counts += match(analyzer.detect(frame, 8), boxes, iou=0.4)[0]
        video[name] = rates(counts)
    return {
        **rates(tally),
        "mean_iou": round(float(np.mean(ious)), 3),
        "pictures": len(single),
        "with_odd_pictures": rates(everything),
        "six_pasted": rates(pasted),
        "augmented_scenes": rates(hard),
        "video_against_yunet": video,
    }


def side_by_side(pictures: list[FacePicture]) -> tuple[NDArray[np.uint8], NDArray[np.floating]]:
    """Six pictures in two rows of a 1280x720 frame, and their boxes."""
    frame = np.zeros((720, 1280, 3), np.uint8)
    boxes = []
    for number, picture in enumerate(pictures):
        scale = 360 / max(picture.image.shape[:2])
        small = cv2.resize(picture.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        y, x = 360 * (number // 3), 420 * (number % 3)
        frame[y : y + small.shape[0], x : x + small.shape[1]] = small
        boxes.append(picture.box * scale + [x, y, x, y])
    return frame, np.array(boxes)


def match(
    found: list[Detection],
    boxes: NDArray[np.floating],
    ignored: NDArray[np.floating] | None = None,
    iou: float = 0.5,
) -> tuple[NDArray[np.int64], list[float]]:
    """(matched, missed, false) counts and the IoUs of the matched, best detections first."""
    free = list(range(len(boxes)))
    ious: list[float] = []
    false = 0
    for detection in found:
        values = [overlap(detection.box, boxes[k]) for k in free]
        if values and max(values) >= iou:
            ious.append(max(values))
            free.pop(int(np.argmax(values)))
        elif ignored is None or all(overlap(detection.box, box) < 0.3 for box in ignored):
            false += 1
    return np.array([len(ious), len(free), false]), ious


def overlap(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Intersection over union of two boxes."""
    shared = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(shared / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared))


def rates(counts: NDArray[np.int64]) -> dict[str, float]:
    """Recall and precision in % from (matched, missed, false)."""
    matched, missed, false = (int(c) for c in counts)
    return {
        "recall": round(100 * matched / max(1, matched + missed), 2),
        "precision": round(100 * matched / max(1, matched + false), 2),
    }


def analyse(analyzer: BundledFaceAnalyzer, image: NDArray[np.uint8]) -> FaceAnalysis | None:
    """The best face of a picture, from detector to region map."""
    found = analyzer.detect(image, 1)
    return analyzer.analyze(image, found[0]) if found else None


def landmark_report(
    analyzer: BundledFaceAnalyzer, val: list[FacePicture], labels: dict[str, dict[str, object]]
) -> dict[str, float]:
    """Mean errors in % of the pupil distance, of our network and of the labels, against people."""
    inner, whole, human, teacher, missed = [], [], [], [], 0
    for picture in val:
        analysis = analyse(analyzer, picture.image)
        if analysis is None:
            missed += 1
            continue
        error = 100 * np.hypot(*(analysis.landmarks - picture.landmarks).T)
        error /= pupil_distance(picture.landmarks)
        inner.append(error[17:].mean())
        whole.append(error.mean())
        placed = labels[picture.name].get("human189")
        if placed is not None:
            human.append(human_errors(analysis.landmarks, np.array(placed)))
            teacher.append(human_errors(picture.landmarks, np.array(placed)))
    names = ("pupils", "mouth_corners", "lip_middle", "right_eye_corners", "chin")
    by_point = np.mean(human, axis=0)
    report = {
        "inner": np.mean(inner),
        "all": np.mean(whole),
        "human": by_point.mean(),
        "labels_against_human": np.mean(teacher),
    }
    groups = (by_point[:2], by_point[2:4], by_point[4:6], by_point[6:8], by_point[8:])
    report |= {f"human_{n}": g.mean() for n, g in zip(names, groups, strict=True)}
    return {name: round(float(value), 2) for name, value in report.items()} | {"missed": missed}


def human_errors(
    landmarks: NDArray[np.floating], placed: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Distances of pupils and `HUMAN` points in % of the pupil distance: (9,)."""
    eyes = placed[:2][np.argsort(placed[:2, 0])]
    ours = np.vstack([pupils(landmarks), landmarks[list(HUMAN.values())]])
    theirs = np.vstack([eyes, placed[list(HUMAN)]])
    return np.asarray(100 * np.hypot(*(ours - theirs).T) / np.hypot(*(eyes[1] - eyes[0])))


def rotated_report(analyzer: BundledFaceAnalyzer, val: list[FacePicture]) -> dict[str, float]:
    """Error of all 68 points with the head tilted, end to end; missed faces count in `missed`."""
    report: dict[str, float] = {}
    for angle in (-35, -20, 20, 35):
        errors, missed = [], 0
        for picture in val[::2]:
            matrix = cv2.getRotationMatrix2D((191.5, 191.5), angle, 0.7)
            image = cv2.warpAffine(
                picture.image, matrix, (384, 384), borderMode=cv2.BORDER_REPLICATE
            )
            truth = picture.landmarks @ matrix[:, :2].T + matrix[:, 2]
            analysis = analyse(analyzer, np.asarray(image, np.uint8))
            if analysis is None:
                missed += 1
                continue
            distance = np.hypot(*(analysis.landmarks - truth).T).mean()
            errors.append(100 * distance / pupil_distance(truth))
        report[f"{angle}_degrees"] = round(float(np.mean(errors)), 2)
        report["missed"] = report.get("missed", 0) + missed
    return report


def true_regions(picture: FacePicture, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The labelled region map of a val picture on an aligned crop."""
    return np.asarray(
        cv2.warpAffine(picture.regions, matrix, (256, 256), flags=cv2.INTER_NEAREST), np.uint8
    )


def region_report(analyzer: BundledFaceAnalyzer, val: list[FacePicture]) -> dict[str, float]:
    """Mean IoU over pictures. `skin` is skin and eye-shadow area together; also separately."""
    groups = {
        "lips": (Region.LIPS,),
        "skin": (Region.SKIN, Region.EYES),
        "brows": (Region.BROWS,),
        "eye_shadow_alone": (Region.EYES,),
        "skin_alone": (Region.SKIN,),
    }
    ious: dict[str, list[float]] = {name: [] for name in groups}
    for picture in val:
        analysis = analyse(analyzer, picture.image)
        if analysis is None:
            continue
        truth = true_regions(picture, analysis.matrix)
        for name, ids in groups.items():
            a, b = np.isin(analysis.regions, ids), np.isin(truth, ids)
            ious[name].append((a & b).sum() / max(1, (a | b).sum()))
    return {name: round(float(np.mean(values)), 3) for name, values in ious.items()}


def lip_report(
    analyzer: BundledFaceAnalyzer, val: list[FacePicture], human: dict[str, dict]
) -> dict[str, float]:
    """IoU of human lip outlines with the network's lips, and with the labels' lips."""
    both = np.zeros((2, 2), np.int64)
    for picture in val:
        analysis = analyse(analyzer, picture.image)
        if analysis is None or "human189" not in human[picture.name]:
            continue
        points = np.array(human[picture.name]["human189"])
        crop = points @ analysis.matrix[:, :2].T + analysis.matrix[:, 2]
        drawn = np.zeros(analysis.regions.shape, np.uint8)
        for outline, value in ((HUMAN_LIPS, 1), (HUMAN_MOUTH, 0)):
            fixed = np.round(crop[outline] * 16).astype(np.int32)
            cv2.fillPoly(drawn, [fixed], value, shift=4)
        labelled = true_regions(picture, analysis.matrix) == Region.LIPS
        for row, lips in enumerate((analysis.regions == Region.LIPS, labelled)):
            both[row] += [(lips & (drawn > 0)).sum(), (lips | (drawn > 0)).sum()]
    network, labels = (both[:, 0] / both[:, 1]).round(3).tolist()
    return {"network": network, "labels": labels}


def occluder_report(analyzer: BundledFaceAnalyzer, val: list[FacePicture]) -> dict[str, object]:
    """% of occluder pixels left unpainted; `on_face` counts only those that hide paintable face."""
    by_kind: dict[str, list[NDArray[np.int64]]] = {kind: [] for kind in OCCLUDERS}
    errors = []
    rng = np.random.default_rng(11)
    for number, picture in enumerate(val):
        kind = list(OCCLUDERS)[number % len(OCCLUDERS)]
        image = picture.image.copy()
        texture = val[(number * 7 + 3) % len(val)].image
        covered = occlude(image, picture.landmarks, rng, texture, kind)
        found = analyzer.detect(image, 1)
        start = found[0] if found else picture.landmarks
        analysis = analyzer.analyze(image, start)
        hidden = cv2.warpAffine(
            covered.astype(np.uint8), analysis.matrix, (256, 256), flags=cv2.INTER_NEAREST
        )
        hidden = hidden > 0
        on_face = hidden & (true_regions(picture, analysis.matrix) > 0)
        clear = analysis.regions == 0
        counts = [hidden.sum(), (hidden & clear).sum(), on_face.sum(), (on_face & clear).sum()]
        by_kind[kind].append(np.array(counts))
        distance = np.hypot(*(analysis.landmarks - picture.landmarks).T)[17:].mean()
        errors.append(100 * distance / pupil_distance(picture.landmarks))
    totals = {kind: np.sum(counts, axis=0) for kind, counts in by_kind.items()}
    whole = np.sum(list(totals.values()), axis=0)
    report: dict[str, object] = {
        "unpainted": share(whole[1], whole[0]),
        "unpainted_on_face": share(whole[3], whole[2]),
        "landmark_error_inner": round(float(np.mean(errors)), 2),
    }
    report["by_kind_on_face"] = {k: share(t[3], t[2]) for k, t in totals.items()}
    report["by_kind"] = {k: share(t[1], t[0]) for k, t in totals.items()}
    return report


def share(part: int, whole: int) -> float:
    """Percentage, one decimal."""
    return round(100 * float(part) / max(1, int(whole)), 1)


def confidence_report(
    analyzer: BundledFaceAnalyzer, val: list[FacePicture], pictures: list[FacePicture]
) -> dict[str, float]:
    """How well the landmark score separates faces from crops without one."""
    faces = [analyzer.analyze(p.image, p.landmarks).score for p in val]
    rng = np.random.default_rng(3)
    template = np.array([(x, y) for x, y in val[0].landmarks], np.float32)
    others = []
    for _ in range(300):
        image = faceless_sample(pictures, 384, rng).image
        others.append(analyzer.analyze(image, template).score)
    return {
        "faces_above_half": share(int(np.sum(np.array(faces) > 0.5)), len(faces)),
        "faceless_below_half": share(int(np.sum(np.array(others) < 0.5)), len(others)),
        "faces_2nd_percentile": round(float(np.percentile(faces, 2)), 3),
        "faceless_98th_percentile": round(float(np.percentile(others, 98)), 3),
    }


def speed_report(analyzer: BundledFaceAnalyzer, picture: FacePicture) -> dict[str, float]:
    """Medians in milliseconds over 200 calls, after 20 to warm up."""
    report = {}
    side = 700
    face = cv2.resize(picture.image, (side, side))
    frame = np.full((720, 1280, 3), 90, np.uint8)
    frame[10 : 10 + side, 290 : 290 + side] = face
    detection = analyzer.detect(frame, 1)[0]
    landmarks = analyzer.analyze(frame, detection).landmarks
    crop = analyzer.analyze(frame, landmarks).crop
    for name, call in {
        "detect_1280x720": lambda: analyzer.detect(frame, 4),
        "network": lambda: analyzer.lips.refine(crop, analyzer.network.analyze(crop).logits),
        "analyze_tracked": lambda: analyzer.analyze(frame, landmarks),
        "analyze_from_box": lambda: analyzer.analyze(frame, detection),
    }.items():
        report[name] = median_ms(call)
    return report


def median_ms(call: Callable[[], object], rounds: int = 200) -> float:
    """Median duration of a call in milliseconds."""
    for _ in range(20):
        call()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return round(1000 * float(np.median(times)), 2)


def read_clip(path: Path) -> list[NDArray[np.uint8]]:
    """The frames of a GIF, BGR."""
    with Image.open(path) as clip:
        frames = [
            np.array(f.convert("RGB"))[..., ::-1].copy() for f in ImageSequence.Iterator(clip)
        ]
    return frames


def processor_name() -> str:
    """The CPU's name and its number of cores."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].split(":", 1)[1].strip() if lines else name
    return f"{name}, {os.cpu_count()} cores"


def as_markdown(report: dict[str, object]) -> str:
    """The report as Markdown tables, targets beside the figures."""
    lines = ["# Face analysis", "", "| figure | value | target |", "|---|---|---|"]
    for group, values in report.items():
        for name, value in flatten(values):
            sign, target = TARGETS.get(f"{group}.{name}", ("", ""))
            lines.append(f"| {group}: {name} | {value} | {sign} {target} |".replace("|  |", "| |"))
    lines += ["", NOTES]
    return "\n".join(lines)


def flatten(values: object, prefix: str = "") -> list[tuple[str, object]]:
    """Nested dictionaries as (dotted name, value) pairs."""
    if not isinstance(values, dict):
        return [(prefix, values)]
    pairs = []
    for name, value in values.items():
        pairs += flatten(value, f"{prefix}.{name}" if prefix else str(name))
    return pairs


if __name__ == "__main__":
    main()
