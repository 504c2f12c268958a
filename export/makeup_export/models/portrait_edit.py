"""Mask-guided portrait editing: embeddings once per face, generator and background per target."""

from collections.abc import Mapping
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

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
from makeup_kernels.head import HEAD_SIZE
from makeup_training.data.parsing_classes import from_mt
from makeup_training.networks.portrait_edit import LABEL_CLASSES, PARTS, PortraitEditor
from makeup_training.networks.portrait_edit_inputs import enlarge_label, part_centres, part_crops
from makeup_training.networks.portrait_mobile import MobilePortraitEditor


def portrait_edit_graphs(network: PortraitEditor, size: int) -> ModelGraphs:
    """`embeddings` (parts to features), `generator` (layout on a label) and `background`."""
    prepared = deepcopy(network).eval()
    for name in PARTS:
        read_pixels(prepared.get_submodule(f"encoder_{name}").conv[0].conv)
    read_pixels(prepared.G.bg_encoder[1])
    reorder_outputs(prepared.G.bg_decoder[-2])
    prepared.G.bg_decoder[-2] = BlockOutput(prepared.G.bg_decoder[-2])
    rewrite_transposed(prepared)
    width = prepared.G.bg_encoder[1].out_channels
    crops = {
        name: (torch.rand(2, 3, *spec.size) * 2 - 1) * HALF_RANGE for name, spec in PARTS.items()
    }
    features = {
        f"{name}_features": torch.randn(2, 4 * width, spec.size[0] // 4, spec.size[1] // 4)
        for name, spec in PARTS.items()
    }
    label = torch.randint(0, LABEL_CLASSES, (2, size, size))
    centres = torch.tensor([[[116, 96], [116, 160], [184, 128]]]).repeat(2, 1, 1)
    target = (torch.rand(2, 3, size, size) * 2 - 1) * HALF_RANGE
    foreground = torch.randn(2, width, size, size)
    return ModelGraphs(
        "portrait-edit",
        size,
        {
            "embeddings": GraphModule(_Embeddings(prepared), crops, tuple(features), "look"),
            "generator": GraphModule(
                _Generator(prepared),
                {**features, "label": label, "centres": centres},
                ("foreground",),
                "frame",
                any_batch=False,  # `place` is traced with a fixed number of faces
            ),
            "background": GraphModule(
                _Background(prepared),
                {"foreground": foreground, "label": label, "target": target},
                ("result",),
                "frame",
            ),
        },
        _edit,
        lambda source, reference: bgr(_truth(network, source, reference)),
        {"label_classes": LABEL_CLASSES},
    )


def mobile_portrait_graphs(network: MobilePortraitEditor, size: int) -> ModelGraphs:
    """`parser` and `head`: the classes of a face, and those of a head.

    The parity report shows background and hair of the face, and hair of the head, as an image.
    """
    prepared = deepcopy(network).eval()
    read_pixels(prepared.parser.first)
    read_pixels(prepared.head.first)

    def example(side: int) -> dict[str, Tensor]:
        return {"image": (torch.rand(2, 3, side, side) * 2 - 1) * HALF_RANGE}

    def parsed(run: Run, source: AlignedFace, _: AlignedFace) -> Array:
        of_head = run("head", {"image": _resized(pixels(source), HEAD_SIZE)})["classes"]
        return _shown(run("parser", {"image": pixels(source)})["classes"], of_head)

    def truth(source: AlignedFace, _: AlignedFace) -> Array:
        image = face_batch(source).image
        head = torch.from_numpy(_resized(image.numpy(), HEAD_SIZE))
        return _shown(
            network(image).softmax(1).numpy(), network.parse_head(head).softmax(1).numpy()
        )

    return ModelGraphs(
        "portrait-edit",
        size,
        {
            "parser": GraphModule(_Parser(prepared), example(size), ("classes",), "frame"),
            "head": GraphModule(_HeadParser(prepared), example(HEAD_SIZE), ("classes",), "look"),
        },
        parsed,
        truth,
        {"label_classes": LABEL_CLASSES},
    )


class _Parser(nn.Module):
    def __init__(self, network: MobilePortraitEditor) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        classes: Tensor = self.network(image).softmax(1)
        return classes


class _HeadParser(_Parser):
    def forward(self, image: Tensor) -> Tensor:
        classes: Tensor = self.network.parse_head(image).softmax(1)
        return classes


def _shown(classes: Array, of_head: Array) -> Array:
    """Probabilities (1, 11, S, S) and (1, 4, 128, 128) as an image (3, S, S)."""
    hair = _resized(of_head[:, 2:3], classes.shape[2])
    return np.asarray(np.concatenate([classes[0, [0, 10]], hair[0]]) * 2 - 1, np.float32)


def _resized(planes: Array, side: int) -> Array:
    """float32 (B, C, S, S) to (B, C, side, side)."""
    result = functional.interpolate(torch.from_numpy(planes), (side, side), mode="bilinear")
    return np.ascontiguousarray(result.numpy())


class _Embeddings(nn.Module):
    """Crops of the five parts, in the order of `PARTS`, to their features; latent = mean."""

    def __init__(self, network: PortraitEditor) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(network.get_submodule(f"encoder_{name}") for name in PARTS)
        self.decoders = nn.ModuleList(network.get_submodule(f"decoder_{name}") for name in PARTS)

    def forward(
        self, left_eye: Tensor, right_eye: Tensor, skin: Tensor, hair: Tensor, mouth: Tensor
    ) -> tuple[Tensor, ...]:
        crops = (left_eye, right_eye, skin, hair, mouth)
        return tuple(
            decoder(encoder.fc_mu(encoder.conv(crop).flatten(1)))
            for encoder, decoder, crop in zip(self.encoders, self.decoders, crops, strict=True)
        )


class _Generator(nn.Module):
    def __init__(self, network: PortraitEditor) -> None:
        super().__init__()
        self.generator = network.G

    def forward(
        self,
        left_eye: Tensor,
        right_eye: Tensor,
        skin: Tensor,
        hair: Tensor,
        mouth: Tensor,
        label: Tensor,
        centres: Tensor,
    ) -> Tensor:
        features = dict(zip(PARTS, (left_eye, right_eye, skin, hair, mouth), strict=True))
        foreground: Tensor = self.generator.foreground(features, label, centres)
        return foreground


class _Background(nn.Module):
    def __init__(self, network: PortraitEditor) -> None:
        super().__init__()
        self.generator = network.G

    def forward(self, foreground: Tensor, label: Tensor, target: Tensor) -> Tensor:
        image: Tensor = self.generator.fuse(foreground, label, target)
        return image


def _edit(run: Run, source: AlignedFace, reference: AlignedFace) -> Array:
    """The reference's parts in the source's pose, in front of the source's background."""
    label, centres = _label(source)
    parts = _parts(reference, torch.from_numpy(pixels(reference)))
    crops = {name: crop.contiguous().numpy() for name, crop in parts.items()}
    layout = {"label": label.numpy(), "centres": centres.numpy()}
    features = run("embeddings", crops)
    foreground = run("generator", {**features, **layout})["foreground"]
    last = {"foreground": foreground, "label": layout["label"], "target": pixels(source)}
    return run("background", last)["result"][0]


def _truth(network: PortraitEditor, source: AlignedFace, reference: AlignedFace) -> Tensor:
    label, centres = _label(source)
    parts = _parts(reference, face_batch(reference).image)
    image: Tensor = network(parts, label, centres, face_batch(source).image)
    return image


def _parts(face: AlignedFace, image: Tensor) -> Mapping[str, Tensor]:
    return part_crops(image, *_label(face))


def _label(face: AlignedFace) -> tuple[Tensor, Tensor]:
    label = torch.from_numpy(from_mt(face.parsing, "helen11")).long()[None]
    centres = part_centres(label)
    return enlarge_label(label, centres), centres
