"""The region-sensitive GAN: a style graph, run once, and a frame graph."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from makeup_export.faces import AlignedFace
from makeup_export.graph_modules import (
    Array,
    GraphModule,
    ModelGraphs,
    Run,
    bgr,
    face_batch,
    pixels,
)
from makeup_export.rewrites import (
    HALF_RANGE,
    BlockOutput,
    read_pixels,
    reorder_outputs,
    rewrite_transposed,
)
from makeup_training.networks.region_gan import (
    LabelLayout,
    MaskNetwork,
    RegionGenerator,
    StyledRegionGenerator,
)


class RegionMakeup(nn.Module):
    """The generator and its mask network, as they are trained and saved together.

    Args:
        layout: layout of the label vector.
        width: base width of the generator.
        style_names: one per style; empty if unknown.
        styled: whether the generator is the mobile-class one.
    """

    generator: RegionGenerator | StyledRegionGenerator

    def __init__(
        self,
        layout: LabelLayout,
        width: int = 64,
        style_names: Sequence[str] = (),
        *,
        styled: bool = False,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.style_names = tuple(style_names)
        kind = StyledRegionGenerator if styled else RegionGenerator
        self.generator = kind(layout.channels, width)
        self.masks = MaskNetwork(width)

    def forward(self, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Image (B, 3, H, W) in [−1, 1], label (B, L) to image with makeup, masks (B, 4, H, W)."""
        if isinstance(self.generator, StyledRegionGenerator):
            norms = self.generator.norms(label)
            features = self.generator.encode(image, norms)
            change = self.generator.decode(features, norms, image)
            return image + change, self.masks(features).softmax(1)
        features = self.generator.encode(image, label)
        return self.generator.decode(features), self.masks(features).softmax(1)


def region_gan_graphs(network: RegionMakeup, size: int) -> ModelGraphs:
    """`style` (once per style and regions) and `whole` (result and masks of a frame)."""
    prepared = deepcopy(network).eval()
    labels = network.layout.makeup(torch.arange(2), torch.tensor([[1, 1, 0], [0, 1, 1]]))
    style, whole = _prepared(prepared, size)
    image = (torch.rand(2, 3, size, size) * 2 - 1) * HALF_RANGE
    with torch.no_grad():
        frame = {"image": image, "style": torch.randn_like(style(labels))}
    constants = {"styles": network.layout.styles, "attributes": network.layout.attributes}
    if isinstance(network.generator, StyledRegionGenerator):
        constants["adds_change"] = True
    names = {"style_names": list(network.style_names)} if network.style_names else {}

    def make_up(run: Run, source: AlignedFace, _: AlignedFace) -> Array:
        style = run("style", {"label": _label(network.layout).numpy()})["style"]
        return run("whole", {"image": pixels(source), "style": style})["result"][0]

    return ModelGraphs(
        "region-gan",
        size,
        {
            "style": GraphModule(style, {"label": labels}, ("style",), "look"),
            "whole": GraphModule(whole, frame, ("result", "masks"), "frame"),
        },
        make_up,
        lambda source, _: bgr(network(face_batch(source).image, _label(network.layout))[0]),
        constants | names,
    )


def _prepared(network: RegionMakeup, size: int) -> tuple[nn.Module, nn.Module]:
    """The two graphs of a network; rewrites the network."""
    generator = network.generator
    if isinstance(generator, StyledRegionGenerator):
        read_pixels(generator.down[0])
        reorder_outputs(generator.last)
        generator.last = BlockOutput(generator.last)  # type: ignore[assignment]
        generator.cover = BlockOutput(generator.cover)  # type: ignore[assignment]
        rewrite_transposed(network)
        return generator.norms, _StyledFrame(network)
    first, last = generator.main[0], generator.main[-2]
    read_pixels(first)
    reorder_outputs(last)
    generator.main[-2] = BlockOutput(last)
    rewrite_transposed(network)
    return _Style(first, size), _Frame(network)


class _Style(nn.Module):
    """A label's contribution to the first convolution, minus what the instance norm cancels.

    Label planes are constant, so they contribute one number per channel, except in a border of half
    a kernel, where zero padding cuts them off: (B, L) to (B, width, S, S), zero inside the border.
    """

    def __init__(self, first: nn.Conv2d, size: int) -> None:
        super().__init__()
        self.size = size
        self.convolution = nn.Conv2d(
            first.in_channels - 3, first.out_channels, first.kernel_size, padding=3, bias=False
        )
        self.convolution.weight = nn.Parameter(first.weight[:, 3:].detach().clone())

    def forward(self, label: Tensor) -> Tensor:
        planes = label[:, :, None, None].expand(-1, -1, self.size, self.size)
        share = self.convolution(planes)
        middle = self.size // 2
        return share - share[:, :, middle : middle + 1, middle : middle + 1]


class _Frame(nn.Module):
    def __init__(self, network: RegionMakeup) -> None:
        super().__init__()
        main = network.generator.main
        first = main[0]
        self.first = nn.Conv2d(3, first.out_channels, first.kernel_size, padding=3, bias=False)
        self.first.weight = nn.Parameter(first.weight[:, :3].detach().clone())
        self.encode = main[1 : network.generator.FEATURE_LAYERS]
        self.decode = main[network.generator.FEATURE_LAYERS :]
        self.masks = network.masks

    def forward(self, image: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encode(self.first(image) + style)
        return self.decode(features), self.masks(features).softmax(1)


class _StyledFrame(nn.Module):
    """The mobile-class generator; `style` holds the scales and shifts of its norms."""

    def __init__(self, network: RegionMakeup) -> None:
        super().__init__()
        self.generator, self.masks = network.generator, network.masks

    def forward(self, image: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        features = self.generator.encode(image, style)
        image = image / HALF_RANGE
        result = image + self.generator.decode(features, style, image)
        return result, self.masks(features).softmax(1)


def _label(layout: LabelLayout) -> Tensor:
    return layout.makeup(torch.zeros(1, dtype=torch.int64), torch.ones(1, 3))
