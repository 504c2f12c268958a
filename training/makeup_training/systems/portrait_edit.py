"""Training of the mobile-class portrait editor: a parser of aligned faces."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from makeup_sdk.faces import FaceAnalysis
from makeup_training.data.parsing_classes import from_mt, mirrored_classes, to_mt
from makeup_training.networks.portrait_mobile import MobilePortraitEditor
from makeup_training.systems.faces import Photo, analysed, photos, read_mask
from makeup_training.systems.learner import SystemLearner
from makeup_training.systems.rows import Fields, open_rows, write_rows

SIZE = 128
"""Side of the crops, half of the engine's."""

_TURN, _SCALE, _SHIFT = 5.0, 0.07, 3.0
"""Spread of the random rotation (degrees), log scale and shift (pixels)."""
_EXPOSURE, _CAST = 0.25, 0.06
"""Spread of the log light: of all channels together, and of each channel."""
_CLASS_WEIGHTS = (0.5, 1.0, 3.0, 3.0, 4.0, 4.0, 1.5, 4.0, 4.0, 4.0, 1.0)
_FIELDS: Fields = {
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
        return cls(**open_rows(folder, _FIELDS, "labelled faces"))

    @staticmethod
    def build(data: Path, folder: Path, *, progress: Callable[[str], None] = print) -> int:
        """Align the faces that have masks and write them; returns their number.

        Args:
            data: the faces folder.
            folder: the output folder; about 66 kB per face.
            progress: receives progress messages.

        Raises:
            BadDataError: a missing or damaged file.
        """
        found = [p for p in photos(data) if p.mask is not None and p.mask.is_file()]
        rows = (_row(photo, face) for _, photo, face in analysed(found, progress))
        return write_rows(folder, _FIELDS, len(found), rows)

    def __len__(self) -> int:
        return len(self.held)


def _row(photo: Photo, face: FaceAnalysis) -> Mapping[str, Any]:
    """An aligned face and its label."""
    assert photo.mask is not None
    crop = cv2.resize(face.crop, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    half = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]])
    matrix = half @ np.vstack([face.matrix, [0, 0, 1]])
    label = cv2.warpAffine(
        from_mt(to_mt(read_mask(photo.mask), "faces12"), "helen11"), matrix, (SIZE, SIZE),
        flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return {"image": crop[..., ::-1], "label": label, "held": photo.held}


@dataclass(frozen=True)
class LabelBatch:
    """B faces and their labels.

    Attributes:
        image: float (B, 3, S, S), RGB in [-1, 1].
        label: int64 (B, S, S).
    """

    image: Tensor
    label: Tensor


class LabelSampler:
    """Draws faces, randomly mirrored, moved and relit; batch `step` depends only on the step.

    Args:
        faces: see `Portraits`.
        batch: number of faces B.
        held: draw held-back faces, unchanged.
    """

    def __init__(self, faces: Portraits, batch: int, *, held: bool = False) -> None:
        self.faces, self.batch, self.held = faces, batch, held
        self.rows = np.flatnonzero(np.asarray(faces.held) == held)

    def __call__(self, step: int) -> LabelBatch:
        rng = np.random.default_rng([11, step])
        drawn = [self._drawn(int(rng.choice(self.rows)), rng) for _ in range(self.batch)]
        image, label = (np.stack(part) for part in zip(*drawn, strict=True))
        planes = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
        return LabelBatch(torch.from_numpy(planes), torch.from_numpy(label.astype(np.int64)))

    def _drawn(
        self, row: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        image = np.float32(self.faces.image[row]) / np.float32(127.5) - 1
        label = np.asarray(self.faces.label[row])
        if self.held:
            return image, label
        if rng.random() < 0.5:
            image, label = np.ascontiguousarray(image[:, ::-1]), mirrored_classes(label)
        turn, scale = rng.normal(0, _TURN), float(np.exp(rng.normal(0, _SCALE)))
        matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), turn, scale)
        matrix[:, 2] += rng.normal(0, _SHIFT, 2)
        side, border = (SIZE, SIZE), cv2.BORDER_REPLICATE
        image = cv2.warpAffine(image, matrix, side, flags=cv2.INTER_LINEAR, borderMode=border)
        label = cv2.warpAffine(label, matrix, side, flags=cv2.INTER_NEAREST, borderMode=border)
        light = rng.normal(0, _EXPOSURE) + rng.normal(0, _CAST, 3)
        image = (image + 1) * np.float32(np.exp(light)) - 1
        return np.clip(image, -1, 1).astype(np.float32), np.asarray(label, np.uint8)


class PortraitLearner(SystemLearner):
    """Trains the parser."""

    name = "portrait-edit"
    folder = "portraits"
    facts: ClassVar[Mapping[str, Any]] = {"generator": "mobile"}

    def __init__(self, width: int) -> None:
        self.network: MobilePortraitEditor = MobilePortraitEditor(width)
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
    ) -> LabelSampler:
        return LabelSampler(store, batch[0] * batch[1], held=held)

    def terms(self, batch: LabelBatch, *, mixed: bool) -> dict[str, Tensor]:
        """See `SystemLearner.terms`."""
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            logits = self.network(batch.image)
        return {"parser": functional.cross_entropy(logits.float(), batch.label, self._weights)}
