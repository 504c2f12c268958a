"""Measure 2 of `quality.py`: temporal stability of the makeup in a moving, noisy film."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from quality_data import Image, analysed, pairs

from makeup_sdk import MakeupEngine
from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_sdk.faces.light import to_log
from makeup_sdk.models.mobile.paint import MobilePainter
from makeup_sdk.stream import FrameProcessor, StreamOptions
from makeup_training.data.portraits import Portrait


@dataclass(frozen=True)
class FilmFrame:
    """A frame of the film, uint8 (H, W, 3), and the transform (2, 3) from photo to frame pixels."""

    image: Image
    motion: NDArray[np.float64]


def film(photo: Image, frames: int, seed: int) -> Iterator[FilmFrame]:
    """A portrait, moved by less than a pixel per frame, zoomed, in changing light, with noise."""
    rng = np.random.default_rng(seed)
    side = photo.shape[0]
    for number in range(frames):
        t = number / 30
        scale = 1.0 + 0.05 * np.sin(0.9 * t)
        angle = 1.5 * np.sin(1.1 * t + 1)
        motion = cv2.getRotationMatrix2D((side / 2, side / 2), angle, scale)
        motion[:, 2] += 6 * np.sin(0.7 * t), 5 * np.sin(1.3 * t)
        moved = cv2.warpAffine(
            photo, motion, (side, side), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE
        )
        light = 1 + 0.08 * np.sin(1.7 * t)
        noisy = moved.astype(np.float32) * light + rng.normal(0, 3, moved.shape)
        yield FilmFrame(np.clip(np.round(noisy), 0, 255).astype(np.uint8), motion)


def stillness(faces: list[Portrait], count: int, analyzer: BundledFaceAnalyzer) -> dict[str, float]:
    """Mean change of the makeup layer's log light between frames, over `count` films.

    `published` is the method of PSGAN's demo applied to `mobile`: every frame independently, the
    crop at whole pixels, the result resized back. `unmoving` is one fixed change of colours, moved
    with the true motion: only noise and rounding.
    """
    found: dict[str, list[float]] = defaultdict(list)
    engine = MakeupEngine(model="mobile", analyzer=analyzer)
    for number in range(count):
        face, other = faces[2 * number : 2 * number + 2]
        reference = next(iter(pairs([face, other], 1, seed=5 + number, style="evening"))).reference
        frames = list(film(face.image, 60, seed=5))
        engine.look = reference
        processor = FrameProcessor(engine, StreamOptions())
        streamed = [processor.process(f.image, n / 30).image for n, f in enumerate(frames)]
        found["mobile"].append(_trembling(frames, streamed))
        apart = [engine.process(f.image) for f in frames]
        found["mobile_frame_by_frame"].append(_trembling(frames, apart))
        found["unmoving"].append(_trembling(frames, _unmoving(engine, face.image, frames)))
        published = [_published(engine, f.image) for f in frames]
        found["published"].append(_trembling(frames, published))
    report = {name: round(float(np.mean(values)), 5) for name, values in found.items()}
    return report | {"mobile_over_published": round(report["mobile"] / report["published"], 3)}


def _unmoving(engine: MakeupEngine, photo: Image, frames: list[FilmFrame]) -> list[Image]:
    """A film with its photo's change, moved with the film's motion."""
    face, outfit = analysed(engine.analyzer, photo), engine.outfit(0)
    assert face is not None
    assert outfit is not None
    assert isinstance(outfit.painter, MobilePainter)
    paint = outfit.painter.paint(face, engine.strength_of(outfit))
    images = []
    for frame in frames:
        image = frame.image.copy()
        back = cv2.invertAffineTransform(frame.motion)
        matrix = face.matrix @ np.vstack([back, [0, 0, 1]])
        moved = replace(face, matrix=matrix)
        paint.put(image, moved, color=engine.color, threads=engine.threads)
        images.append(image)
    return images


def _published(engine: MakeupEngine, frame: Image) -> Image:
    """A frame processed like PSGAN's demo: the detector's box, whole pixels, 256 pixels wide."""
    found = engine.analyzer.detect(frame, 1)
    x0, y0, x1, y1 = found[0].box
    reach = 0.3 * max(x1 - x0, y1 - y0)
    height, width = frame.shape[:2]
    left, top = max(int(x0 - reach), 0), max(int(y0 - reach), 0)
    right, bottom = min(int(x1 + reach), width), min(int(y1 + reach), height)
    part = frame[top:bottom, left:right]
    small = cv2.resize(part, (256, 256), interpolation=cv2.INTER_AREA)
    made_up = cv2.resize(engine.process(small), part.shape[1::-1]).astype(np.float32)
    coarse = cv2.resize(small, part.shape[1::-1]).astype(np.float32)
    out = frame.copy()
    out[top:bottom, left:right] = np.clip(np.round(made_up + part - coarse), 0, 255)
    return out


def _trembling(frames: list[FilmFrame], made_up: list[Image]) -> float:
    layers = []
    for frame, image in zip(frames, made_up, strict=True):
        layer = cv2.GaussianBlur(to_log(image) - to_log(frame.image), (0, 0), 1.0)
        back = cv2.warpAffine(
            layer, frame.motion, layer.shape[1::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        layers.append(back)
    made_up_here = np.abs(np.mean(layers, axis=0)).max(axis=2) > 0.02
    changes = [np.abs(b - a)[made_up_here].mean() for a, b in pairwise(layers[10:])]
    return float(np.mean(changes))
