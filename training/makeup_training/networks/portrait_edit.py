"""Mask-guided portrait editing with conditional GANs (Gu et al., 2019).

Five auto-encoders embed the face's parts; a generator places the decoded part features on a target
mask and fuses in the target image's background. The networks are named like the published files
(`latest_net_<name>.pth`). Shapes are for 256×256 crops and width 64.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from makeup_training.networks.inputs import one_hot

LABEL_CLASSES = 11
"""0 background, 1 skin, 2/3 brows, 4/5 eyes, 6 nose, 7–9 mouth, 10 hair."""


@dataclass(frozen=True)
class PartSpec:
    """Shape of one face part.

    Attributes:
        size: height and width of the crop.
        stages: stride-2 stages of the encoder.
        decoder_bias: whether the decoders' linear layers have a bias (those of the eyes do not).
        placed: half height and half width of the features at 1/4 size; None: the full frame.
    """

    size: tuple[int, int]
    stages: int
    decoder_bias: bool = True
    placed: tuple[int, int] | None = None

    @property
    def bottom(self) -> tuple[int, int]:
        """Height and width after the encoder's last stage."""
        return self.size[0] >> self.stages, self.size[1] >> self.stages


PARTS = {
    "left_eye": PartSpec((32, 48), 4, decoder_bias=False, placed=(4, 6)),
    "right_eye": PartSpec((32, 48), 4, decoder_bias=False, placed=(4, 6)),
    "skin": PartSpec((256, 256), 7),
    "hair": PartSpec((256, 256), 7),
    "mouth": PartSpec((80, 144), 4, placed=(10, 18)),
}
"""Parts in the order in which the generator concatenates their features."""

PART_MOMENTUM = 0.9
"""Weight of the new statistic in the part networks' batch norms."""

CENTRED_PARTS = ("left_eye", "right_eye", "mouth")
"""Parts with a centre, in the order of a centres tensor (B, 3, 2), y then x."""


class PortraitEditor(nn.Module):
    """Part encoders, part decoders and generator of one portrait editor.

    Children are `encoder_<part>`, `decoder_<part>`, `decoder_<part>_image` (training only) and `G`.

    Args:
        width: channels of the first stages (published: 64; 16 is the mobile-class variant).
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        for name, spec in PARTS.items():
            self.add_module(f"encoder_{name}", PartEncoder(spec, width))
            self.add_module(f"decoder_{name}", PartDecoder(spec, width))
            self.add_module(f"decoder_{name}_image", PartImageDecoder(spec, width))
        self.G = PortraitGenerator(width)

    def embed(self, parts: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Part crops (`portrait_edit_inputs.part_crops`) to mean and log variance (B, 512) each."""
        return {name: self.get_submodule(f"encoder_{name}")(parts[name]) for name in PARTS}

    def decode_features(self, latents: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Latents (B, 512) of each part to features (B, 256, h, w) at 1/4 size.

        To transfer a component, use that part's features from another face.
        """
        return {name: self.get_submodule(f"decoder_{name}")(latents[name]) for name in PARTS}

    def decode_images(self, latents: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Latents (B, 512) to the part images in [−1, 1] that the local losses compare."""
        return {name: self.get_submodule(f"decoder_{name}_image")(latents[name]) for name in PARTS}

    def forward(
        self, parts: Mapping[str, Tensor], label: Tensor, centres: Tensor, target: Tensor
    ) -> Tensor:
        """The source's parts in the target's pose; inference form (latent = mean).

        Args:
            parts: crops of the source face, (B, 3, h, w) each.
            label: integer (B, 256, 256), the target's enlarged label.
            centres: int64 (B, 3, 2), part centres of the target, y then x.
            target: float (B, 3, 256, 256) in [−1, 1], the image with the background.

        Returns:
            float (B, 3, 256, 256) in [−1, 1].
        """
        means = {name: mean for name, (mean, _) in self.embed(parts).items()}
        image: Tensor = self.G(self.decode_features(means), label, centres, target)
        return image


def sample_latent(mean: Tensor, log_variance: Tensor) -> Tensor:
    """mean + e^{log_variance/2}·N(0, 1), (B, 512): the noise of training."""
    return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)


class PartEncoder(nn.Module):
    """Stride-2 stages [conv k4, BN, ReLU], then two MLPs: mean and log variance.

    (B, 3, *spec.size) to two (B, 512). Keys `conv.N.{conv,bn}`, `fc_mu.{0,2}`, `fc_var.{0,2}`.
    """

    def __init__(self, spec: PartSpec, width: int) -> None:
        super().__init__()
        channels = [3, *(min(width << i, 8 * width) for i in range(spec.stages))]
        self.conv = nn.Sequential(
            *(_EncoderStage(channels[i], channels[i + 1]) for i in range(spec.stages))
        )
        flat = channels[-1] * spec.bottom[0] * spec.bottom[1]
        self.fc_mu = _mlp(flat, width)
        self.fc_var = _mlp(flat, width)

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor]:
        features = self.conv(crop).flatten(1)
        return self.fc_mu(features), self.fc_var(features)


class PartDecoder(nn.Module):
    """Latent (B, 512) to features (B, 256, h/4, w/4) of the part. Keys `fc.0`, `conv.N.conv`."""

    def __init__(self, spec: PartSpec, width: int) -> None:
        super().__init__()
        self.spec = spec
        self.fc = _unflattening_linear(spec, width)
        channels = [8 * width, *[4 * width] * (spec.stages - 2)]
        self.conv = nn.Sequential(*_decoder_stages(channels))

    def forward(self, latent: Tensor) -> Tensor:
        features: Tensor = self.conv(self.fc(latent).unflatten(1, (-1, *self.spec.bottom)))
        return features


class PartImageDecoder(nn.Module):
    """Latent (B, 512) to the part's image (B, 3, *spec.size) in [−1, 1]; for the local loss only.

    Keys `fc.0`, `conv.N.conv`, and the last convolution `conv.5` (eyes, mouth) or `conv.8`.
    """

    def __init__(self, spec: PartSpec, width: int) -> None:
        super().__init__()
        self.spec = spec
        self.fc = _unflattening_linear(spec, width)
        tail = [4 * width, 2 * width, width]
        if spec.stages == 4:
            channels = [8 * width, *tail, width]
        else:
            channels = [*[8 * width] * (spec.stages - 2), *tail]
        self.conv = nn.Sequential(
            *_decoder_stages(channels),
            nn.ReflectionPad2d(2),
            nn.Conv2d(width, 3, 5),
            nn.Tanh(),
        )

    def forward(self, latent: Tensor) -> Tensor:
        image: Tensor = self.conv(self.fc(latent).unflatten(1, (-1, *self.spec.bottom)))
        return image


class PortraitGenerator(nn.Module):
    """Label encoder, mask-guided generator and background fusing (`G`).

    Keys `downsample_model.{1,2,4,5,7,8}`, `model.0`, `model.{1..9}.conv_block.{1,2,5,6}`,
    `model.{10,11,13,14}`, `bg_encoder.{1,2}`, `bg_decoder.{0,2}`.

    Args:
        width: channels of the first stage (published: 64).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = 4 * width
        self.downsample_model = nn.Sequential(
            *_reflected_stage(LABEL_CLASSES, width),
            *_normed(nn.Conv2d(width, 2 * width, 3, 2, 1), 2 * width),
            *_normed(nn.Conv2d(2 * width, inner, 3, 2, 1), inner),
        )
        self.model = nn.Sequential(
            nn.Conv2d((1 + len(PARTS)) * inner, inner, 1),
            *(_ReflectedResidual(inner) for _ in range(9)),
            *_normed(nn.ConvTranspose2d(inner, 2 * width, 4, 2, 1), 2 * width),
            *_normed(nn.ConvTranspose2d(2 * width, width, 4, 2, 1), width),
        )
        self.bg_encoder = nn.Sequential(*_reflected_stage(3, width))
        self.bg_decoder = nn.Sequential(
            nn.Conv2d(2 * width, width, 1),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, 3, 7),
            nn.Tanh(),
        )

    def forward(
        self, features: Mapping[str, Tensor], label: Tensor, centres: Tensor, target: Tensor
    ) -> Tensor:
        """Part features, label, centres and background image to the image; see `PortraitEditor`."""
        return self.fuse(self.foreground(features, label, centres), label, target)

    def foreground(self, features: Mapping[str, Tensor], label: Tensor, centres: Tensor) -> Tensor:
        """Part features placed on the label: (B, 64, H, W) features, not yet an image."""
        label_planes = one_hot(label, LABEL_CLASSES).to(features["skin"].dtype)
        planes = [self.downsample_model(label_planes)]
        for name, spec in PARTS.items():
            if spec.placed is None:
                planes.append(features[name])
            else:
                centre = centres[:, CENTRED_PARTS.index(name)]
                grid = (label.shape[1] // 4, label.shape[2] // 4)
                planes.append(place(features[name], centre, spec.placed, grid))
        foreground: Tensor = self.model(torch.cat(planes, 1))
        return foreground

    def fuse(self, foreground: Tensor, label: Tensor, target: Tensor) -> Tensor:
        """Foreground (B, 64, H, W) with the target's background to (B, 3, H, W) in [−1, 1]."""
        background = self.bg_encoder(target) * (label == 0)[:, None].to(target.dtype)
        image: Tensor = self.bg_decoder(torch.cat([foreground, background], 1))
        return image


def place(
    features: Tensor, centres: Tensor, half: tuple[int, int], grid: tuple[int, int]
) -> Tensor:
    """Put each part's features into an empty map around its centre.

    Rows int(cy/4 + ½) ± half height, columns likewise; parts outside the map are cut off.

    Args:
        features: float (B, C, 2·half[0], 2·half[1]).
        centres: int64 (B, 2), y then x, crop pixels.
        half: half height and half width of the features.
        grid: height and width of the map.

    Returns:
        float (B, C, *grid).
    """
    middle = (centres.float() / 4 + 0.5).long()
    result = features
    for axis in (0, 1):
        cells = torch.arange(grid[axis], device=features.device)
        index = cells[None] - (middle[:, axis, None] - half[axis])
        count = 2 * half[axis]
        shape = [len(features), 1, 1, 1]
        shape[2 + axis] = grid[axis]
        size = list(result.shape)
        size[2 + axis] = grid[axis]
        taken = result.gather(2 + axis, index.clamp(0, count - 1).view(shape).expand(size))
        result = taken * ((index >= 0) & (index < count)).view(shape)
    return result


class _EncoderStage(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 4, 2, 1)
        self.bn = nn.BatchNorm2d(out_channels, momentum=PART_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)))


class _DecoderStage(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1),
            nn.BatchNorm2d(out_channels, momentum=PART_MOMENTUM),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class _ReflectedResidual(nn.Module):
    """x + [reflection pad, conv k3, BN, ReLU, reflection pad, conv k3, BN]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            *_normed(nn.Conv2d(channels, channels, 3), channels),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.conv_block(x)
        return y


def _decoder_stages(channels: list[int]) -> list[nn.Module]:
    return [_DecoderStage(channels[i], channels[i + 1]) for i in range(len(channels) - 1)]


def _normed(conv: nn.Module, channels: int) -> list[nn.Module]:
    return [conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


def _reflected_stage(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [
        nn.ReflectionPad2d(3),
        *_normed(nn.Conv2d(in_channels, out_channels, 7), out_channels),
    ]


def _mlp(in_features: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_features, 16 * width),
        nn.ReLU(inplace=True),
        nn.Linear(16 * width, 8 * width),
    )


def _unflattening_linear(spec: PartSpec, width: int) -> nn.Sequential:
    flat = 8 * width * spec.bottom[0] * spec.bottom[1]
    return nn.Sequential(nn.Linear(8 * width, flat, bias=spec.decoder_bias))
