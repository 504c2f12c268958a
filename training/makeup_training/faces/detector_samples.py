"""Training pictures of the detector: pictures pasted on a canvas at any size and angle."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_training.faces.data import FacePicture
from makeup_training.faces.light import relight
from makeup_training.faces.occluders import OCCLUDERS, occlude

VISIBLE, PARTLY_VISIBLE = 0.55, 0.15


@dataclass(frozen=True)
class Scene:
    """image uint8 (H, W, 3) BGR; boxes float32 (N, 4) x0 y0 x1 y1, pixels, may leave the picture;
    ignored bool (N,): faces so hidden that they do not count either way."""

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    ignored: NDArray[np.bool_]


def compose_scene(
    pictures: list[FacePicture], height: int, width: int, rng: np.random.Generator
) -> Scene:
    """One large face, a few, a crowd of small ones, or none, on a canvas of height x width."""
    canvas = _background(pictures, height, width, rng)
    kind = rng.random()
    long = max(height, width)
    if kind < 0.45:
        count, low, high = 1, 0.12, 1.15
    elif kind < 0.70:
        count, low, high = int(rng.integers(2, 6)), 0.07, 0.5
    elif kind < 0.92:
        count, low, high = int(rng.integers(4, 13)), 0.04, 0.2
    else:
        count, low, high = 0, 0.1, 0.2
    ids = np.zeros((height, width), np.uint8)
    boxes: list[NDArray[np.float64]] = []
    for number in range(1, count + 1):
        picture = pictures[rng.integers(len(pictures))]
        side = long * float(np.exp(rng.uniform(np.log(low), np.log(high))))
        boxes.append(_lay(canvas, ids, number, picture, side, pictures, rng))
    if rng.random() < 0.15:
        _stray_hand(canvas, rng)
    visible = [_visible_share(ids, number, box) for number, box in enumerate(boxes, 1)]
    kept = [k for k, share in enumerate(visible) if share >= PARTLY_VISIBLE]
    found = np.array([boxes[k] for k in kept], np.float32).reshape(-1, 4)
    ignored = np.array([visible[k] < VISIBLE or _side(boxes[k]) < 0.03 * long for k in kept], bool)
    image = relight(canvas, rng)
    if rng.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
        found = np.stack([width - found[:, 2], found[:, 1], width - found[:, 0], found[:, 3]], 1)
    return Scene(image, found, ignored)


def rotated_box(box: NDArray[np.floating], linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half extents (x, y) of a box's inscribed ellipse after a linear map (2, 2)."""
    half = np.array([box[2] - box[0], box[3] - box[1]], np.float64) / 2
    return np.asarray(np.hypot(linear[:, 0] * half[0], linear[:, 1] * half[1]))


def _lay(
    canvas: NDArray[np.uint8],
    ids: NDArray[np.uint8],
    number: int,
    picture: FacePicture,
    side: float,
    pictures: list[FacePicture],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Paste one picture so that its face's longer side is `side`; returns the face's box."""
    assert picture.box is not None
    height, width = canvas.shape[:2]
    angle = np.deg2rad(rng.uniform(-45, 45) if rng.random() < 0.5 else rng.normal(0, 5))
    box = picture.box
    scale = side / max(box[2] - box[0], box[3] - box[1])
    stretch = np.exp(rng.normal(0, 0.05))
    linear = scale * np.array(
        [[np.cos(angle) * stretch, -np.sin(angle)], [np.sin(angle) * stretch, np.cos(angle)]]
    )
    image, landmarks = picture.image, picture.landmarks
    if rng.random() < 0.3:
        image = image.copy()
        texture = pictures[rng.integers(len(pictures))].image
        occlude(image, landmarks, rng, texture, str(rng.choice(list(OCCLUDERS))))
    middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    if side > 0.6 * min(width, height):
        place = np.array([width, height]) * rng.uniform(0.3, 0.7, 2)
    else:
        place = rng.uniform(0.25 * side, np.array([width, height]) - 0.25 * side)
    factor = int(1 / scale)
    shift = place - linear @ middle
    if factor > 1:
        small = cv2.resize(
            image,
            (image.shape[1] // factor, image.shape[0] // factor),
            interpolation=cv2.INTER_AREA,
        )
        step = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
        matrix = np.hstack([linear * step, shift[:, None]])
    else:
        small, matrix = image, np.hstack([linear, shift[:, None]])
    cv2.warpAffine(
        small,
        matrix,
        (width, height),
        dst=canvas,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (image.shape[1], image.shape[0])
    cv2.fillConvexPoly(ids, np.round(corners @ linear.T + shift).astype(np.int32), number)
    half = rotated_box(box, linear)
    return np.concatenate([place - half, place + half])


def _visible_share(ids: NDArray[np.uint8], number: int, box: NDArray[np.float64]) -> float:
    """Fraction of a box inside the canvas and not covered by later pictures."""
    x0, y0, x1, y1 = np.round(box).astype(int)
    inside = ids[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)]
    return float((inside == number).sum()) / max(1, (x1 - x0) * (y1 - y0))


def _side(box: NDArray[np.float64]) -> float:
    return float(max(box[2] - box[0], box[3] - box[1]))


def _background(
    pictures: list[FacePicture], height: int, width: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """A canvas without faces: strips beside the faces of other pictures, stretched and tiled."""
    if rng.random() < 0.15:
        colour = rng.integers(0, 256, 3).astype(np.uint8)
        return np.full((height, width, 3), colour, np.uint8)
    canvas = _faceless_part(pictures, height, width, rng)
    if rng.random() < 0.4:
        split = int(rng.integers(width // 4, 3 * width // 4))
        canvas[:, split:] = _faceless_part(pictures, height, width - split, rng)
    return canvas


def _faceless_part(
    pictures: list[FacePicture], height: int, width: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    for _ in range(30):
        picture = pictures[rng.integers(len(pictures))]
        assert picture.box is not None
        tall, wide = picture.image.shape[:2]
        margin = 0.15 * (picture.box[3] - picture.box[1])
        x0, y0, x1, y1 = (picture.box + [-margin, -2 * margin, margin, margin]).astype(int)
        strips = [(0, 0, x0, tall), (x1, 0, wide, tall), (0, 0, wide, y0), (0, y1, wide, tall)]
        left, top, right, bottom = strips[rng.integers(4)]
        if right - left < 60 or bottom - top < 60:
            continue
        part = picture.image[top:bottom, left:right]
        aspect = width / height
        wanted = min(part.shape[1], int(part.shape[0] * aspect * rng.uniform(0.8, 1.3)) + 1)
        x = int(rng.integers(0, part.shape[1] - wanted + 1))
        high = min(part.shape[0], int(wanted / aspect * 1.3) + 1)
        y = int(rng.integers(0, part.shape[0] - high + 1))
        crop = part[y : y + high, x : x + wanted]
        return np.asarray(
            cv2.resize(crop, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8
        )
    return np.full((height, width, 3), 128, np.uint8)


def _stray_hand(canvas: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Paint a hand-like shape anywhere: skin colour alone is not a face."""
    height, width = canvas.shape[:2]
    unit = rng.uniform(0.05, 0.2) * max(height, width)
    points = rng.uniform((0, 0), (width, height)) + rng.normal(0, 0.1, (68, 2)) * unit
    points[36:42] -= [unit / 2, 0]
    points[42:48] += [unit / 2, 0]
    covered = canvas.copy()
    occlude(covered, points, rng, None, "hand")
    canvas[:] = covered
