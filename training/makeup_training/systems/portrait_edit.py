"""The portrait editor of mobile class in training: faces taken apart and put together again.

A collage shows a face whose parts were moved, bent and lit as if they came from another picture,
with gaps between them; the truth is the face as it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_training.data.parsing_classes import from_mt, mirrored_classes, to_mt
from makeup_training.data.portraits import BadDataError
from makeup_training.networks.portrait_mobile import MobilePortraitEditor
from makeup_training.systems.faces import COUNT, MIN_SCORE, photos
from makeup_training.systems.learner import SystemLearner

SIZE = 128
"""Side of the crops, half of the engine's."""

PARTS: Mapping[str, tuple[int, ...]] = {
    "eyes": (4, 5),
    "mouth": (7, 8, 9),
    "skin": (1, 2, 3, 6),
    "hair": (10,),
    "background": (0,),
}
"""Classes of the parts of a collage."""

_LENT = {"eyes": 0.5, "mouth": 0.6, "skin": 0.35, "hair": 0.45, "background": 0.1}
"""How often a part is lent."""
_BEND, _SHIFT = 1.6, 1.2
"""Spread in pixels of how a lent part is bent and moved."""
_EXPOSURE, _CAST = 0.1, 0.04
"""Spread of the light of a lent part, in values of the image."""
_HOLES = 0.35
_CLASS_WEIGHTS = (0.5, 1.0, 3.0, 3.0, 4.0, 4.0, 1.5, 4.0, 4.0, 4.0, 1.0)
_JUDGED, _EDGES, _NEW = 0.03, 1.0, 2.0
"""Weights of the parser's judgement, of differences between neighbours, and of places that were
lent or not known."""
_FIELDS: dict[str, tuple[tuple[int, ...], type]] = {
    "image": ((SIZE, SIZE, 3), np.uint8),
    "label": ((SIZE, SIZE), np.uint8),
    "held": ((), np.bool_),
}


@dataclass(frozen=True)
class Portraits:
    """N faces and their labels, memory-mapped.

    Attributes:
        image: uint8 (N, 128, 128, 3), RGB, aligned crops.
        label: uint8 (N, 128, 128), 11 classes.
        held: bool (N,): never trained on.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]
    held: NDArray[np.bool_]

    @classmethod
    def open(cls, folder: Path) -> "Portraits":
        """Open what `build` wrote.

        Raises:
            BadDataError: the folder holds no faces.
        """
        if not (folder / COUNT).is_file():
            raise BadDataError(f"{folder}: no labelled faces; `makeup-train` writes them")
        count = int((folder / COUNT).read_text())
        return cls(**{n: np.load(folder / f"{n}.npy", mmap_mode="r")[:count] for n in _FIELDS})

    @staticmethod
    def build(data: Path, folder: Path, *, progress: Callable[[str], None] = print) -> int:
        """Align the faces that have masks and write them; returns how many.

        Args:
            data: the faces folder.
            folder: takes about 66 kB a face.
            progress: told how far it is.

        Raises:
            BadDataError: a missing or damaged file.
        """
        cv2.setNumThreads(1)
        analyzer = BundledFaceAnalyzer(threads=1)
        found = [p for p in photos(data) if p.mask is not None and p.mask.is_file()]
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            name: np.lib.format.open_memmap(
                folder / f"{name}.npy", mode="w+", dtype=kind, shape=(len(found), *shape)
            )
            for name, (shape, kind) in _FIELDS.items()
        }
        count = 0
        for number, photo in enumerate(found):
            image = cv2.imread(str(photo.path), cv2.IMREAD_COLOR)
            mask = cv2.imread(str(photo.mask), cv2.IMREAD_GRAYSCALE)
            if image is None or mask is None:
                raise BadDataError(f"{photo.path}: it or its mask is missing or not readable")
            detections = analyzer.detect(image, 1)
            face = analyzer.analyze(image, detections[0]) if detections else None
            if face is not None and face.score >= MIN_SCORE:
                crop = cv2.resize(face.crop, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
                arrays["image"][count] = crop[..., ::-1]
                half = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]])
                matrix = half @ np.vstack([face.matrix, [0, 0, 1]])
                classes = to_mt(np.asarray(mask, np.uint8), "faces12")
                arrays["label"][count] = cv2.warpAffine(
                    from_mt(classes, "helen11"), matrix, (SIZE, SIZE), flags=cv2.INTER_NEAREST,
                    borderMode=cv2.BORDER_REPLICATE,
                )  # fmt: skip
                arrays["held"][count] = photo.held
                count += 1
            if number % 50 == 0:
                progress(f"{number + 1} of {len(found)} photos aligned")
        for array in arrays.values():
            array.flush()
        (folder / COUNT).write_text(str(count))
        return count

    def __len__(self) -> int:
        return len(self.held)


@dataclass(frozen=True)
class CollageBatch:
    """B faces and their collages.

    Attributes:
        image: float (B, 3, S, S), RGB in [-1, 1]: the truth.
        label: int64 (B, S, S).
        collage: float (B, 3, S, S), 0 where nothing is known.
        known: float (B, 1, S, S).
        new: float (B, 1, S, S): 1 where a part was lent or is not known.
    """

    image: Tensor
    label: Tensor
    collage: Tensor
    known: Tensor
    new: Tensor


class CollageSampler:
    """Draws collages; batch `step` is a pure function of the step.

    Args:
        faces: see there.
        batch: faces B.
        held: draw among held-back faces.
    """

    def __init__(self, faces: Portraits, batch: int, *, held: bool = False) -> None:
        self.faces, self.batch = faces, batch
        self.rows = np.flatnonzero(np.asarray(faces.held) == held)

    def __call__(self, step: int) -> CollageBatch:
        rng = np.random.default_rng([11, step])
        drawn = [self._drawn(int(rng.choice(self.rows)), rng) for _ in range(self.batch)]
        image, label, collage, known, new = (np.stack(part) for part in zip(*drawn, strict=True))
        return CollageBatch(
            *(torch.from_numpy(np.ascontiguousarray(image.transpose(0, 3, 1, 2))),
            torch.from_numpy(label.astype(np.int64)),
            torch.from_numpy(np.ascontiguousarray(collage.transpose(0, 3, 1, 2))),
            torch.from_numpy(known[:, None]),
            torch.from_numpy(new[:, None]),)
        )  # fmt: skip

    def _drawn(self, row: int, rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
        image = np.float32(self.faces.image[row]) / np.float32(127.5) - 1
        label = np.asarray(self.faces.label[row])
        if rng.random() < 0.5:
            image, label = np.ascontiguousarray(image[:, ::-1]), mirrored_classes(label)
        light = rng.normal(0, 0.12) + rng.normal(0, 0.04, 3)
        image = np.clip((image + 1) * np.float32(np.exp(light)) - 1, -1, 1).astype(np.float32)
        return image, label, *collage(image, label, rng)


def collage(
    image: NDArray[np.float32], label: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """A face with some parts as if lent by another picture.

    Args:
        image: float32 (S, S, 3) in [-1, 1].
        label: uint8 (S, S).
        rng: of all draws.

    Returns:
        collage (S, S, 3), known (S, S) and new (S, S); see `CollageBatch`.
    """
    side = label.shape[0]
    result, known = image.copy(), np.ones((side, side), np.float32)
    new = np.zeros((side, side), np.float32)
    for part, classes in PARTS.items():
        if rng.random() >= _LENT[part]:
            continue
        here = np.isin(label, classes)
        places = _bent(side, rng)
        shown = cv2.remap(
            here.astype(np.float32), places, None, cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        moved = cv2.remap(
            image, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ) + np.float32(rng.normal(0, _EXPOSURE) + rng.normal(0, _CAST, 3))
        there = here & (shown > rng.uniform(0.3, 0.95))
        result[here] = 0
        known[here] = 0
        new[here] = 1
        result[there] = moved[there]
        known[there] = 1
    if rng.random() < _HOLES:
        hole = np.zeros((side, side), np.uint8)
        middle = tuple(int(v) for v in rng.integers(0, side, 2))
        axes = tuple(int(v) for v in rng.integers(3, side // 5, 2))
        cv2.ellipse(hole, middle, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        result[hole > 0], known[hole > 0], new[hole > 0] = 0, 0, 1
    return np.clip(result, -1, 1), known, new


def _bent(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """float32 (S, S, 2): places near each pixel, smoothly bent and moved."""
    coarse = rng.normal(0, _BEND, (6, 6, 2)).astype(np.float32)
    offsets = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    shift = np.float32(rng.normal(0, _SHIFT, 2))
    return np.asarray(offsets + np.stack([x, y], -1) + shift, np.float32)


class PortraitLearner(SystemLearner):
    """Parser and fitter together; the parser also judges what the fitter makes."""

    name = "portrait-edit"
    folder = "portraits"
    facts: ClassVar[Mapping[str, Any]] = {"generator": "mobile"}

    def __init__(self, width: int) -> None:
        self.network: MobilePortraitEditor = MobilePortraitEditor(width)
        with torch.no_grad():
            self.network.fitter.last.weight *= 0.1
        self._weights = torch.tensor(_CLASS_WEIGHTS)

    @property
    def files(self) -> Mapping[str, nn.Module]:
        return {"editor": self.network}

    @staticmethod
    def open_faces(folder: Path) -> Portraits:
        return Portraits.open(folder)

    @staticmethod
    def build_faces(data: Path, folder: Path, progress: Callable[[str], None]) -> None:
        Portraits.build(data, folder, progress=progress)

    def sampler(
        self, store: Portraits, size: int, batch: tuple[int, int], *, held: bool = False
    ) -> CollageSampler:
        return CollageSampler(store, batch[0] * batch[1], held=held)

    def terms(self, batch: CollageBatch, *, mixed: bool) -> dict[str, Tensor]:
        """See `SystemLearner.terms`: classes of a photo, a collage fitted, and its classes."""
        network = self.network
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            logits = network.parse(batch.image).float()
            result = network.fit(batch.collage, batch.known, batch.label).float()
            judged = functional_call(network.parser, dict(network.frozen_parser()), (result,))
        error = result - batch.image
        weight = 1 + _NEW * batch.new
        edges = sum((error.diff(dim=d).abs() * weight.narrow(d, 1, error.shape[d] - 1)).mean()
                    for d in (2, 3))  # fmt: skip
        return {
            "parser": functional.cross_entropy(logits, batch.label, self._weights),
            "picture": (error.abs() * weight).mean(),
            "edges": _EDGES * edges,
            "judged": _JUDGED * functional.cross_entropy(judged.float(), batch.label),
        }
