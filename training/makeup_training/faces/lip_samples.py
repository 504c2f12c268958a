"""Training samples of the lip net: mouths framed by the SDK's face analysis."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, Region
from makeup_kernels.geometry import MOUTH_LOGITS, MOUTH_PIXELS, pupil_distance
from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_training.faces.data import FacePicture
from makeup_training.faces.landmark_samples import mirrored
from makeup_training.faces.light import relight
from makeup_training.faces.occluders import occlude

OCCLUDED_SHARE = 0.35


@dataclass(frozen=True)
class LipSamples:
    """image uint8 (N, 64, 96, 3) BGR; regions float16 (N, 5, 40, 60), logits; lips bool
    (N, 64, 96), ground truth."""

    image: NDArray[np.uint8]
    regions: NDArray[np.float16]
    lips: NDArray[np.bool_]


def lip_samples(
    pictures: list[FacePicture],
    analyzer: BundledFaceAnalyzer,
    views: int,
    seed: int,
    *,
    clear: bool = False,
) -> LipSamples:
    """Several views of each picture, randomly mirrored, jittered, occluded and relit; with `views`
    0 the unchanged picture; with `clear` neither occluded nor relit."""
    found: list[tuple[NDArray[np.uint8], NDArray[np.float16], NDArray[np.bool_]]] = []
    for number, picture in enumerate(pictures):
        for view in range(max(1, views)):
            rng = np.random.default_rng([seed, number, view])
            found.append(_sample(picture, pictures, analyzer, rng, views > 0, clear))
    images, regions, lips = zip(*found, strict=True)
    return LipSamples(np.stack(images), np.stack(regions), np.stack(lips))


def _sample(
    picture: FacePicture,
    pictures: list[FacePicture],
    analyzer: BundledFaceAnalyzer,
    rng: np.random.Generator,
    moved: bool,
    clear: bool,
) -> tuple[NDArray[np.uint8], NDArray[np.float16], NDArray[np.bool_]]:
    if moved and rng.random() < 0.5:
        picture = mirrored(picture)
    image, landmarks = picture.image, picture.landmarks
    regions = _regions(picture)
    if moved and not clear:
        image = image.copy()
        if rng.random() < OCCLUDED_SHARE:
            texture = pictures[int(rng.integers(len(pictures)))].image
            covered = occlude(image, landmarks, rng, texture)
            regions = np.where(covered, Region.NONE, regions).astype(np.uint8)
        image = relight(image, rng)
    if moved:
        landmarks = _jittered(landmarks, rng)
    face = analyzer.analyze(image, landmarks)
    logits = analyzer.network.analyze(face.crop).logits
    truth = cv2.warpAffine(regions, face.matrix, (CROP_SIZE, CROP_SIZE), flags=cv2.INTER_NEAREST)
    return (
        face.crop[MOUTH_PIXELS].copy(),
        logits[:, MOUTH_LOGITS[0], MOUTH_LOGITS[1]].astype(np.float16),
        truth[MOUTH_PIXELS] == Region.LIPS,
    )


def _regions(picture: FacePicture) -> NDArray[np.uint8]:
    """The mask at the picture's size; without one, lips drawn from their landmarks."""
    if picture.regions is not None:
        size = picture.image.shape[1::-1]
        return np.asarray(
            cv2.resize(picture.regions, size, interpolation=cv2.INTER_NEAREST), np.uint8
        )
    regions = np.zeros(picture.image.shape[:2], np.uint8)
    for points, region in ((slice(48, 60), Region.LIPS), (slice(60, 68), Region.NONE)):
        outline = np.round(picture.landmarks[points] * 16).astype(np.int32)
        cv2.fillPoly(regions, [outline], int(region), shift=4)
    return regions


def _jittered(landmarks: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Randomly rotated, scaled and shifted, plus noise per point, as at the start of tracking."""
    middle, unit = landmarks.mean(axis=0), pupil_distance(landmarks)
    angle, scale = rng.normal(0, 0.05), np.exp(rng.normal(0, 0.04))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (landmarks - middle) @ turn.T + middle
    moved = moved + rng.normal(0, 0.02 * unit, 2) + rng.normal(0, 0.012 * unit, moved.shape)
    return np.asarray(moved, np.float32)
