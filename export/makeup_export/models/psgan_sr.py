"""PSGAN on small faces with super-resolution: as published, and of mobile class."""

from copy import deepcopy
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from makeup_export.faces import AlignedFace
from makeup_export.graph_modules import (
    Array,
    GraphModule,
    Method,
    ModelGraphs,
    Run,
    bgr,
    face_batch,
    pixels,
)
from makeup_export.models.psgan import (
    attention_constants,
    decoder_inputs,
    example_inputs,
    prepared_branches,
    reference_graph,
    source_graph,
)
from makeup_export.rewrites import (
    HALF_RANGE,
    BlockOutput,
    read_pixels,
    reorder_inputs,
    reorder_outputs,
    rewrite_transposed,
)
from makeup_training.networks.inputs import FaceBatch
from makeup_training.networks.psgan import MakeupBranches, PSGANGenerator
from makeup_training.networks.psgan_sr import ENLARGEMENT, PSGANSuperResolution
from makeup_training.networks.psgan_sr_mobile import HALF, MobileSuperResolution


def psgan_sr_graphs(network: PSGANSuperResolution, size: int) -> ModelGraphs:
    """PSGAN's three graphs on enlarged small faces, then prior and super-resolution."""
    makeup = prepared_branches(network.makeup)
    prior, super_resolution = deepcopy(network.prior).eval(), deepcopy(network.super_resolution)
    reorder_inputs(prior.stem[0])
    reorder_outputs(super_resolution.eval().body[-2])
    super_resolution.body[-2] = BlockOutput(super_resolution.body[-2])
    rewrite_transposed(super_resolution)
    image, features, maps = example_inputs(makeup, size)
    small = image[..., ::ENLARGEMENT, ::ENLARGEMENT].contiguous()
    middle = size // 2
    examples = {
        "prior": torch.rand(2, 2 * makeup.width, middle, middle),
        "made_up": features,
    }
    return ModelGraphs(
        "psgan-sr",
        size,
        {
            "reference": reference_graph(_Enlarged(makeup, "encode_reference"), small),
            "source": source_graph(_Enlarged(makeup, "encode_source"), small),
            "decoder": GraphModule(
                _MadeUp(makeup), {"features": features, **maps}, ("made_up", "blurry"), "frame"
            ),
            "prior": GraphModule(prior, {"blurry": image / HALF_RANGE}, ("prior",), "frame"),
            "super_resolution": GraphModule(super_resolution, examples, ("result",), "frame"),
        },
        partial(_super_resolve, network.makeup),
        lambda source, reference: bgr(network(_small(source), _small(reference)).image),
        {**attention_constants(network.makeup), "enlargement": ENLARGEMENT},
    )


def mobile_psgan_sr_graphs(network: MobileSuperResolution, size: int) -> ModelGraphs:
    """PSGAN's three graphs, the source enlarged ×2, then prior and super-resolution as one.

    References are read at the makeup part's size. What the report compares is the blurry image
    with the detail below it.
    """
    makeup = prepared_branches(network.makeup)
    image, features, maps = example_inputs(makeup, size)
    small = image[..., ::HALF, ::HALF].contiguous()
    detail = {"made_up": features, "blurry": image / HALF_RANGE, "image": small}

    def truth(source: AlignedFace, reference: AlignedFace) -> Array:
        face, lent = face_batch(source), face_batch(reference)
        small = functional.avg_pool2d(face.image, HALF)
        features = network.encode_source(small)
        seen = network.makeup.morph(features, face, lent)
        result = network.decode(features, *seen, small)
        return _above(bgr(result.blurry), bgr(result.detail))

    return ModelGraphs(
        "psgan-sr",
        size,
        {
            "reference": reference_graph(Method(makeup, "encode_reference"), image),
            "source": source_graph(_Enlarged(makeup, "encode_source", HALF), small),
            "decoder": GraphModule(
                _MadeUp(makeup), {"features": features, **maps}, ("made_up", "blurry"), "frame"
            ),
            "super_resolution": GraphModule(_Detail(network), detail, ("detail",), "frame"),
        },
        partial(_sharpen, network.makeup),
        truth,
        {**attention_constants(network.makeup), "enlargement": ENLARGEMENT},
    )


class _Enlarged(nn.Module):
    """A branch that reads a small face: bicubic enlargement without overshoot, then the branch."""

    def __init__(self, network: MakeupBranches, name: str, times: int = ENLARGEMENT) -> None:
        super().__init__()
        self.branch = Method(network, name)
        self.times = times

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        large = functional.interpolate(
            image, scale_factor=self.times, mode="bicubic", align_corners=False
        )
        result: Tensor = self.branch(large.clamp(-HALF_RANGE, HALF_RANGE))
        return result


class _MadeUp(nn.Module):
    """PSGAN's second half with the features that super-resolution reads."""

    def __init__(self, network: MakeupBranches) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        made_up = self.network.apply_makeup(features, gamma, beta)
        return made_up, self.network.render(made_up)


class _Detail(nn.Module):
    """Prior and super-resolution as one graph, whose detail is BGR."""

    def __init__(self, network: MobileSuperResolution) -> None:
        super().__init__()
        self.network = deepcopy(network).eval()
        reorder_inputs(self.network.prior.stem[0])
        module = self.network.super_resolution
        read_pixels(module.pixels)
        shuffled = module.last.weight.detach().unflatten(0, (3, -1))
        module.last.weight = nn.Parameter(shuffled.flip(0).flatten(0, 1))

    def forward(self, made_up: Tensor, blurry: Tensor, image: Tensor) -> Tensor:
        return self.network.sharpen(made_up, blurry, image)


def _super_resolve(
    network: PSGANGenerator, run: Run, source: AlignedFace, reference: AlignedFace
) -> Array:
    encoded = [
        run(name, {"image": _small_pixels(face)})
        for name, face in (("source", source), ("reference", reference))
    ]
    decoded = run("decoder", decoder_inputs(network, encoded, [source, reference]))
    prior = run("prior", {"blurry": decoded["blurry"]})["prior"]
    inputs = {"prior": prior, "made_up": decoded["made_up"]}
    return run("super_resolution", inputs)["result"][0]


def _sharpen(
    network: PSGANGenerator, run: Run, source: AlignedFace, reference: AlignedFace
) -> Array:
    image = functional.avg_pool2d(torch.from_numpy(pixels(source)), HALF).numpy()
    encoded = [run("source", {"image": image}), run("reference", {"image": pixels(reference)})]
    decoded = run("decoder", decoder_inputs(network, encoded, [source, reference]))
    detail = run("super_resolution", {**decoded, "image": image})["detail"]
    return _above(decoded["blurry"][0], detail[0])


def _above(blurry: Array, detail: Array) -> Array:
    """(3, S, S) and (3, 2S, 2S), whose rows are cut in two, as one: (3, 5S, S)."""
    return np.concatenate([blurry, detail.reshape(3, -1, blurry.shape[-1])], axis=1)


def _small_pixels(face: AlignedFace) -> Array:
    side = face.image.shape[0] // ENLARGEMENT
    small = cv2.resize(face.image, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return pixels(AlignedFace(face.name, small, face.landmarks, face.parsing))


def _small(face: AlignedFace) -> FaceBatch:
    image = torch.from_numpy(np.ascontiguousarray(_small_pixels(face)[:, ::-1])) / HALF_RANGE
    return face_batch(face).with_image(image)
