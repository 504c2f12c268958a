"""SSAT's decoder with convolutions of up-sampled makeup maps computed before the up-sampling.

A 3×3 convolution over a map enlarged s-fold by nearest neighbour has few distinct outputs per cell:
along each axis the first pixel mixes the cell with the previous one, the last with the next one,
and the pixels between see only the cell. Adding the kernel's taps that fall on the same cell gives
one small convolution per phase: 5 taps per axis instead of 3·s (25 instead of 144 multiply-adds at
s = 4; 4 per axis at s = 2). Zero padding stays exact, as the padded cells are zero too. The result
is exact up to the order of additions.
"""

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from makeup_training.networks.ssat import MakeupDecoder, SPADEBlock


class PhaseConv2d(nn.Module):
    """conv k3p1 and ReLU over a nearest-enlarged map, computed on the small map.

    (B, C, H, W) to (B, C', scale·H, scale·W).

    Args:
        convolution: the 3×3 convolution that runs over the enlarged map.
        scale: the enlargement, at least 2.
    """

    def __init__(self, convolution: nn.Conv2d, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.phases = nn.ModuleList(
            _phase_convolution(convolution, rows, columns)
            for rows, columns in product(_phases(scale), repeat=2)
        )

    def forward(self, x: Tensor) -> Tensor:
        small = [functional.relu(conv(functional.pad(x, conv.margins))) for conv in self.phases]
        return _laid_out(small, self.scale)


class PhaseSPADEBlock(nn.Module):
    """A SPADE block whose norms share one convolution of the makeup map, before its enlargement.

    Args:
        block: a trained block.
        scale: side of the block's input relative to the makeup map: 1, 2 or 4.
    """

    def __init__(self, block: SPADEBlock, scale: int) -> None:
        super().__init__()
        self.block = block
        shared = _fuse([norm.mlp_shared[0] for norm in block.norms])
        self.shared = nn.Sequential(shared, nn.ReLU()) if scale == 1 else PhaseConv2d(shared, scale)

    def forward(self, x: Tensor, makeup: Tensor) -> Tensor:
        hidden = self.shared(makeup).chunk(len(self.block.norms), 1)
        return self.block.modulate(x, list(hidden))


def rewrite_decoder(decoder: MakeupDecoder) -> nn.Module:
    """A decoder for export that equals `decoder` up to rounding, at about 2/3 of its cost.

    Same inputs and outputs as `MakeupDecoder`. Changed weights are copies. Apply it to a trained
    decoder, just before export.
    """
    return _PhaseDecoder(decoder)


def decode(decoder: MakeupDecoder, content: Tensor, makeup: Tensor) -> Tensor:
    """What the decoder gives, up to rounding, with gradients, at about 2/3 of its cost.

    Args:
        decoder: in training; its convolutions are put together anew for each call.
        content: see `MakeupDecoder.forward`.
        makeup: likewise.
    """
    x = content
    for block, scale in zip(
        (decoder.SPADE1, decoder.SPADE2, decoder.SPADE3), (1, 2, 4), strict=True
    ):
        if scale > 1:
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
        shared = [norm.mlp_shared[0] for norm in block.norms]
        weight, bias = (
            torch.cat([getattr(c, part) for c in shared]) for part in ("weight", "bias")
        )
        if scale == 1:
            hidden = functional.relu(functional.conv2d(makeup, weight, bias, padding=1))
        else:
            hidden = _laid_out(
                [
                    functional.relu(
                        functional.conv2d(
                            functional.pad(makeup, _margins(*taps)), _summed(weight, *taps), bias
                        )
                    )
                    for taps in product(_phases(scale), repeat=2)
                ],
                scale,
            )
        x = block.modulate(x, list(hidden.chunk(len(shared), 1)))
    return decoder.img_conv(x).tanh()


class _PhaseDecoder(nn.Module):
    def __init__(self, decoder: MakeupDecoder) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            PhaseSPADEBlock(block, scale)
            for block, scale in ((decoder.SPADE1, 1), (decoder.SPADE2, 2), (decoder.SPADE3, 4))
        )
        self.img_conv = decoder.img_conv

    def forward(self, content: Tensor, makeup: Tensor) -> Tensor:
        x = self.blocks[0](content, makeup)
        for block in self.blocks[1:]:
            x = block(functional.interpolate(x, scale_factor=2, mode="nearest"), makeup)
        return self.img_conv(x).tanh()


class _Phase(nn.Conv2d):
    """One phase: a convolution of at most 2×2 taps, with the padding that aligns it."""

    margins: tuple[int, int, int, int]


_Taps = tuple[tuple[int, ...], ...]
"""For each cell that a phase reads along an axis, in order: the kernel taps that fall on it."""

_FIRST: _Taps = ((0,), (1, 2))
_MIDDLE: _Taps = ((0, 1, 2),)
_LAST: _Taps = ((0, 1), (2,))


def _phases(scale: int) -> list[_Taps]:
    return [_FIRST, _LAST] if scale == 2 else [_FIRST, _MIDDLE, _LAST]


def _laid_out(small: list[Tensor], scale: int) -> Tensor:
    """The phases, each (B, C, H, W), row by row, as one map (B, C, scale·H, scale·W)."""
    count = len(_phases(scale))

    def widen(phases: list[Tensor]) -> list[Tensor]:
        """Repeat the middle phase for each pixel between the first and the last."""
        return [phases[0], *phases[1:-1] * (scale - 2), phases[-1]]

    rows = [torch.stack(widen(small[r : r + count]), 4) for r in range(0, len(small), count)]
    grid = torch.stack(widen(rows), 3)  # (B, C, H, scale, W, scale)
    return grid.flatten(4, 5).flatten(2, 3)


def _summed(weight: Tensor, rows: _Taps, columns: _Taps) -> Tensor:
    """A 3×3 kernel's taps added up where they fall on the same cell."""
    weight = torch.stack([weight[:, :, list(taps)].sum(2) for taps in rows], 2)
    return torch.stack([weight[..., list(taps)].sum(3) for taps in columns], 3)


def _margins(rows: _Taps, columns: _Taps) -> tuple[int, int, int, int]:
    """Left, right, top and bottom padding that aligns a phase."""
    return (
        int(columns is _FIRST),
        int(columns is _LAST),
        int(rows is _FIRST),
        int(rows is _LAST),
    )


def _phase_convolution(convolution: nn.Conv2d, rows: _Taps, columns: _Taps) -> _Phase:
    assert convolution.bias is not None
    weight = _summed(convolution.weight.detach(), rows, columns)
    phase = _Phase(weight.shape[1], weight.shape[0], (len(rows), len(columns)))
    phase.weight = nn.Parameter(weight)
    phase.bias = nn.Parameter(convolution.bias.detach().clone())
    phase.margins = _margins(rows, columns)
    return phase


def _fuse(convolutions: list[nn.Conv2d]) -> nn.Conv2d:
    """Fuse convolutions of one input into one with concatenated outputs."""
    first = convolutions[0]
    width = sum(c.out_channels for c in convolutions)
    fused = nn.Conv2d(first.in_channels, width, 3, padding=1)
    fused.weight = nn.Parameter(torch.cat([c.weight.detach() for c in convolutions]))
    fused.bias = nn.Parameter(torch.cat([c.bias.detach() for c in convolutions]))
    return fused
