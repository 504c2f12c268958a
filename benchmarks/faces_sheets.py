"""Contact sheets of face analysis for visual inspection: results/faces/*.jpg."""

from pathlib import Path

import cv2
import numpy as np

from makeup_kernels.types import Image
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis
from makeup_training.faces.data import FacePicture
from makeup_training.faces.detector_samples import compose_scene
from makeup_training.faces.occluders import OCCLUDERS, occlude

COLOURS = np.array(
    [(0, 0, 0), (180, 0, 255), (90, 170, 255), (255, 220, 0), (0, 0, 255)], np.float32
)


def write_sheets(folder: Path, analyzer: BundledFaceAnalyzer, held: list[FacePicture]) -> None:
    """wild.jpg, detect.jpg, pasted.jpg: AI-generated faces."""
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / "wild.jpg", [crop_tile(analyzer, p.image) for p in held[2::5][:28]], 7)
    save(folder / "detect.jpg", [frame_tile(analyzer, p.image, 240, 240) for p in held[::6]], 7)
    rng = np.random.default_rng(7)
    scenes = [compose_scene(held, 540, 960, rng).image for _ in range(12)]
    save(folder / "pasted.jpg", [frame_tile(analyzer, s, 270, 480) for s in scenes], 3)


def write_people_sheets(
    folder: Path,
    analyzer: BundledFaceAnalyzer,
    val: list[FacePicture],
    clips: dict[str, list[Image]],
) -> None:
    """val.jpg, occluded.jpg, video.jpg: real people; not for publication."""
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / "val.jpg", [crop_tile(analyzer, p.image) for p in val[::5][:28]], 7)
    rng = np.random.default_rng(11)
    tiles = []
    for number, picture in enumerate(val[:28]):
        image = picture.image.copy()
        kind = list(OCCLUDERS)[number % len(OCCLUDERS)]
        occlude(image, picture.landmarks, rng, val[(7 * number + 3) % len(val)].image, kind)
        tiles.append(crop_tile(analyzer, image))
    save(folder / "occluded.jpg", tiles, 7)
    frames = [clip[k * len(clip) // 4] for clip in clips.values() for k in range(4)]
    save(folder / "video.jpg", [frame_tile(analyzer, f, 270, 480, True) for f in frames], 4)


def crop_tile(analyzer: BundledFaceAnalyzer, image: Image) -> Image:
    """The aligned crop, plain and with regions and landmarks; grey if no face was found."""
    found = analyzer.detect(image, 1)
    if not found:
        tile = cv2.resize(image, (360, 180))
        return np.asarray(cv2.addWeighted(tile, 0.3, np.full_like(tile, 128), 0.7, 0), np.uint8)
    analysis = analyzer.analyze(image, found[0])
    painted = overlay(analysis)
    for x, y in analysis.crop_landmarks:
        cv2.circle(painted, (round(float(x)), round(float(y))), 1, (0, 255, 0), -1)
    cv2.putText(painted, f"{analysis.score:.2f}", (4, 16), 0, 0.5, (255, 255, 255), 1)
    return np.asarray(cv2.resize(np.hstack([analysis.crop, painted]), (360, 180)), np.uint8)


def overlay(analysis: FaceAnalysis) -> Image:
    """The crop tinted by its regions."""
    weight = 0.5 * (analysis.regions > 0)[..., None]
    return (analysis.crop * (1 - weight) + COLOURS[analysis.regions] * weight).astype(np.uint8)


def frame_tile(
    analyzer: BundledFaceAnalyzer, image: Image, height: int, width: int, marked: bool = False
) -> Image:
    """A picture with its detections, and with landmarks when `marked`, fitted to a tile."""
    shown = image.copy()
    for detection in analyzer.detect(image, 32):
        x0, y0, x1, y1 = (round(float(v)) for v in detection.box)
        cv2.rectangle(shown, (x0, y0), (x1, y1), (0, 255, 0), 2)
        cv2.putText(shown, f"{detection.score:.2f}", (x0, y0 - 3), 0, 0.5, (0, 255, 255), 1)
        if marked:
            for x, y in analyzer.analyze(image, detection).landmarks:
                cv2.circle(shown, (round(float(x)), round(float(y))), 1, (255, 255, 0), -1)
    scale = min(height / shown.shape[0], width / shown.shape[1])
    small = cv2.resize(shown, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tile = np.zeros((height, width, 3), np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small[:height, :width]
    return tile


def save(path: Path, tiles: list[Image], columns: int) -> None:
    """Tiles of one size as a JPEG, row by row; an incomplete last row is dropped."""
    rows = [np.hstack(tiles[k : k + columns]) for k in range(0, len(tiles) - columns + 1, columns)]
    cv2.imwrite(str(path), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 72])
