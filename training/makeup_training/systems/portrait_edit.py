"""Training of the mobile-class portrait editor: parsers of aligned faces and heads."""

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

from makeup_kernels.head import HEAD_SIZE
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis
from makeup_training.data.parsing_classes import from_mt, mirrored_classes, to_mt
from makeup_training.networks.portrait_mobile import MobilePortraitEditor
from makeup_training.systems.faces import Photo, analysed, photos, read_mask
from makeup_training.systems.heads import UNKNOWN, HeadLabels
from makeup_training.systems.learner import SystemLearner
from makeup_training.systems.rows import Fields, open_rows, write_rows

SIZE = 128
"""Side of the crops, half of the engine's."""

_TURN, _SCALE, _SHIFT = 5.0, 0.07, 3.0
"""Spread of the random rotation (degrees), log scale and shift (pixels)."""
_HEAD_SCALE = 0.15
"""Spread of the log scale of heads."""
_EXPOSURE, _CAST = 0.25, 0.06
"""Spread of the log light: of all channels together, and of each channel."""
_CLASS_WEIGHTS = (0.5, 1.0, 3.0, 3.0, 4.0, 4.0, 1.5, 4.0, 4.0, 4.0, 1.0)
_HEAD_WEIGHTS = (1.0, 1.0, 1.5, 1.0)
_FIELDS: Fields = {
    "image": ((SIZE, SIZE, 3), np.uint8),
    "label": ((SIZE, SIZE), np.uint8),
    "head": ((HEAD_SIZE, HEAD_SIZE, 3), np.uint8),
    "head_label": ((HEAD_SIZE, HEAD_SIZE), np.uint8),
    "held": ((), np.bool_),
}


@dataclass(frozen=True)
class Portraits:
    """N faces, their heads, and the labels of both, memory-mapped.

    Attributes:
        image: uint8 (N, 128, 128, 3), RGB, aligned crops.
        label: uint8 (N, 128, 128), 11 classes.
        head: uint8 (N, 128, 128, 3), RGB, crops of the heads.
        head_label: uint8 (N, 128, 128), index into `HEAD_CLASSES`, or 255: counts for nothing.
        held: bool (N,): never trained on.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]
    head: NDArray[np.uint8]
    head_label: NDArray[np.uint8]
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
            data: the faces folder; with whole pictures (`detect/`) and `teachers/`, heads show
                more than the portraits do.
            folder: the output folder; about 0.13 MB per face.
            progress: receives progress messages.

        Raises:
            BadDataError: a missing or damaged file.
        """
        found = [p for p in photos(data) if p.mask is not None and p.mask.is_file()]
        heads = HeadLabels(data, BundledFaceAnalyzer(threads=1))
        rows = (_row(photo, face, heads) for _, photo, face in analysed(found, progress))
        return write_rows(folder, _FIELDS, len(found), rows)

    def __len__(self) -> int:
        return len(self.held)


def _row(photo: Photo, face: FaceAnalysis, heads: HeadLabels) -> Mapping[str, Any]:
    """An aligned face, its head, and their labels."""
    assert photo.mask is not None
    crop = cv2.resize(face.crop, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    half = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]])
    matrix = half @ np.vstack([face.matrix, [0, 0, 1]])
    label = cv2.warpAffine(
        from_mt(to_mt(read_mask(photo.mask), "faces12"), "helen11"), matrix, (SIZE, SIZE),
        flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    head, head_label = heads.row(photo, face)
    return {
        "image": crop[..., ::-1],
        "label": label,
        "head": head[..., ::-1],
        "head_label": head_label,
        "held": photo.held,
    }


@dataclass(frozen=True)
class LabelBatch:
    """B faces with their heads, and the labels of both.

    Attributes:
        image: float (B, 3, S, S), RGB in [-1, 1].
        label: int64 (B, S, S).
        head: float (B, 3, 128, 128), RGB in [-1, 1].
        head_label: int64 (B, 128, 128), 255 where it is unknown.
    """

    image: Tensor
    label: Tensor
    head: Tensor
    head_label: Tensor


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
        rng, faces = np.random.default_rng([11, step]), self.faces
        rows = [int(rng.choice(self.rows)) for _ in range(self.batch)]
        image, label = self._drawn(faces.image, faces.label, rows, (rng, _SCALE, None))
        head, of_head = self._drawn(faces.head, faces.head_label, rows, (rng, _HEAD_SCALE, UNKNOWN))
        return LabelBatch(image, label, head, of_head)

    def _drawn(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        rows: list[int],
        change: tuple[np.random.Generator, float, int | None],
    ) -> tuple[Tensor, Tensor]:
        """Pictures and labels of some rows; `change`: see `_changed`."""
        pairs = [(np.asarray(images[row]), np.asarray(labels[row])) for row in rows]
        light = [(np.float32(image) / np.float32(127.5) - 1, label) for image, label in pairs]
        if not self.held:
            light = [_changed(image, label, *change) for image, label in light]
        planes = np.stack([image.transpose(2, 0, 1) for image, _ in light])
        classes = np.stack([label for _, label in light]).astype(np.int64)
        return torch.from_numpy(np.ascontiguousarray(planes)), torch.from_numpy(classes)


def _changed(
    image: NDArray[np.float32],
    label: NDArray[np.uint8],
    rng: np.random.Generator,
    spread: float,
    beyond: int | None,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A picture (S, S, 3) and its label, mirrored, moved and relit.

    Args:
        image, label: the picture in [-1, 1] and its label.
        rng: random numbers.
        spread: of the log scale.
        beyond: the label beyond the picture; None repeats its border. Left and right are classes
            of their own only with None.
    """
    if rng.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
        label = mirrored_classes(label) if beyond is None else np.ascontiguousarray(label[:, ::-1])
    turn, scale = rng.normal(0, _TURN), float(np.exp(rng.normal(0, spread)))
    matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), turn, scale)
    matrix[:, 2] += rng.normal(0, _SHIFT, 2)
    side, border = (SIZE, SIZE), cv2.BORDER_REPLICATE
    image = cv2.warpAffine(image, matrix, side, flags=cv2.INTER_LINEAR, borderMode=border)
    outside = border if beyond is None else cv2.BORDER_CONSTANT
    label = cv2.warpAffine(
        label, matrix, side,
        flags=cv2.INTER_NEAREST, borderMode=outside, borderValue=beyond or 0,
    )  # fmt: skip
    light = rng.normal(0, _EXPOSURE) + rng.normal(0, _CAST, 3)
    image = (image + 1) * np.float32(np.exp(light)) - 1
    return np.clip(image, -1, 1).astype(np.float32), np.asarray(label, np.uint8)


class PortraitLearner(SystemLearner):
    """Trains the parsers of faces and of heads."""

    name = "portrait-edit"
    folder = "heads"
    facts: ClassVar[Mapping[str, Any]] = {"generator": "mobile"}

    def __init__(self, width: int) -> None:
        self.network: MobilePortraitEditor = MobilePortraitEditor(width)
        self._weights = torch.tensor(_CLASS_WEIGHTS)
        self._head_weights = torch.tensor(_HEAD_WEIGHTS)

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
            of_head = self.network.parse_head(batch.head)
        return {
            "parser": functional.cross_entropy(logits.float(), batch.label, self._weights),
            "head": functional.cross_entropy(
                of_head.float(), batch.head_label, self._head_weights, ignore_index=UNKNOWN
            ),
        }
