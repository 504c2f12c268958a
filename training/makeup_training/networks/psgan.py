"""PSGAN: pose and expression robust spatial-aware GAN (Jiang et al., 2020).

The generator is split at its attention: a graph runtime runs `encode_source`, `encode_reference`
and `decode`, with the compiled kernel between them. The discriminator is
`blocks.PatchDiscriminator`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from makeup_training.networks.attention import attentive_morph
from makeup_training.networks.blocks import (
    Normalisation,
    ResidualBlock,
    affine_instance_norm,
    no_norm,
    plain_instance_norm,
)
from makeup_training.networks.inputs import FEATURE_STRIDE, FaceBatch, feature_regions


class MakeupBranches(nn.Module):
    """The two convolutional branches of PSGAN, without the attention between them.

    The reference branch (MDNet, `pnet_*`) predicts two makeup maps gamma and beta at 1/4 size; the
    source branch (MANet, `tnet_*`) applies them after its third residual block as
    features·(1 + gamma) + beta, broadcast over the channels. All images are RGB in [−1, 1] with
    sides divisible by 4; sizes below are for 256×256. No convolution has a bias; only the reference
    branch has affine instance norms.

    Args:
        width: channels of the first stage (published: 64; 16 is the mobile-class variant).
        maps: channels of gamma and of beta (published: 1). With more, a 1×1 convolution spreads
            each over the features, gamma has a bias, so that it can remove the face's own colour,
            and there are no norms: a colour needs three channels, and instance norm discards the
            picture's own colour, to which makeup is relative.
    """

    def __init__(self, width: int = 64, maps: int = 1) -> None:
        super().__init__()
        inner = 4 * width
        self.width, self.maps = width, maps
        self.normalised = maps == 1
        affine = affine_instance_norm if self.normalised else no_norm
        plain = plain_instance_norm if self.normalised else no_norm

        self.pnet_in = _encoder_stage(3, width, 7, 1, affine)
        self.pnet_down_1 = _encoder_stage(width, 2 * width, 4, 2, affine)
        self.pnet_down_2 = _encoder_stage(2 * width, inner, 4, 2, affine)
        for i in (1, 2, 3):
            setattr(self, f"pnet_bottleneck_{i}", ResidualBlock(inner, affine))
        self.simple_spade = nn.ModuleDict(
            {
                "get_gamma": nn.Conv2d(inner, maps, 1, bias=maps > 1),
                "get_beta": nn.Conv2d(inner, maps, 1, bias=False),
            }
        )
        if maps > 1:
            for name in ("gamma", "beta"):
                self.simple_spade[f"spread_{name}"] = nn.Conv2d(maps, inner, 1, bias=False)

        self.tnet_in_conv = nn.Conv2d(3, width, 7, padding=3, bias=False)
        self.tnet_down_conv_1 = nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False)
        self.tnet_down_conv_2 = nn.Conv2d(2 * width, inner, 4, 2, 1, bias=False)
        for i in (1, 2, 3, 4, 5, 6):
            setattr(self, f"tnet_bottleneck_{i}", ResidualBlock(inner, plain))
        self.tnet_up_conv_1 = nn.ConvTranspose2d(inner, 2 * width, 4, 2, 1, bias=False)
        self.tnet_up_conv_2 = nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False)
        self.tnet_out = nn.Sequential(nn.Conv2d(width, 3, 7, padding=3, bias=False), nn.Tanh())

    def encode_source(self, image: Tensor) -> Tensor:
        """Source image (B, 3, H, W) to features (B, 4·width, H/4, W/4) before the morph."""
        x = self._norm_relu(self.tnet_in_conv(image))
        x = self._norm_relu(self.tnet_down_conv_1(x))
        x = self._norm_relu(self.tnet_down_conv_2(x))
        for i in (1, 2, 3):
            x = getattr(self, f"tnet_bottleneck_{i}")(x)
        return x

    def encode_reference(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reference image to features (B, 4·width, H/4, W/4), gamma, beta (B, maps, H/4, W/4)."""
        x = self.pnet_down_2(self.pnet_down_1(self.pnet_in(image)))
        for i in (1, 2, 3):
            x = getattr(self, f"pnet_bottleneck_{i}")(x)
        return x, self.simple_spade["get_gamma"](x), self.simple_spade["get_beta"](x)

    def decode(self, features: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        """Source features and morphed maps to the result (B, 3, H, W) in [−1, 1]."""
        return self.render(self.apply_makeup(features, gamma, beta))

    def apply_makeup(self, features: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        """features·(1 + gamma) + beta: (B, 4·width, H/4, W/4)."""
        if self.maps > 1:
            gamma = self.simple_spade["spread_gamma"](gamma)
            beta = self.simple_spade["spread_beta"](beta)
        return features * (1 + gamma) + beta

    def render(self, made_up_features: Tensor) -> Tensor:
        """Features after `apply_makeup` to the image (B, 3, H, W) in [−1, 1]."""
        x = made_up_features
        for i in (4, 5, 6):
            x = getattr(self, f"tnet_bottleneck_{i}")(x)
        x = self._norm_relu(self.tnet_up_conv_1(x))
        x = self._norm_relu(self.tnet_up_conv_2(x))
        image: Tensor = self.tnet_out(x)
        return image

    def _norm_relu(self, x: Tensor) -> Tensor:
        return functional.relu(functional.instance_norm(x) if self.normalised else x)


class PSGANGenerator(MakeupBranches):
    """PSGAN's generator: the two branches joined by the attentive makeup morph.

    12,615,620 parameters at width 64; the published network saves four of them
    (`atten_bottleneck_{g,b}.g`) but never applies them, so they are frozen here. The published test
    code also rounds landmarks to whole pixels before the call and stretches the output min–max
    after it; both are up to the caller.

    Args:
        width, maps: see `MakeupBranches`.
        visual_weight: weight of the visual features in the attention (published: 0.01).
        temperature: scale of the attention's logits (published: 200).
    """

    def __init__(
        self,
        width: int = 64,
        maps: int = 1,
        *,
        visual_weight: float = 0.01,
        temperature: float = 200.0,
    ) -> None:
        super().__init__(width, maps)
        self.visual_weight, self.temperature = visual_weight, temperature
        for name in ("atten_bottleneck_g", "atten_bottleneck_b"):
            unused = nn.ModuleDict({"g": nn.Conv2d(1, 1, 1)})
            setattr(self, name, unused.requires_grad_(False))

    def forward(self, source: FaceBatch, reference: FaceBatch) -> Tensor:
        """The source faces with the makeup of the reference faces.

        Args:
            source: B faces, images (B, 3, H, W).
            reference: B faces of the same image size.

        Returns:
            float (B, 3, H, W) in [−1, 1].
        """
        features = self.encode_source(source.image)
        return self.decode(features, *self.morph(features, source, reference))

    def warped_makeup(self, source: FaceBatch, reference: FaceBatch) -> tuple[Tensor, Tensor]:
        """Gamma and beta of the reference warped onto the source, (B, maps, H/4, W/4) each.

        To mix makeups, interpolate the maps of several references linearly; the source's own maps
        mean no change. Pass the result to `transfer`.
        """
        return self.morph(self.encode_source(source.image), source, reference)

    def transfer(self, image: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        """Source image (B, 3, H, W) and warped maps to the result: the two-call form."""
        return self.decode(self.encode_source(image), gamma, beta)

    def morph(
        self, features: Tensor, source: FaceBatch, reference: FaceBatch
    ) -> tuple[Tensor, Tensor]:
        """Gamma and beta at the source's pixels, from source features of `encode_source`."""
        reference_features, gamma, beta = self.encode_reference(reference.image)
        warped = attentive_morph(
            features,
            reference_features,
            source.landmarks,
            reference.landmarks,
            feature_regions(source.regions),
            feature_regions(reference.regions),
            torch.cat([gamma, beta], 1),
            visual_weight=self.visual_weight,
            temperature=self.temperature,
            pixel_stride=FEATURE_STRIDE,
        )
        return warped[:, : self.maps], warped[:, self.maps :]


def _encoder_stage(
    in_channels: int, out_channels: int, kernel: int, stride: int, norm: Normalisation
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, (kernel - 1) // 2, bias=False),
        norm(out_channels),
        nn.ReLU(inplace=True),
    )
