"""Average faces: portraits warped onto their mean shape and averaged class by class."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError, crop_matrix

SIZE = 512
"""Side of a picture in pixels."""

_ZOOM, _TOP = 0.84, 0.105
"""Side of the template crop and space above it, as fractions of the picture's side."""

_LAYERS = ((1, 2, 3, 4, 5, 6, 7, 8, 9), (10,), (11,))
"""Parse classes averaged together: face, hair, the rest of the person."""


@dataclass(frozen=True)
class AverageFace:
    """An average face: image uint8 (S, S, 3) BGR, landmarks float64 (68, 2), parse uint8 (S, S)."""

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    parse: NDArray[np.uint8]


class Portraits:
    """The portraits of a data folder with their labels."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "train"
        try:
            self.labels = json.loads((self.folder / "labels.json").read_text())
            self.meshes = np.load(self.folder / "landmarks478.npz")
        except FileNotFoundError as error:
            raise InvalidInputError(
                f"--data: {error.filename} is missing; expected a folder with train/labels.json, "
                "train/landmarks478.npz, train/images and train/masks"
            ) from error

    def load(self, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8], "_Shape"]:
        """Image, parse and shape of a portrait; raises InvalidInputError if a file is missing."""
        image = cv2.imread(str(self.folder / "images" / f"{name}.jpg"), cv2.IMREAD_COLOR)
        parse = cv2.imread(str(self.folder / "masks" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        if image is None or parse is None or name not in self.labels or name not in self.meshes:
            raise InvalidInputError(
                f"portrait {name}: image, mask or labels are missing in {self.folder}"
            )
        landmarks = np.asarray(self.labels[name]["landmarks68"], np.float64)
        mesh = np.asarray(self.meshes[name], np.float64)[:, :2]
        return image, parse, _Shape(landmarks, mesh)


class _Shape:
    """Landmarks and mesh of one portrait, and its transform into the picture."""

    def __init__(self, landmarks: NDArray[np.float64], mesh: NDArray[np.float64]) -> None:
        matrix = crop_matrix(landmarks.astype(np.float32), SIZE) * _ZOOM
        matrix[:, 2] += ((1.0 - _ZOOM) / 2 * SIZE, _TOP * SIZE)
        self.to_picture = matrix
        self.landmarks = landmarks @ matrix[:, :2].T + matrix[:, 2]
        self.mesh = mesh @ matrix[:, :2].T + matrix[:, 2]


def average_face(portraits: Portraits, names: Sequence[str]) -> AverageFace:
    """Average a group of portraits.

    Args:
        portraits: the data.
        names: names of two or more portraits.

    Returns:
        The average, in front of a grey studio backdrop.
    """
    loaded = [portraits.load(name) for name in names]
    mean_mesh = np.mean([shape.mesh for *_, shape in loaded], axis=0)
    landmarks = np.mean([shape.landmarks for *_, shape in loaded], axis=0)
    surround = _surround(mean_mesh)
    target = np.vstack([mean_mesh, surround])
    triangles = _triangles(target)
    images, layers, parses = [], [], []
    for image, parse, shape in loaded:
        back = cv2.invertAffineTransform(shape.to_picture)
        source = np.vstack([shape.mesh, surround]) @ back[:, :2].T + back[:, 2]
        where = _backward_map(target, source, triangles)
        images.append(cv2.remap(image, *where, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))
        parses.append(cv2.remap(parse, *where, cv2.INTER_NEAREST, borderValue=255))
        layers.append(_soft_layers(parse, where))
    stack = _match_exposure(np.asarray(images, np.float32), np.asarray(parses))
    blended, alpha, head = _blend_layers(stack, np.asarray(layers, np.float32))
    crisp = _restore_contrast(blended, stack, head)
    alpha = alpha * _bust_fade()
    picture = alpha[..., None] * crisp + (1.0 - alpha[..., None]) * _backdrop()
    votes = np.stack([(np.asarray(parses) == label).sum(axis=0) for label in range(12)])
    return AverageFace(
        np.round(np.clip(picture, 0, 255)).astype(np.uint8),
        landmarks,
        votes.argmax(axis=0).astype(np.uint8),
    )


def _surround(mesh: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fixed points around the face that make hair and shoulders follow the similarity transform."""
    steps = np.linspace(-0.05 * SIZE, 1.05 * SIZE, 9)
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    away = np.sqrt(((grid[:, None] - mesh) ** 2).sum(axis=-1)).min(axis=1)
    return grid[away > 0.13 * SIZE]


def _triangles(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Delaunay triangulation: int64 (T, 3) indices into points (N, 2)."""
    margin = SIZE // 4
    division = cv2.Subdiv2D((-margin, -margin, SIZE + 2 * margin, SIZE + 2 * margin))
    for point in points.astype(np.float32):
        division.insert((float(point[0]), float(point[1])))
    corners = division.getTriangleList().reshape(-1, 3, 2)
    distance = ((corners[:, :, None] - points) ** 2).sum(axis=-1)
    nearest = distance.argmin(axis=-1)
    real = (distance.min(axis=-1) < 1e-2).all(axis=1)
    return nearest[real]


def _backward_map(
    target: NDArray[np.float64], source: NDArray[np.float64], triangles: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Source position of each pixel: x and y, float32 (S, S), affine per triangle."""
    owner = np.zeros((SIZE, SIZE), np.int32)
    for index, corners in enumerate(triangles):
        outline = np.round(target[corners] * 16).astype(np.int32)
        cv2.fillConvexPoly(owner, outline, index, lineType=cv2.LINE_8, shift=4)
    ones = np.ones((len(triangles), 3, 1))
    affine = np.linalg.solve(
        np.concatenate([target[triangles], ones], axis=2) + 1e-9 * np.eye(3), source[triangles]
    )
    y, x = np.mgrid[:SIZE, :SIZE]
    own = affine[owner]
    mapped = own[..., 0, :] * x[..., None] + own[..., 1, :] * y[..., None] + own[..., 2, :]
    return mapped[..., 0].astype(np.float32), mapped[..., 1].astype(np.float32)


def _soft_layers(
    parse: NDArray[np.uint8], where: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Soft masks of face, hair, rest and backdrop, float32 (4, S, S); all 0 beyond the portrait."""
    masks = [np.isin(parse, classes).astype(np.float32) for classes in (*_LAYERS, (0,))]
    # pixels at a border mix two layers
    soft = [cv2.GaussianBlur(cv2.erode(mask, np.ones((3, 3))), (0, 0), 1.0) for mask in masks]
    return np.stack([cv2.remap(mask, *where, cv2.INTER_LINEAR, borderValue=0) for mask in soft])


def _match_exposure(images: NDArray[np.float32], parses: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pull each portrait's skin colour halfway toward the group's mean (per-channel gain)."""
    means = np.stack(
        [image[parse == 1].mean(axis=0) for image, parse in zip(images, parses, strict=True)]
    )
    gain = np.sqrt(means.mean(axis=0) / np.maximum(means, 1.0))
    return images * gain[:, None, None, :].astype(np.float32)


def _blend_layers(
    images: NDArray[np.float32], layers: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Average each layer over the portraits that show it, then compose the layers.

    Args:
        images: float32 (N, S, S, 3).
        layers: float32 (N, 4, S, S).

    Returns:
        float32 (S, S, 3) colours; float32 (S, S) coverage of the person; the same of face and hair.
    """
    share = layers.mean(axis=0)
    share = share / np.maximum(share.sum(axis=0), 1e-3)
    # smooth the steps between portraits, then sharpen by majority: one clean outline
    rough = np.stack([cv2.GaussianBlur(layer, (0, 0), 0.014 * SIZE) for layer in share[1:]])
    face = cv2.GaussianBlur(share[0], (0, 0), 0.004 * SIZE)
    sharp = np.stack([face, *rough]) ** 6
    sharp = sharp / np.maximum(sharp.sum(axis=0), 1e-9)
    color = np.zeros(images.shape[1:], np.float32)
    for index in range(len(_LAYERS)):
        weight = layers[:, index, :, :, None]
        if index == 0:
            weight = _feather(weight) * _agreement(images, weight)
        mean = (images * weight).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-3)
        if index == 2:  # clothes have different patterns: soft focus
            mean = cv2.GaussianBlur(mean, (0, 0), 0.006 * SIZE)
        color += sharp[index][..., None] * mean
    alpha = sharp[:-1].sum(axis=0)
    return color / np.maximum(alpha, 1e-3)[..., None], alpha, sharp[0] + sharp[1]


def _feather(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fade each portrait's face mask (N, S, S, 1) in over some pixels, to avoid seams where one
    portrait's hair covers another's forehead."""
    soft = np.stack([cv2.GaussianBlur(mask, (0, 0), 0.03 * SIZE) for mask in weight[..., 0]])
    return weight * (np.clip(2.0 * soft - 1.0, 0.0, 1.0) + 0.02)[..., None]


def _agreement(images: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weight (N, S, S, 1) of each portrait by how close its pixel is to the group's median, to
    suppress single strands of hair and birthmarks."""
    inside = np.clip(cv2.GaussianBlur(weight.min(axis=0), (0, 0), 2.0) * 4.0 - 2.6, 0.0, 1.0)
    away = np.linalg.norm(images - np.median(images, axis=0), axis=-1)
    away = np.stack([cv2.GaussianBlur(single, (0, 0), 2.5) for single in away]) * inside
    return np.exp(-((away / 40.0) ** 2))[..., None].astype(np.float32)


def _restore_contrast(
    average: NDArray[np.float32], images: NDArray[np.float32], where: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Restore part of the fine contrast that averaging removes.

    In each of three bands of luminance the average's local energy is raised to 80 % of the
    portraits' mean, at most doubled.
    """
    weights = np.array([0.114, 0.587, 0.299], np.float32)
    own = average @ weights
    singles = images @ weights
    detail = np.zeros_like(own)
    for sigma in (0.8, 1.6, 3.2):
        energy = np.mean([_energy(_band(single, sigma), sigma) for single in singles], axis=0)
        band = _band(own, sigma)
        gain = np.clip(0.8 * energy / np.maximum(_energy(band, sigma), 0.3), 1.0, 2.0)
        detail += (gain - 1.0) * band
    inside = np.clip(2.0 * where - 1.0, 0.0, 1.0)
    return average + (detail * inside)[..., None]


def _band(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    fine, coarse = (cv2.GaussianBlur(values, (0, 0), s) for s in (0.5 * sigma, sigma))
    return fine - coarse


def _energy(band: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return np.sqrt(cv2.GaussianBlur(band * band, (0, 0), 6.0 * sigma))


def _backdrop() -> NDArray[np.float32]:
    """A studio wall, lighter behind the head: float32 (S, S, 3)."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32) / SIZE - 0.5
    light = np.exp(-(x**2 + (y + 0.05) ** 2) / 0.45)
    return (150.0 + 62.0 * light)[..., None] * np.array([1.0, 0.99, 0.975], np.float32)


def _bust_fade() -> NDArray[np.float32]:
    """Weights that fade the shoulders out towards the lower border: float32 (S, S), 1 above."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32) / SIZE
    depth = np.clip((y - 0.88 + 0.2 * (x - 0.5) ** 2) / 0.2, 0.0, 1.0)
    return 1.0 - depth * depth * (3.0 - 2.0 * depth)
