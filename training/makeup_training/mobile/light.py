"""Light and camera, changed on batches: what must not be taken for makeup."""

import torch
from torch import Tensor
from torch.nn import functional as F

from makeup_training.mobile.networks import GAMMA

RELIT_SHARE, DEGRADED_SHARE = 0.25, 0.5
"""Of the faces of a batch, those whose light is changed, and those that a worse camera sees. With
more of them everything is read and painted less exactly in everyday light."""


class Relight:
    """A random light on each face of a batch: exposure, cast, and a coloured light from one side.

    Args:
        count: faces in the batch.
        generator: source of all randomness.
        share: of the faces whose light is changed at all.
    """

    def __init__(self, count: int, generator: torch.Generator, share: float = RELIT_SHARE) -> None:
        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator)

        changed = (torch.rand(count, generator=generator) < share).float().view(-1, 1, 1, 1)
        even = 0.12 * normal(count, 1) + 0.05 * normal(count, 3)
        side = 0.25 * normal(count, 1) + 0.08 * normal(count, 3)
        angle = torch.rand(count, generator=generator) * 2 * torch.pi
        softness = 0.3 + torch.rand(count, generator=generator)
        steps = torch.linspace(-1, 1, 32)
        along = angle.cos()[:, None, None] * steps + angle.sin()[:, None, None] * steps[:, None]
        ramp = torch.tanh(along / softness[:, None, None])[:, None]
        gain = even[:, :, None, None] + side[:, :, None, None] * ramp
        self._gain = (changed * gain).exp().pow(1 / GAMMA)

    def __call__(self, image: Tensor) -> Tensor:
        """float (B, 3, S, S), sRGB in [0, 1], to the same face in the new light.

        A power of 2.2 stands for the transfer function, so that a factor on the light is a factor
        on the code.
        """
        return (image * self.gain(image.shape[2])).clamp(0, 1)

    def gain(self, side: int) -> Tensor:
        """float (B, 3, side, side): the factor on the code of each pixel."""
        return F.interpolate(self._gain, (side, side), mode="bilinear", align_corners=True)


def degrade(image: Tensor, generator: torch.Generator) -> Tensor:
    """Low resolution, blur and noise on some faces of a batch, float (B, 3, H, W) in [0, 1]."""
    worse = torch.rand(len(image), generator=generator) < DEGRADED_SHARE
    faces = zip(image.split(1), worse.tolist(), strict=True)
    return torch.cat([_seen_by_a_camera(f, generator) if w else f for f, w in faces])


def _seen_by_a_camera(face: Tensor, generator: torch.Generator) -> Tensor:
    size = face.shape[2], face.shape[3]
    resolution, share, motion, kind, grain = torch.rand(5, generator=generator).tolist()
    if resolution < 0.25:
        height, width = (int(side * (0.3 + 0.6 * share)) for side in size)
        face = F.interpolate(face, (height, width), mode="area")
        face = F.interpolate(face, size, mode="bilinear")
    if motion < 0.15:
        length = 3 + 2 * int(2 * share)
        kernel = face.new_zeros(3, 1, length, length)
        line = (..., length // 2, slice(None)) if kind < 0.5 else (..., length // 2)
        kernel[line] = 1 / length
        face = F.conv2d(face, kernel, padding=length // 2, groups=3)
    if grain < 0.5:
        noise = torch.randn(face.shape, generator=generator)
        face = (face + 0.04 * grain * noise).clamp(0, 1)
    return face
