"""SSAT: transfer and removal, each with two encoders; they share a morph and a decoder."""

from copy import deepcopy

import numpy as np
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
from makeup_export.rewrites import HALF_RANGE, BlockOutput, drop_bias, read_pixels, reorder_outputs
from makeup_training.data.parsing_classes import from_mt
from makeup_training.networks.inputs import one_hot
from makeup_training.networks.ssat import (
    CORRESPONDENCE_TEMPERATURE,
    PARSING_CLASSES,
    FeatureEncoder,
    SSATGenerator,
)
from makeup_training.networks.ssat_phases import rewrite_decoder


def ssat_graphs(network: SSATGenerator, size: int) -> ModelGraphs:
    """Six graphs.

    Transfer: `reference` once per look, then `source`, `morph`, `decoder` for each frame. Removal:
    `bare` once for the face that provides bare skin, then `made_up`, `morph`, `decoder` for each
    frame. In both, the frame is the side onto which the morph gathers.
    """
    prepared = deepcopy(network).eval()
    if network.normalised:  # the norms cancel the biases
        for encoder in (prepared.enc_c, prepared.enc_a, prepared.enc_s):
            drop_bias(encoder.conv1, encoder.conv2, encoder.conv3)
        drop_bias(prepared.enc_trans.fusion["conv1"])
        for name in ("fa_conv", "fb_conv"):
            drop_bias(prepared.enc_trans.atte[name].model[1])
    read_pixels(prepared.enc_c.conv1)
    read_pixels(prepared.enc_a.conv1)
    reorder_outputs(prepared.gen.img_conv)
    prepared.gen.img_conv = BlockOutput(prepared.gen.img_conv)

    side, width = size // 4, network.width
    images = {
        "image": (torch.rand(2, 3, size, size) * 2 - 1) * HALF_RANGE,
        "parsing": one_hot(torch.randint(0, PARSING_CLASSES, (2, size, size)), PARSING_CLASSES),
    }
    content = torch.randn(2, 4 * width, side, side)
    unit = torch.nn.functional.normalize(torch.randn(2, 17 * width // 8, side * side), dim=1)
    frame, look = ("content", "receiving"), ("gathered", "makeup")
    morph = {"receiving": unit, "gathered": unit.flip(0), "makeup": content.flatten(2)}
    # two tensors: the exporter treats one tensor given twice as one input
    decoder = {"content": content, "makeup": torch.randn_like(content)}
    return ModelGraphs(
        "ssat",
        size,
        {
            "reference": GraphModule(_LookEncoder(prepared, "reference"), images, look, "look"),
            "bare": GraphModule(_LookEncoder(prepared, "source"), images, look, "look"),
            "source": GraphModule(_FrameEncoder(prepared, "source"), images, frame, "frame"),
            "made_up": GraphModule(_FrameEncoder(prepared, "reference"), images, frame, "frame"),
            "morph": GraphModule(
                _Morph(network.softmax_dim, side), morph, ("warped_makeup",), "frame"
            ),
            "decoder": GraphModule(rewrite_decoder(prepared.gen), decoder, ("result",), "frame"),
        },
        _both_ways,
        lambda source, reference: _truth(network, source, reference),
        {"softmax_dim": network.softmax_dim, "parsing_classes": PARSING_CLASSES},
    )


class _Encoder(nn.Module):
    """One face in one role of the correspondence: "source" or "reference"."""

    def __init__(self, network: SSATGenerator, role: str) -> None:
        super().__init__()
        self.content, self.semantics = network.enc_c, network.enc_s
        self.transformer = network.enc_trans
        self.is_source = role == "source"

    def correspond(self, image: Tensor, parsing: Tensor) -> tuple[Tensor, Tensor]:
        contents = self.content(image)
        fused = self.transformer.fuse(contents, self.semantics(parsing)[-1])
        if self.is_source:
            return contents[-1], self.transformer.project_source(fused)
        return contents[-1], self.transformer.project_reference(fused)


class _FrameEncoder(_Encoder):
    """Content (B, 256, H/4, W/4) and unit vectors (B, 136, N) of the receiving cells."""

    def forward(self, image: Tensor, parsing: Tensor) -> tuple[Tensor, Tensor]:
        return self.correspond(image, parsing)


class _LookEncoder(_Encoder):
    """Unit vectors (B, 136, N) and makeup (B, 256, N) of the cells to gather from."""

    def __init__(self, network: SSATGenerator, role: str) -> None:
        super().__init__(network, role)
        self.makeup: FeatureEncoder = network.enc_a

    def forward(self, image: Tensor, parsing: Tensor) -> tuple[Tensor, Tensor]:
        _, gathered = self.correspond(image, parsing)
        return gathered, self.makeup(image)[-1].flatten(2)


class _Morph(nn.Module):
    """Makeup (B, 256, N) gathered by soft correspondence: (B, 256, H/4, W/4)."""

    def __init__(self, softmax_dim: int, side: int) -> None:
        super().__init__()
        self.softmax_dim, self.side = softmax_dim, side

    def forward(self, receiving: Tensor, gathered: Tensor, makeup: Tensor) -> Tensor:
        energy = CORRESPONDENCE_TEMPERATURE * (gathered.transpose(1, 2) @ receiving)
        warped = makeup @ energy.softmax(self.softmax_dim)
        return warped.unflatten(2, (self.side, self.side))


def _both_ways(run: Run, source: AlignedFace, reference: AlignedFace) -> Array:
    """Transfer above removal, (3, 2·S, S): one picture made with all six graphs."""
    images = []
    for frame, look, of_frame, of_look in (
        (source, reference, "source", "reference"),
        (reference, source, "made_up", "bare"),
    ):
        encoded = run(of_frame, {"image": pixels(frame), "parsing": parsing_planes(frame).numpy()})
        cached = run(of_look, {"image": pixels(look), "parsing": parsing_planes(look).numpy()})
        receiving = {"receiving": encoded["receiving"], **cached}
        makeup = run("morph", receiving)["warped_makeup"]
        inputs = {"content": encoded["content"], "makeup": makeup}
        images.append(run("decoder", inputs)["result"][0])
    return np.concatenate(images, 1)


def _truth(network: SSATGenerator, source: AlignedFace, reference: AlignedFace) -> Array:
    result = network(
        face_batch(source).image,
        face_batch(reference).image,
        parsing_planes(source),
        parsing_planes(reference),
    )
    return np.concatenate([bgr(result.transfer), bgr(result.removal)], 1)


def parsing_planes(face: AlignedFace) -> Tensor:
    classes = torch.from_numpy(from_mt(face.parsing, "raw19"))[None]
    return one_hot(classes, PARSING_CLASSES)
