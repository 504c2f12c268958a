"""Contact sheets of made-up faces for `quality.py`."""

from pathlib import Path

import cv2
import numpy as np
from quality_data import Image, methods, pairs

from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_training.data.portraits import Portrait

TILE = 200


def write_sheets(
    folder: Path,
    faces: list[Portrait],
    analyzer: BundledFaceAnalyzer,
) -> None:
    """`truth.jpg`: source, reference, truth and every method."""
    folder.mkdir(parents=True, exist_ok=True)
    competitors = methods(analyzer)
    rows = []
    for pair in pairs(faces, 16, seed=1):
        results = [method(pair.source.image, pair.reference) for method in competitors.values()]
        tiles = [pair.source.image, pair.reference, pair.truth, *results[:-1]]
        rows.append(np.hstack([_tile(image) for image in tiles]))
    _write(folder / "truth.jpg", rows)


def _tile(image: Image) -> Image:
    return np.asarray(cv2.resize(image, (TILE, TILE), interpolation=cv2.INTER_AREA), np.uint8)


def _write(path: Path, rows: list[Image]) -> None:
    cv2.imwrite(str(path), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])
