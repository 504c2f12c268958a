"""The two networks of `mobile` as the product runs them: all regions in one."""

from torch import Tensor, nn
from torch.nn import functional as F

from makeup_kernels import Region
from makeup_sdk.mobile.layout import STRIDE
from makeup_training.mobile.closeups import CloseUpPainter, CloseUpReader
from makeup_training.mobile.networks import (
    MAP_STRIDE,
    FacePainter,
    FaceReader,
    of_face,
    planes,
    skin_light,
)


class Reader(nn.Module):
    """A made-up face to code maps; runs once per look."""

    def __init__(self) -> None:
        super().__init__()
        self.face = FaceReader()
        self.lips = CloseUpReader(Region.LIPS)
        self.eyes = CloseUpReader(Region.EYES)

    def forward(self, image: Tensor, regions: Tensor) -> Tensor:
        """image (B, 3, 256, 256) in [0, 1], regions uint8 (B, 256, 256); gives (B, 16, 64, 64)."""
        own = planes(regions[:, ::STRIDE, ::STRIDE])
        codes: Tensor = self.face(image, regions) * of_face(own).sum(1, keepdim=True)
        skin = skin_light(image, regions)
        for reader in (self.lips, self.eyes):
            window, region = reader.window, reader.region
            found = reader(window.pixels(image), window.pixels(regions), skin)
            codes = codes + found * own[:, region - 1 : region]
        return codes


class Painter(nn.Module):
    """A bare face and laid codes to a change of its colours; runs for every frame.

    See `FacePainter` for what a change is. Where regions meet, their changes are mixed by shares.
    """

    def __init__(self) -> None:
        super().__init__()
        self.face = FacePainter()
        self.lips = CloseUpPainter(Region.LIPS)
        self.eyes = CloseUpPainter(Region.EYES)

    def forward(self, image: Tensor, regions: Tensor, codes: Tensor) -> Tensor:
        """image (B, 3, 256, 256) in [0, 1], regions uint8 (B, 256, 256), codes (B, 16, 64, 64);
        returns (B, 6, 128, 128)."""
        own = planes(regions[:, ::STRIDE, ::STRIDE])
        shares = F.avg_pool2d(planes(regions), MAP_STRIDE)
        weights = shares / shares.sum(1, keepdim=True).clamp(min=1e-3)
        change: Tensor = self.face(image, regions, codes)
        skin = skin_light(image, regions)
        for painter in (self.lips, self.eyes):
            window, region = painter.window, painter.region
            worn = mean_code(codes, own[:, region - 1 : region])
            asked = painter(window.pixels(image), window.pixels(regions), skin, worn)
            weight = weights[:, region - 1 : region]
            change = change + window.put(asked) * weight
        return change


def mean_code(codes: Tensor, own: Tensor) -> Tensor:
    """Mean of (B, 16, 64, 64) over the cells of a region, (B, 1, 64, 64); gives (B, 16, 1, 1)."""
    total = (codes * own).sum((2, 3), keepdim=True)
    return total / own.sum((2, 3), keepdim=True).clamp(min=1)
