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
        count = len(_phases(self.scale))
        small = [functional.relu(conv(functional.pad(x, conv.margins))) for conv in self.phases]
        rows = [
            torch.stack(self._widen(small[r : r + count]), 4) for r in range(0, len(small), count)
        ]
        grid = torch.stack(self._widen(rows), 3)  # (B, C', H, scale, W, scale)
        return grid.flatten(4, 5).flatten(2, 3)

    def _widen(self, phases: list[Tensor]) -> list[Tensor]:
        """Repeat the middle phase for each pixel between the first and the last."""
        return [phases[0], *phases[1:-1] * (self.scale - 2), phases[-1]]


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


def _phase_convolution(convolution: nn.Conv2d, rows: _Taps, columns: _Taps) -> _Phase:
    assert convolution.bias is not None
    weight = convolution.weight.detach()
    weight = torch.stack([weight[:, :, list(taps)].sum(2) for taps in rows], 2)
    weight = torch.stack([weight[..., list(taps)].sum(3) for taps in columns], 3)
    phase = _Phase(weight.shape[1], weight.shape[0], (len(rows), len(columns)))
    phase.weight = nn.Parameter(weight)
    phase.bias = nn.Parameter(convolution.bias.detach().clone())
    phase.margins = (
        int(columns is _FIRST),
        int(columns is _LAST),
        int(rows is _FIRST),
        int(rows is _LAST),
    )
    return phase


def _fuse(convolutions: list[nn.Conv2d]) -> nn.Conv2d:
    """Fuse convolutions of one input into one with concatenated outputs."""
    first = convolutions[0]
    width = sum(c.out_channels for c in convolutions)
    fused = nn.Conv2d(first.in_channels, width, 3, padding=1)
    fused.weight = nn.Parameter(torch.cat([c.weight.detach() for c in convolutions]))
    fused.bias = nn.Parameter(torch.cat([c.bias.detach() for c in convolutions]))
    return fused
