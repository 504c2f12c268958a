"""What super-resolution gives small faces: PSNR beside bicubic enlargement, sharpness in frames.

Called by `systems.py`. `enlarged` takes a face's window at 64 pixels to 256: the truth is the
full-size face in the makeup that the model puts on it; both enlargements start from the small face
in its own. `in_frames` shrinks photos until faces are 40 to 90 pixels wide in a frame of 1280×720,
as they are and through a soft camera (blur of 0.7 pixels, JPEG 80): sharpness is the mean gradient
of grey inside the face, with makeup alone and with the detail that the model adds to it.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels.types import FloatArray, Image
from makeup_sdk import Look, MakeupEngine
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis
from makeup_sdk.faces.light import from_log, to_log
from makeup_sdk.makeup.base import DETAIL, MAKEUP_REGIONS
from makeup_sdk.models.factors import Factors, at_strength, cover_of
from makeup_sdk.models.papers.psgan_sr import SharpPainter
from makeup_sdk.models.papers.views import PIXEL_MIDDLE

SMALL, LARGE = 64, 256
"""Sides of the window before and after."""

WIDTHS = (40, 55, 70, 90)
"""Of the faces in the frames, in pixels."""

_FRAME = (720, 1280, 3)
_CORNER = (20, 10)
_ALL = dict.fromkeys(MAKEUP_REGIONS, 1.0)


def enlarged(model: str, references: Sequence[Any], sources: Sequence[Any]) -> dict[str, float]:
    """Medians over all pairs: PSNR in dB to the full-size result, bicubic and the model's.

    Args:
        model: name or bundle of a model with `SharpPainter`.
        references: pictures, with `image`.
        sources: pictures, with `face`.
    """
    engine = MakeupEngine(model=model, max_faces=1)
    found = []
    for reference in references:
        engine.look = Look.from_photo(reference.image, model=engine.model)
        painter = _painter(engine)
        found += [_both(painter, source.face) for source in sources]
    bicubic, ours = np.median(np.array(found), axis=0)
    gains = sorted(ours - bicubic for bicubic, ours in found)
    return {
        "bicubic": round(float(bicubic), 2),
        "model": round(float(ours), 2),
        "gain": round(median(gains), 2),
        "gain_of_the_worst_tenth": round(gains[len(gains) // 10], 2),
    }


def in_frames(model: str, references: Sequence[Any], sources: Sequence[Any]) -> dict[str, Any]:
    """By camera and width of the face: sharpness, as a share of the frame's own, medians."""
    engine = MakeupEngine(model=model, max_faces=1)
    engine.look = Look.from_photo(references[0].image, model=engine.model)
    painter, analyzer = _painter(engine), BundledFaceAnalyzer()
    rows: dict[str, Any] = {}
    for camera, blur in (("sharp", 0.0), ("soft", 0.7)):
        for width in WIDTHS:
            shares = []
            for source in sources:
                frame = framed(source.image, source.face, width, blur)
                detections = analyzer.detect(frame, 1)
                if not detections:
                    continue
                face = analyzer.analyze(frame, detections[0])
                factors = dict(painter.factors(face))
                full = _put(frame, face, factors)
                factors.pop(DETAIL, None)
                pictures = frame, _put(frame, face, factors), full
                own, alone, both = (sharpness(picture, face) for picture in pictures)
                shares.append((alone / own, both / own))
            alone, both = np.median(np.array(shares), axis=0)
            rows[f"{camera} {width}"] = {
                "found": len(shares),
                "makeup_alone": round(float(alone), 3),
                "with_detail": round(float(both), 3),
            }
    return rows


def framed(image: Image, face: FaceAnalysis, width: int, blur: float) -> Image:
    """A photo in a frame of 1280×720, its face so many pixels wide, through a camera's blur."""
    points = face.landmarks
    scale = width / float(np.linalg.norm(points[16] - points[0]))
    few = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    frame = np.full(_FRAME, 90, np.uint8)
    left, top = _CORNER
    few = few[: _FRAME[0] - top, : _FRAME[1] - left]
    frame[top : top + few.shape[0], left : left + few.shape[1]] = few
    if blur:
        frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), blur), np.uint8)
        code = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
        frame = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return frame


def sharpness(frame: Image, face: FaceAnalysis) -> float:
    """Mean gradient of grey inside the hull of a face's landmarks."""
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).astype(np.float32)
    steps = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) / 8
    inside = np.zeros(grey.shape, np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(face.landmarks).astype(np.int32)), 1)
    return float(steps[inside > 0].mean())


def _painter(engine: MakeupEngine) -> SharpPainter:
    outfit = engine.outfit(0)
    assert outfit is not None
    assert isinstance(outfit.painter, SharpPainter)
    return outfit.painter


def _both(painter: SharpPainter, face: FaceAnalysis) -> tuple[float, float]:
    """PSNR of bicubic enlargement, and of the model's, to the full-size made-up face."""
    part = painter.view.pixels
    truth = cv2.resize(_made_up(painter, face)[part], (LARGE, LARGE), interpolation=cv2.INTER_CUBIC)
    small = cv2.resize(face.crop[part], (SMALL, SMALL), interpolation=cv2.INTER_AREA)
    crop = face.crop.copy()
    crop[part] = cv2.resize(small, crop[part].shape[1::-1], interpolation=cv2.INTER_NEAREST)
    seen = replace(face, crop=crop)
    worn_small = cv2.resize(
        _made_up(painter, seen)[part], (SMALL, SMALL), interpolation=cv2.INTER_AREA
    )
    size = (LARGE, LARGE)
    bicubic = cv2.resize(worn_small, size, interpolation=cv2.INTER_CUBIC)
    base = cv2.resize(to_log(np.asarray(worn_small, np.uint8)), size, interpolation=cv2.INTER_CUBIC)
    ours = from_log(base + _detail(painter, seen))
    return _psnr(bicubic, truth), _psnr(ours, truth)


def _detail(painter: SharpPainter, face: FaceAnalysis) -> FloatArray:
    """float32 (256, 256, 3), log light: all of the network's detail."""
    seen = painter.seen(face)
    assert seen is not None, "too little of the face's skin is visible"
    planes = painter.network.passes(seen, detail=True).detail
    assert planes is not None
    detail = planes.transpose(1, 2, 0) * np.float32(painter.view.range / PIXEL_MIDDLE)
    return np.asarray(cv2.resize(detail, (LARGE, LARGE)), np.float32)


def _made_up(painter: SharpPainter, face: FaceAnalysis) -> Image:
    """The crop in makeup, without any detail."""
    factors = dict(painter.factors(face))
    factors.pop(DETAIL, None)
    own = replace(face, matrix=np.eye(2, 3), landmarks=face.crop_landmarks)
    return _put(face.crop, own, factors)


def _put(frame: Image, face: FaceAnalysis, factors: Factors) -> Image:
    result = frame.copy()
    covers = {part: cover_of(face, part) for part in factors}
    at_strength(factors, covers, _ALL).put(result, face, color="bgr", threads=1)
    return result


def _psnr(found: NDArray[Any], truth: NDArray[Any]) -> float:
    error = np.square(found.astype(np.float64) - truth).mean()
    return float(10 * np.log10(255**2 / error))
