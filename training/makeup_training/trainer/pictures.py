"""Sample sheets and curves as small pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_training.trainer.metrics import Sample, to_picture

_COLOURS = (
    *((180, 90, 20), (40, 40, 200), (40, 150, 40)),
    *((160, 40, 160), (20, 140, 200), (90, 90, 90)),
    *((200, 160, 40), (60, 20, 120), (0, 90, 140)),
)
_CAPTION = 18


def sheet(samples: Sequence[Sample]) -> NDArray[np.uint8]:
    """One row per face; for each task, columns with input, example, result and truth.

    Args:
        samples: samples of all batches; those of the same task share columns.

    Returns:
        uint8 (H, W, 3), BGR.
    """
    columns = []
    for task in dict.fromkeys(sample.task for sample in samples):
        own = [sample for sample in samples if sample.task == task]
        for title in ("given", "example", "result", "truth"):
            batches = [getattr(sample, title) for sample in own]
            if any(batch is None for batch in batches):
                continue
            cells = [to_picture(image)[..., ::-1] for batch in batches for image in batch]
            caption = np.full((_CAPTION, cells[0].shape[1], 3), 255, np.uint8)
            _write(caption, f"{task}: {title}", (3, 13), (0, 0, 0))
            columns.append(np.vstack([caption, *cells]))
    return np.hstack(columns)


def save_sheet(samples: Sequence[Sample], path: Path, *, quality: int = 85) -> None:
    """Write `sheet` as JPEG; creates the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), sheet(samples), [cv2.IMWRITE_JPEG_QUALITY, quality])


def curves(
    series: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
    *,
    size: tuple[int, int] = (480, 320),
) -> NDArray[np.uint8]:
    """A small line chart.

    Args:
        series: points (step, value) by name.
        title: title at the top.
        size: width and height in pixels.

    Returns:
        uint8 (height, width, 3), BGR.
    """
    width, height = size
    picture = np.full((height, width, 3), 255, np.uint8)
    left, right, top, bottom = 52, width - 10, 24, height - 24
    _write(picture, title, (left, 15), (0, 0, 0))
    known = {name: np.array(points, float) for name, points in series.items() if len(points)}
    if not known:
        return picture
    every = np.vstack(list(known.values()))
    x0, x1 = every[:, 0].min(), max(every[:, 0].max(), every[:, 0].min() + 1)
    y0, y1 = every[:, 1].min(), every[:, 1].max()
    y0, y1 = (y0, y1) if y1 - y0 > 1e-9 else (y0 - 0.5, y1 + 0.5)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = round(bottom - share * (bottom - top))
        value = y0 + share * (y1 - y0)
        cv2.line(picture, (left, y), (right, y), (225, 225, 225), 1)
        _write(picture, f"{value:.3g}", (4, y + 4), (60, 60, 60))
        x = round(left + share * (right - left))
        _write(picture, f"{x0 + share * (x1 - x0):.0f}", (x - 12, height - 8), (60, 60, 60))
    for i, (name, points) in enumerate(known.items()):
        x = left + (points[:, 0] - x0) / (x1 - x0) * (right - left)
        y = bottom - (points[:, 1] - y0) / (y1 - y0) * (bottom - top)
        line = np.round(np.column_stack([x, y]) * 16).astype(np.int32)
        colour = _COLOURS[i % len(_COLOURS)]
        cv2.polylines(picture, [line], False, colour, 1, cv2.LINE_AA, shift=4)
        _write(picture, name, (right - 150, top + 14 + 14 * i), colour)
    return picture


def _write(
    picture: NDArray[np.uint8], text: str, place: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, 1, cv2.LINE_AA)
