"""The networks of face analysis: face detector, landmark and region net, lip net.

They use plain 3x3 convolutions with few channels (on CPUs faster than depthwise ones) and batch
normalisation, which export folds away. Input: float32 (B, 3, H, W), BGR, 0..1.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (8, 16, 32)
LANDMARKS = 68
REGIONS = 5

LOGIT_LIMIT = 10.0
"""Region logits are clipped to this before the lip net."""


def convolution(inputs: int, outputs: int, *, stride: int = 1, size: int = 3) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU; (B, inputs, H, W) to (B, outputs, H/s, W/s)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Residual(nn.Module):
    """x + a 3x3 convolution block of x."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class FaceDetector(nn.Module):
    """Anchor-free detector with three levels.

    Returns for each stride of `STRIDES` float (B, 5, H/stride, W/stride): the face score's logit,
    then left, top, right, bottom: `exp(value) * stride` is the distance from the cell's centre
    ((column + 0.5) * stride, (row + 0.5) * stride) to that side of the box, in input pixels.
    H and W are multiples of 32.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(convolution(3, w, stride=2), convolution(w, 3 * w // 2, stride=2))
        self.stage8 = nn.Sequential(convolution(3 * w // 2, 2 * w, stride=2), Residual(2 * w))
        self.stage16 = nn.Sequential(convolution(2 * w, 4 * w, stride=2), Residual(4 * w))
        self.stage32 = nn.Sequential(
            convolution(4 * w, 6 * w, stride=2), Residual(6 * w), Residual(6 * w)
        )
        self.side8 = convolution(2 * w, 2 * w, size=1)
        self.side16 = convolution(4 * w, 2 * w, size=1)
        self.side32 = convolution(6 * w, 2 * w, size=1)
        self.merge8, self.merge16 = convolution(2 * w, 2 * w), convolution(2 * w, 2 * w)
        self.heads = nn.ModuleList(
            nn.Sequential(convolution(2 * w, 2 * w), nn.Conv2d(2 * w, 5, 3, 1, 1)) for _ in STRIDES
        )
        for head in self.heads:
            nn.init.normal_(head[1].weight, std=0.01)
            head[1].bias.data = torch.tensor([-4.0, 0.7, 0.7, 0.7, 0.7])

    def forward(self, image: Tensor) -> list[Tensor]:
        c8 = self.stage8(self.stem(image))
        c16 = self.stage16(c8)
        c32 = self.stage32(c16)
        p32 = self.side32(c32)
        p16 = self.merge16(self.side16(c16) + F.interpolate(p32, scale_factor=2.0))
        p8 = self.merge8(self.side8(c8) + F.interpolate(p16, scale_factor=2.0))
        return [head(p) for head, p in zip(self.heads, (p8, p16, p32), strict=True)]


class LandmarkRegionNet(nn.Module):
    """68 landmarks, a confidence and a region map of a face crop (U-shaped).

    Input (B, 3, S, S), S a multiple of 32 (160 as shipped). Returns landmarks (B, 68, 2), x then y
    as fractions of the crop's side (pixel centre i at (i + 0.5) / S; may leave 0..1), the
    confidence's logit (B,), and region logits (B, 5, S, S).

    Landmarks are the expectation of a softmax heatmap at stride 4 plus a global correction, for
    points outside the crop.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        w = width
        self.down2 = nn.Sequential(convolution(3, w, stride=2), Residual(w))
        self.down4 = nn.Sequential(convolution(w, 2 * w, stride=2), Residual(2 * w))
        self.down8 = nn.Sequential(convolution(2 * w, 4 * w, stride=2), Residual(4 * w))
        self.down16 = nn.Sequential(
            convolution(4 * w, 6 * w, stride=2), Residual(6 * w), Residual(6 * w)
        )
        self.down32 = nn.Sequential(convolution(6 * w, 8 * w, stride=2), Residual(8 * w))
        self.side32 = convolution(8 * w, 6 * w, size=1)
        self.up16 = nn.Sequential(convolution(6 * w, 6 * w), convolution(6 * w, 4 * w, size=1))
        self.up8 = nn.Sequential(convolution(4 * w, 4 * w), convolution(4 * w, 2 * w, size=1))
        self.up4 = nn.Sequential(convolution(2 * w, 2 * w), Residual(2 * w))
        self.narrow4 = convolution(2 * w, w, size=1)
        self.up2 = convolution(w, 3 * w // 2)
        self.regions = nn.Sequential(nn.Conv2d(3 * w // 2, 4 * REGIONS, 1), nn.PixelShuffle(2))
        self.heatmaps = nn.Conv2d(2 * w, LANDMARKS, 1)
        self.correction = nn.Linear(8 * w, 2 * LANDMARKS)
        self.confidence = nn.Linear(8 * w, 1)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        d2 = self.down2(image)
        d4 = self.down4(d2)
        d8 = self.down8(d4)
        d16 = self.down16(d8)
        d32 = self.down32(d16)
        pooled = d32.mean(dim=(2, 3)).float()
        u16 = self.up16(d16 + _double(self.side32(d32)))
        u8 = self.up8(d8 + _double(u16))
        u4 = self.up4(d4 + _double(u8))
        u2 = self.up2(d2 + _double(self.narrow4(u4)))
        with torch.autocast("cpu", enabled=False):
            landmarks = expected_position(self.heatmaps(u4.float()))
            landmarks = landmarks + self.correction(pooled).view(-1, LANDMARKS, 2)
            confidence = self.confidence(pooled)[:, 0]
        return landmarks, confidence, self.regions(u2)


class LipNet(nn.Module):
    """Refines the lip region at the crop's full resolution.

    Lips are about 10 pixels high in the input of `LandmarkRegionNet`, and 16 in the crop.

    Inputs: image (B, 3, 64, 96), the mouth's window of the 256×256 crop; regions (B, 5, 40, 60),
    the same window of the landmark and region net's logits. Returns the lips' log odds,
    (B, 40, 60).
    """

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 96)) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.stem = convolution(3, fine, stride=2, size=5)
        self.known = nn.Conv2d(REGIONS, fine, 1)
        self.fine = convolution(fine, fine)
        self.middle = nn.Sequential(convolution(fine, middle, stride=2), Residual(middle))
        self.coarse = nn.Sequential(
            convolution(middle, coarse, stride=2), Residual(coarse), Residual(coarse)
        )
        self.to_middle, self.to_fine = nn.Conv2d(coarse, middle, 1), nn.Conv2d(middle, fine, 1)
        self.on_middle, self.on_fine = convolution(middle, middle), convolution(fine, fine)
        self.head = nn.Sequential(nn.Conv2d(fine, 4, 1), nn.PixelShuffle(2))

    def forward(self, image: Tensor, regions: Tensor) -> Tensor:
        known = F.interpolate(
            regions.clamp(-LOGIT_LIMIT, LOGIT_LIMIT) / LOGIT_LIMIT,
            (int(image.shape[2]) // 2, int(image.shape[3]) // 2),
            mode="bilinear",
            align_corners=False,
        )
        fine = self.fine(self.stem(image) + self.known(known))
        middle = self.middle(fine)
        middle = self.on_middle(middle + _double(self.to_middle(self.coarse(middle))))
        odds = self.head(self.on_fine(fine + _double(self.to_fine(middle))))
        size = int(regions.shape[2]), int(regions.shape[3])
        return F.interpolate(odds, size, mode="bilinear", align_corners=False)[:, 0]


def expected_position(heatmaps: Tensor) -> Tensor:
    """Mean position under the softmax of each map: (B, K, h, w) to (B, K, 2), x y in 0..1."""
    height, width = map(int, heatmaps.shape[2:])  # numbers in an exported graph
    weights = F.softmax(heatmaps.flatten(2), dim=2)
    x = (torch.arange(width, dtype=heatmaps.dtype, device=heatmaps.device) + 0.5) / width
    y = (torch.arange(height, dtype=heatmaps.dtype, device=heatmaps.device) + 0.5) / height
    grid = torch.stack([x.repeat(height), y.repeat_interleave(width)], dim=1)
    return weights @ grid


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
