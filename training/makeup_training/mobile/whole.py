"""The two networks of `mobile` as the product runs them: all regions in one."""

from torch import Tensor, nn

from makeup_kernels import Region
from makeup_sdk.makeup.codes import STRIDE
from makeup_training.mobile.closeups import CloseUpPainter, CloseUpReader, cut
from makeup_training.mobile.networks import (
    FacePainter,
    FaceReader,
    cheek_light,
    of_face,
    planes,
)


class Reader(nn.Module):
    """A made-up face to code maps; runs once per look."""

    def __init__(self) -> None:
        super().__init__()
        self.face = FaceReader()
        self.lips = CloseUpReader(Region.LIPS)
        self.eyes = CloseUpReader(Region.EYES)

    def forward(self, image: Tensor, regions: Tensor, landmarks: Tensor) -> Tensor:
        """image (B, 3, 256, 256) in [0, 1], regions uint8 (B, 256, 256), landmarks (B, 68, 2), crop
        pixels; gives (B, 16, 64, 64)."""
        own = planes(regions[:, ::STRIDE, ::STRIDE])
        codes: Tensor = self.face(image, regions) * of_face(own).sum(1, keepdim=True)
        cheeks = cheek_light(image, regions)
        for reader in (self.lips, self.eyes):
            region = reader.region
            found = reader(cut(region, image), cut(region, regions), cheeks, landmarks)
            codes = codes + found * own[:, region - 1 : region]
        return codes


class Painter(nn.Module):
    """A bare face and laid codes to changes of its colours; runs for every frame.

    See `FacePainter` for what a change is. That of the face is 0 on lips and eyes, which have
    changes of their own, each on the grid that `CHANGE_GRIDS` says; they hold inside the region.
    """

    def __init__(self) -> None:
        super().__init__()
        self.face = FacePainter()
        self.lips = CloseUpPainter(Region.LIPS)
        self.eyes = CloseUpPainter(Region.EYES)

    def forward(
        self, image: Tensor, regions: Tensor, codes: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """image (B, 3, 256, 256) in [0, 1], regions uint8 (B, 256, 256), codes (B, 16, 64, 64);
        returns those of face (B, 6, 128, 128), lips (B, 6, 48, 80) and eyes (B, 6, 56, 128)."""
        own = planes(regions[:, ::STRIDE, ::STRIDE])
        cheeks = cheek_light(image, regions)
        changes = [self.face(image, regions, codes)]
        for painter in (self.lips, self.eyes):
            region = painter.region
            worn = mean_code(codes, own[:, region - 1 : region])
            changes.append(painter(cut(region, image), cut(region, regions), cheeks, worn))
        return changes[0], changes[1], changes[2]


def mean_code(codes: Tensor, own: Tensor) -> Tensor:
    """Mean of (B, 16, 64, 64) over the cells of a region, (B, 1, 64, 64); gives (B, 16, 1, 1)."""
    total = (codes * own).sum((2, 3), keepdim=True)
    return total / own.sum((2, 3), keepdim=True).clamp(min=1)
