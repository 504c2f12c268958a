"""`mobile` as training sees it: two networks and the morph between them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from makeup_sdk.faces.layout import FaceLayout
from makeup_sdk.makeup.codes import template_layout
from makeup_training.mobile.lay import Lay
from makeup_training.mobile.networks import MAP_STRIDE, FacePainter, FaceReader, of_face, planes
from makeup_training.mobile.whole import Painter, Reader

PARTS = ("face", "lips", "eyes")
"""What is trained apart."""


@dataclass(frozen=True)
class Faces:
    """A batch of analysed crops.

    Attributes:
        image: float (B, 3, 256, 256), BGR in [0, 1], as the networks see it.
        regions: uint8 (B, 256, 256).
        layouts: landmarks and regions of each.
    """

    image: Tensor
    regions: Tensor
    layouts: list[FaceLayout]

    @property
    def inside(self) -> Tensor:
        """float (B, 1, 128, 128): how much of each cell of the change is skin or brows."""
        return F.avg_pool2d(of_face(planes(self.regions)).sum(1, keepdim=True), MAP_STRIDE)


class FaceNetworks(nn.Module):
    """The reader and the painter of skin and brows, and the morph between them.

    Args:
        reader: of skin and brows.
        painter: of the same.
    """

    def __init__(self, reader: FaceReader, painter: FacePainter) -> None:
        super().__init__()
        self.reader = reader
        self.painter = painter

    def read(self, faces: Faces) -> tuple[Tensor, Tensor]:
        """Codes on the faces themselves and on the template, float (B, 16, 64, 64) each."""
        codes = self.reader(faces.image, faces.regions).float()
        return codes, on_template(codes, faces)

    def paint(self, faces: Faces, codes: Tensor) -> Tensor:
        """See `paint`."""
        return paint(self.painter, faces, codes)


class Mobile(nn.Module):
    """The networks of all regions."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = Reader()
        self.painter = Painter()

    @classmethod
    def load(cls, folder: Path) -> "Mobile":
        """From the checkpoints of a training: face.pt, lips.pt, eyes.pt."""
        mobile = cls()
        for part in PARTS:
            saved = torch.load(folder / f"{part}.pt", weights_only=True)["average"]
            for name in ("reader", "painter"):
                weights = {
                    key.removeprefix(f"{name}."): value
                    for key, value in saved.items()
                    if key.startswith(f"{name}.")
                }
                getattr(getattr(mobile, name), part).load_state_dict(weights)
        return mobile.eval()

    def read(self, faces: Faces) -> Tensor:
        """Codes on the template, float (B, 16, 64, 64)."""
        landmarks = torch.from_numpy(np.stack([layout.landmarks for layout in faces.layouts]))
        return on_template(self.reader(faces.image, faces.regions, landmarks).float(), faces)


def on_template(codes: Tensor, faces: Faces) -> Tensor:
    """Codes on the faces to the same on the template, float (B, 16, 64, 64)."""
    lays = [Lay(face, template_layout()) for face in faces.layouts]
    return torch.stack([lay(code) for lay, code in zip(lays, codes, strict=True)])


def on_faces(codes: Tensor, faces: Faces) -> Tensor:
    """Codes on the template, one for each face, to the same on the faces."""
    lays = [Lay(template_layout(), face) for face in faces.layouts]
    return torch.stack([lay(code) for lay, code in zip(lays, codes, strict=True)])


def paint(painter: FacePainter, faces: Faces, codes: Tensor) -> Tensor:
    """The painter's change of each face by codes on the template, float (B, 6, 128, 128), 0 outside
    skin and brows."""
    change: Tensor = painter(faces.image, faces.regions, on_faces(codes, faces)).float()
    return change * faces.inside


def apply_change(image: Tensor, change: Tensor) -> Tensor:
    """image (B, 3, H, W) · (1 + gain) + offset, a coarser change interpolated."""
    fine = F.interpolate(change, image.shape[2:], mode="bilinear", align_corners=False)
    return image + fine[:, :3] * image + fine[:, 3:]
