"""SSAT: symmetric semantic-aware transformer for makeup transfer and removal (Sun et al., 2022).

Five sub-networks, named as in the published checkpoint. They are split at the attention for export.
Images are RGB in [−1, 1], parsings one-hot over 18 raw classes (`inputs.one_hot`); sides are
divisible by 8. Shapes below are for width 64.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from makeup_training.networks.blocks import SpectralConv2d

PARSING_CLASSES = 18
"""Raw 19-class ids 0 to 17; the last class (hat) has no plane."""

CORRESPONDENCE_TEMPERATURE = 100.0


class SSATOutput(NamedTuple):
    """Results of one pass, for inference and for the losses.

    Attributes:
        transfer: float (B, 3, H, W) in [−1, 1], the source with the reference's makeup.
        removal: float (B, 3, H, W) in [−1, 1], the reference with the source's (bare) makeup.
        transfer_correspondence: float (B, N, N), N = H·W/16; entry [j, i] is the weight of
            reference cell j in source cell i.
        removal_correspondence: float (B, N, N), [i, j]: of source cell i in reference cell j.
    """

    transfer: Tensor
    removal: Tensor
    transfer_correspondence: Tensor
    removal_correspondence: Tensor


class SSATGenerator(nn.Module):
    """Encoders, symmetric attention and decoder of SSAT; 10,482,419 parameters at width 64.

    Args:
        width: channels of the first stage (published: 64; 16 is the mobile-class variant).
        softmax_dim: axis of the correspondence soft-max, a property of the checkpoint: 1 normalises
            over the gathered cells (the current code, `00999.pth`), 2 over the receiving cells
            (`SSAT.pth`).
        normalised: whether to use instance norm, as published; it discards the picture's own
            colour, to which makeup is relative.
    """

    def __init__(
        self, width: int = 64, *, softmax_dim: Literal[1, 2] = 1, normalised: bool = True
    ) -> None:
        super().__init__()
        self.width, self.softmax_dim, self.normalised = width, softmax_dim, normalised
        self.enc_c = FeatureEncoder(3, width, normalised)
        self.enc_a = FeatureEncoder(3, width, normalised)
        self.enc_s = FeatureEncoder(PARSING_CLASSES, width // 2, normalised)
        self.enc_trans = SemanticTransformer(width, normalised)
        self.gen = MakeupDecoder(width, normalised)

    def forward(
        self, source: Tensor, reference: Tensor, source_parsing: Tensor, reference_parsing: Tensor
    ) -> SSATOutput:
        """Transfer and removal in one pass; one product of features serves both.

        Args:
            source: float (B, 3, H, W), the bare face.
            reference: float (B, 3, H, W), the face with makeup.
            source_parsing: float (B, 18, H, W), one-hot.
            reference_parsing: float (B, 18, H, W), one-hot.
        """
        content, fused = self.encode(source, source_parsing)
        reference_content, reference_fused = self.encode(reference, reference_parsing)
        transfer, removal = self.enc_trans.correspondences(fused, reference_fused, self.softmax_dim)
        return SSATOutput(
            self.gen(content, warp(self.encode_makeup(reference), transfer)),
            self.gen(reference_content, warp(self.encode_makeup(source), removal)),
            transfer,
            removal,
        )

    def transfer(
        self, source: Tensor, reference: Tensor, source_parsing: Tensor, reference_parsing: Tensor
    ) -> Tensor:
        """Only the transfer, (B, 3, H, W): skips the source's makeup and the second decoding."""
        content, fused = self.encode(source, source_parsing)
        _, reference_fused = self.encode(reference, reference_parsing)
        correspondence, _ = self.enc_trans.correspondences(fused, reference_fused, self.softmax_dim)
        image: Tensor = self.gen(content, warp(self.encode_makeup(reference), correspondence))
        return image

    def encode(self, image: Tensor, parsing: Tensor) -> tuple[Tensor, Tensor]:
        """Content (B, 256, H/4, W/4) and fused features (B, 1088, H/4, W/4) of one face."""
        contents = self.enc_c(image)
        return contents[-1], self.enc_trans.fuse(contents, self.enc_s(parsing)[-1])

    def encode_makeup(self, image: Tensor) -> Tensor:
        """Makeup features (B, 256, H/4, W/4) of one face."""
        makeup: Tensor = self.enc_a(image)[-1]
        return makeup


class FeatureEncoder(nn.Module):
    """k7, then two stride-2 k3 convolutions, each with instance norm and LeakyReLU 0.2.

    (B, in_channels, H, W) to the list of (B, w, H, W), (B, 2w, H/2, W/2), (B, 4w, H/4, W/4).
    Keys `conv{1,2,3}`.
    """

    def __init__(self, in_channels: int, width: int, normalised: bool = True) -> None:
        super().__init__()
        self.normalised = normalised
        self.conv1 = nn.Conv2d(in_channels, width, 7, padding=3)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.conv3 = nn.Conv2d(2 * width, 4 * width, 3, 2, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for conv in (self.conv1, self.conv2, self.conv3):
            x = conv(x)
            x = functional.leaky_relu(functional.instance_norm(x) if self.normalised else x, 0.2)
            maps.append(x)
        return maps


class SemanticTransformer(nn.Module):
    """Feature fusion and semantic correspondence (FF and SSCFT), `enc_trans`.

    Keys `fusion.conv1`, `atte.fa_conv.model.1` (source), `atte.fb_conv.model.1` (reference).
    """

    def __init__(self, width: int, normalised: bool = True) -> None:
        super().__init__()
        self.normalised = normalised
        fused = 17 * width
        self.fusion = nn.ModuleDict({"conv1": nn.Conv2d(6 * width, 8 * width, 3, 2, 1)})
        self.atte = nn.ModuleDict(
            {name: _Projection(fused, fused // 8, normalised) for name in ("fa_conv", "fb_conv")}
        )

    def fuse(self, contents: list[Tensor], semantics: Tensor) -> Tensor:
        """All scales of one face at H/4: content ×¼, ×½ and ×1, their fusion ×2, semantics.

        Args:
            contents: the three maps of the content encoder.
            semantics: float (B, 128, H/4, W/4).

        Returns:
            float (B, 1088, H/4, W/4).
        """
        deep = self.fusion["conv1"](torch.cat([contents[2], semantics], 1))
        deep = functional.leaky_relu(
            functional.instance_norm(deep) if self.normalised else deep, 0.2
        )
        parts = [
            _resize(contents[0], 0.25),
            _resize(contents[1], 0.5),
            contents[2],
            _resize(deep, 2),
            semantics,
        ]
        return torch.cat(parts, 1)

    def project_source(self, fused: Tensor) -> Tensor:
        """Fused features to unit vectors (B, 136, N) of the source's cells."""
        return _unit_columns(self.atte["fa_conv"](fused))

    def project_reference(self, fused: Tensor) -> Tensor:
        """Fused features to unit vectors (B, 136, N) of the reference's cells."""
        return _unit_columns(self.atte["fb_conv"](fused))

    def correspondences(
        self, fused: Tensor, reference_fused: Tensor, softmax_dim: int
    ) -> tuple[Tensor, Tensor]:
        """Soft correspondences from E[j, i] = 100·⟨b_j, a_i⟩ (j reference, i source).

        Returns:
            The soft-max of E (B, N_reference, N_source) and that of Eᵀ.
        """
        a, b = self.project_source(fused), self.project_reference(reference_fused)
        energy = CORRESPONDENCE_TEMPERATURE * (b.transpose(1, 2) @ a)
        return energy.softmax(softmax_dim), energy.transpose(1, 2).softmax(softmax_dim)


class _Projection(nn.Module):
    """1×1 convolution, instance norm, LeakyReLU 0.01."""

    def __init__(self, in_channels: int, out_channels: int, normalised: bool) -> None:
        super().__init__()
        # index 0 is the published layer's padding, which has width 0
        self.model = nn.Sequential(
            nn.Identity(),
            nn.Conv2d(in_channels, out_channels, 1),
            nn.InstanceNorm2d(out_channels) if normalised else nn.Identity(),
            nn.LeakyReLU(0.01),
        )

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.model(x)
        return projected


def warp(features: Tensor, correspondence: Tensor) -> Tensor:
    """Σ_j features(j)·correspondence[j, i].

    Args:
        features: float (B, C, H, W), N = H·W.
        correspondence: float (B, N, N).

    Returns:
        float (B, C, H, W); gathered and receiving faces have the same grid.
    """
    return (features.flatten(2) @ correspondence).unflatten(2, features.shape[2:])


class MakeupDecoder(nn.Module):
    """Content modulated by warped makeup in three SPADE blocks, nearest ×2 after the first two.

    Keys `SPADE{1,2,3}` and `img_conv`; 7,538,627 parameters at width 64.
    """

    def __init__(self, width: int, normalised: bool = True) -> None:
        super().__init__()
        makeup = 4 * width
        self.SPADE1 = SPADEBlock(4 * width, 4 * width, makeup, normalised)
        self.SPADE2 = SPADEBlock(4 * width, 2 * width, makeup, normalised)
        self.SPADE3 = SPADEBlock(2 * width, width, makeup, normalised)
        self.img_conv = nn.Conv2d(width, 3, 7, padding=3)

    def forward(self, content: Tensor, makeup: Tensor) -> Tensor:
        """Content and warped makeup (B, 256, H/4, W/4) to the image (B, 3, H, W) in [−1, 1]."""
        x = _double(self.SPADE1(content, makeup))
        x = _double(self.SPADE2(x, makeup))
        return self.img_conv(self.SPADE3(x, makeup)).tanh()


class SPADEBlock(nn.Module):
    """shortcut(x) + conv_1(lrelu(norm_1(conv_0(lrelu(norm_0(x)))))), LeakyReLU 0.2.

    When the width changes, shortcut(x) = conv_s(norm_s(x)) with a 1×1 convolution without bias.
    Source: Park et al., SPADE (2019), as SSAT uses it.

    Args:
        in_channels, out_channels: widths of input and output.
        makeup_channels: width of the makeup map; the hidden maps have half of it.
    """

    def __init__(
        self, in_channels: int, out_channels: int, makeup_channels: int, normalised: bool = True
    ) -> None:
        super().__init__()
        middle = min(in_channels, out_channels)
        self.norm_0 = SPADENorm(in_channels, makeup_channels, normalised)
        self.conv_0 = nn.Conv2d(in_channels, middle, 3, padding=1)
        self.norm_1 = SPADENorm(middle, makeup_channels, normalised)
        self.conv_1 = nn.Conv2d(middle, out_channels, 3, padding=1)
        self.learned_shortcut = in_channels != out_channels
        if self.learned_shortcut:
            self.norm_s = SPADENorm(in_channels, makeup_channels, normalised)
            self.conv_s = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    @property
    def norms(self) -> list["SPADENorm"]:
        """The block's norms in key order: norm_0, norm_1 and, if the width changes, norm_s."""
        norms = [self.norm_0, self.norm_1]
        return [*norms, self.norm_s] if self.learned_shortcut else norms

    def forward(self, x: Tensor, makeup: Tensor) -> Tensor:
        makeup = functional.interpolate(makeup, size=x.shape[2:], mode="nearest")
        return self.modulate(x, [norm.mlp_shared(makeup) for norm in self.norms])

    def modulate(self, x: Tensor, hidden: list[Tensor]) -> Tensor:
        """The block from x (B, C, H, W) and each norm's hidden map (B, 128, H, W)."""
        y = self.conv_0(functional.leaky_relu(self.norm_0(x, hidden[0]), 0.2))
        y = self.conv_1(functional.leaky_relu(self.norm_1(y, hidden[1]), 0.2))
        return y + (self.conv_s(self.norm_s(x, hidden[2])) if self.learned_shortcut else x)


class SPADENorm(nn.Module):
    """Parameter-free instance norm of x, times (1 + gamma), plus beta, both convolved from hidden.

    Keys `mlp_shared.0`, `mlp_gamma`, `mlp_beta`.
    """

    def __init__(self, channels: int, makeup_channels: int, normalised: bool = True) -> None:
        super().__init__()
        self.normalised = normalised
        hidden = makeup_channels // 2
        self.mlp_shared = nn.Sequential(
            nn.Conv2d(makeup_channels, hidden, 3, padding=1), nn.ReLU(inplace=True)
        )
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """x (B, C, H, W) and the output (B, hidden, H, W) of `mlp_shared` to (B, C, H, W)."""
        gamma, beta = self.mlp_gamma(hidden), self.mlp_beta(hidden)
        x = functional.instance_norm(x) if self.normalised else x
        return x * (1 + gamma) + beta


class SSATDiscriminator(nn.Module):
    """Three spectral-normed patch nets on the image, its half and its quarter.

    (B, 3, H, W) to three raw score maps (B, 1, H/16, W/16), …/32, …/64: 16², 8², 4² at 256×256.
    8,271,171 parameters at width 64. Keys `Diss.{0,1,2}.{0..3}.model.1` and `Diss.{0,1,2}.4`.
    Reflection padding of the smallest scale needs sides of at least 64.

    Args:
        width: channels of the first stage (published: 64).
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        channels = [3, width, 2 * width, 4 * width, 8 * width]
        self.Diss = nn.ModuleList(
            nn.Sequential(
                *(_DiscriminatorStage(channels[i], channels[i + 1]) for i in range(4)),
                _spectral(channels[-1], 1, 1, stride=1),
            )
            for _ in range(3)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        scores = []
        for network in self.Diss:
            scores.append(network(image))
            image = functional.avg_pool2d(image, 3, 2, 1, count_include_pad=False)
        return scores


class _DiscriminatorStage(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.ReflectionPad2d(1),
            _spectral(in_channels, out_channels, 4, stride=2),
            nn.LeakyReLU(0.01, inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y


def _spectral(in_channels: int, out_channels: int, kernel: int, *, stride: int) -> SpectralConv2d:
    return SpectralConv2d(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        weight_name="weight_orig",
        iterate_in_eval=False,
    )


def _unit_columns(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, C, N): spatial mean of each channel removed, then unit columns."""
    columns = x.flatten(2)
    columns = columns - columns.mean(2, keepdim=True)
    return columns / columns.norm(dim=1, keepdim=True)


def _resize(x: Tensor, scale: float) -> Tensor:
    return functional.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")
