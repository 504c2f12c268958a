"""Perceptual losses on VGG features, with the structure loss as a substitute.

VGG weights are not shipped: pass the path of a file in torchvision's format (`features.N.weight`).
"""

import logging
import os
from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from makeup_training.checkpoints import assign, read_tensors
from makeup_training.losses.structure import gradient_profile_loss

_log = logging.getLogger(__name__)

VGGName = Literal["vgg16", "vgg19"]

_CONVOLUTIONS: dict[VGGName, tuple[int, ...]] = {
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
"""Number of convolutions in each of the five stages."""

_WIDTHS = (64, 128, 256, 512, 512)

NO_WEIGHTS = "no VGG weights given: the structure loss (SPL) takes the place of the perceptual loss"

VGG16_POOL5 = 30
"""PSGAN: the last layer of VGG-16's feature stack."""

VGG16_RELU5_3 = 29
"""Low-resolution PSGAN."""

VGG19_RELU_1_TO_5 = (1, 6, 11, 20, 29)
"""Portrait editing: relu1_1, relu2_1, relu3_1, relu4_1, relu5_1 of VGG-19."""


class Perceptual(Protocol):
    """Compares the content of two images.

    Args:
        result: float (B, 3, H, W) in [−1, 1].
        original: float (B, 3, H, W) in [−1, 1]; gets no gradient.
        weight: float (B, 1, H, W) per pixel, or None for 1 everywhere.

    Returns:
        a scalar.
    """

    def __call__(
        self, result: Tensor, original: Tensor, weight: Tensor | None = None
    ) -> Tensor: ...


class VGGFeatures(nn.Module):
    """The frozen convolutional stack of VGG-16 or VGG-19 (Simonyan & Zisserman, 2015).

    Keys `features.N.{weight,bias}` as in torchvision.

    Args:
        name: which network.
        layers: ascending indices into `features` of the returned outputs.
    """

    def __init__(self, name: VGGName, layers: Sequence[int]) -> None:
        super().__init__()
        stack: list[nn.Module] = []
        channels = 3
        for width, count in zip(_WIDTHS, _CONVOLUTIONS[name], strict=True):
            for _ in range(count):
                stack += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            stack.append(nn.MaxPool2d(2))
        self.layers = tuple(layers)
        self.features = nn.Sequential(*stack)
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [−1, 1], without ImageNet normalisation."""
        outputs = []
        x = image
        for i, layer in enumerate(self.features[: self.layers[-1] + 1]):
            x = layer(x)
            if i in self.layers:
                outputs.append(x)
        return outputs

    @classmethod
    def load(
        cls, name: VGGName, layers: Sequence[int], path: str | os.PathLike[str]
    ) -> "VGGFeatures":
        """Build the network with weights in torchvision's format, without the classifier.

        Raises:
            CheckpointError: an unreadable or unfitting file.
        """
        tensors = read_tensors(path)
        with torch.device("meta"):
            network = cls(name, layers)
        network.to_empty(device="cpu")
        kept = {k: v for k, v in tensors.items() if not k.startswith("classifier.")}
        assign(network, kept, str(path))
        return network


class VGGPerceptual(nn.Module):
    """Mean squared difference of VGG features, optionally weighted per pixel; see `Perceptual`."""

    def __init__(self, features: VGGFeatures) -> None:
        super().__init__()
        self.features = features

    def forward(self, result: Tensor, original: Tensor, weight: Tensor | None = None) -> Tensor:
        with torch.no_grad():
            targets = self.features(original)
        loss = result.new_zeros(())
        for x, y in zip(self.features(result), targets, strict=True):
            difference = (x - y).square()
            if weight is not None:
                difference = difference * functional.interpolate(
                    weight, size=x.shape[2:], mode="area"
                )
            loss = loss + difference.mean()
        return loss


class StructureStandIn(nn.Module):
    """SPL's gradient profiles as a substitute for a perceptual loss; see `Perceptual`.

    With a weight, it compares the images' differences from mid-grey times the weight.
    """

    def forward(self, result: Tensor, original: Tensor, weight: Tensor | None = None) -> Tensor:
        if weight is not None:
            result, original = result * weight, original * weight
        return gradient_profile_loss(result, original.detach())


def perceptual_loss(
    path: str | os.PathLike[str] | None,
    name: VGGName = "vgg16",
    layer: int = VGG16_POOL5,
) -> nn.Module:
    """The perceptual loss on VGG weights; without weights the structure loss, and a log line.

    Args:
        path: VGG weights in torchvision's format, or None.
        name: the VGG in the file.
        layer: index into its features.

    Returns:
        a module that implements `Perceptual`.

    Raises:
        CheckpointError: a path whose file is missing or does not fit.
    """
    if path is None:
        _log.warning(NO_WEIGHTS)
        return StructureStandIn()
    return VGGPerceptual(VGGFeatures.load(name, (layer,), path))


class MaskedSlices(nn.Module):
    """Portrait editing's VGG-19 loss: L1 of five layers, under each part's mask.

    Σ_parts w_part Σ_layers w_layer · mean |φ(result∘mask) − φ(original∘mask)|, layers ¼, ¼, ¼, ⅛,
    ⅛; published part weights 10, 10, 5, 5, 10 (eyes, skin, hair, mouth), all times 30.

    Args:
        features: VGG-19 with the layers `VGG19_RELU_1_TO_5`.
    """

    LAYER_WEIGHTS = (0.25, 0.25, 0.25, 0.125, 0.125)

    def __init__(self, features: VGGFeatures) -> None:
        super().__init__()
        self.features = features

    def forward(
        self, result: Tensor, original: Tensor, masks: Tensor, weights: Sequence[float]
    ) -> Tensor:
        """Images (B, 3, H, W), masks (B, P, H, W) and P weights to a scalar."""
        loss = result.new_zeros(())
        for mask, part_weight in zip(masks.unbind(1), weights, strict=True):
            with torch.no_grad():
                targets = self.features(original * mask[:, None])
            outputs = self.features(result * mask[:, None])
            for x, y, layer_weight in zip(outputs, targets, self.LAYER_WEIGHTS, strict=True):
                loss = loss + part_weight * layer_weight * (x - y).abs().mean()
        return loss


class MaskedStructure(nn.Module):
    """SPL's gradient profiles under each part's mask: the substitute for `MaskedSlices`."""

    def forward(
        self, result: Tensor, original: Tensor, masks: Tensor, weights: Sequence[float]
    ) -> Tensor:
        """Images (B, 3, H, W), masks (B, P, H, W) and P weights to a scalar."""
        losses = [
            weight * gradient_profile_loss(result * mask[:, None], original * mask[:, None])
            for mask, weight in zip(masks.unbind(1), weights, strict=True)
        ]
        return torch.stack(losses).sum()


def masked_perceptual_loss(path: str | os.PathLike[str] | None) -> nn.Module:
    """Portrait editing's loss on VGG-19 weights; without them its substitute, and a log line.

    Args:
        path: VGG-19 weights in torchvision's format, or None.

    Returns:
        `MaskedSlices` or `MaskedStructure`.

    Raises:
        CheckpointError: a path whose file is missing or does not fit.
    """
    if path is None:
        _log.warning(NO_WEIGHTS)
        return MaskedStructure()
    return MaskedSlices(VGGFeatures.load("vgg19", VGG19_RELU_1_TO_5, path))
