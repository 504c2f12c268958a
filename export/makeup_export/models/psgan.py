"""PSGAN, and its low-resolution and pose-corrected variants."""

from collections.abc import Mapping
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
from makeup_export.rewrites import (
    HALF_RANGE,
    BlockOutput,
    read_pixels,
    reorder_inputs,
    reorder_outputs,
    rewrite_transposed,
)
from makeup_kernels import attentive_morph
from makeup_training.networks.inputs import FEATURE_STRIDE, FaceBatch
from makeup_training.networks.psgan import MakeupBranches, PSGANGenerator
from makeup_training.networks.psgan_pose import PoseCorrectedGenerator, pose_correction
from makeup_training.networks.psgan_sr import ENLARGEMENT, PSGANSuperResolution
from makeup_training.networks.warp import reduce_grid, sample


def psgan_graphs(network: PSGANGenerator, size: int) -> ModelGraphs:
    """Source, reference and decoder; the attentive morph kernel runs between them."""
    prepared = _prepared(network)
    image, features, maps = _examples(network, size)
    return ModelGraphs(
        "psgan",
        size,
        {
            "reference": _reference(Method(prepared, "encode_reference"), image),
            "source": _source(Method(prepared, "encode_source"), image),
            "decoder": GraphModule(
                Method(prepared, "decode"), {"features": features, **maps}, ("result",), "frame"
            ),
        },
        partial(_morph_and_decode, network),
        lambda source, reference: bgr(network(face_batch(source), face_batch(reference))),
        _constants(network),
    )


def psgan_sr_graphs(network: PSGANSuperResolution, size: int) -> ModelGraphs:
    """PSGAN's three graphs on enlarged small faces, then prior and super-resolution."""
    makeup = _prepared(network.makeup)
    prior, super_resolution = deepcopy(network.prior).eval(), deepcopy(network.super_resolution)
    reorder_inputs(prior.stem[0])
    reorder_outputs(super_resolution.eval().body[-2])
    super_resolution.body[-2] = BlockOutput(super_resolution.body[-2])
    rewrite_transposed(super_resolution)
    image, features, maps = _examples(makeup, size)
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
            "reference": _reference(_Enlarged(makeup, "encode_reference"), small),
            "source": _source(_Enlarged(makeup, "encode_source"), small),
            "decoder": GraphModule(
                _MadeUp(makeup), {"features": features, **maps}, ("made_up", "blurry"), "frame"
            ),
            "prior": GraphModule(prior, {"blurry": image / HALF_RANGE}, ("prior",), "frame"),
            "super_resolution": GraphModule(super_resolution, examples, ("result",), "frame"),
        },
        partial(_super_resolve, network.makeup),
        lambda source, reference: bgr(network(_small(source), _small(reference)).image),
        {**_constants(network.makeup), "enlargement": ENLARGEMENT},
    )


def psgan_pose_graphs(network: PoseCorrectedGenerator, size: int) -> ModelGraphs:
    """One graph; its inputs include the grid and mask (`pose_correction`).

    If the maps are warped: PSGAN's three graphs, with the warp between them.
    """
    prepared = _prepared(network)
    if network.warp == "maps":
        return _warped_maps_graphs(network, prepared, size)
    image, _, _ = _examples(network, size)
    inputs = {
        "image": image,
        "reference": image.flip(0),
        "grid": torch.rand(2, size, size, 2) * 2 - 1,
        "mask": (torch.rand(2, 1, size, size) > 0.5).float(),
    }

    def make_up(run: Run, source: AlignedFace, reference: AlignedFace) -> Array:
        grid, mask = pose_correction(face_batch(source), face_batch(reference))
        arrays = {
            "image": pixels(source),
            "reference": pixels(reference),
            "grid": grid.numpy(),
            "mask": mask.numpy(),
        }
        return run("whole", arrays)["result"][0]

    return ModelGraphs(
        "psgan-pose",
        size,
        {"whole": GraphModule(Method(prepared, "transfer"), inputs, ("result",), "frame")},
        make_up,
        lambda source, reference: bgr(network(face_batch(source), face_batch(reference))),
        {"warp": network.warp},
    )


def _warped_maps_graphs(
    network: PoseCorrectedGenerator, prepared: MakeupBranches, size: int
) -> ModelGraphs:
    image, features, maps = _examples(network, size)

    def make_up(run: Run, source: AlignedFace, reference: AlignedFace) -> Array:
        grid, mask = pose_correction(face_batch(source), face_batch(reference))
        grid, mask = reduce_grid(grid, FEATURE_STRIDE), functional.avg_pool2d(mask, FEATURE_STRIDE)
        inputs: dict[str, Array] = dict(run("source", {"image": pixels(source)}))
        encoded = run("reference", {"image": pixels(reference)})
        for name in ("gamma", "beta"):
            inputs[name] = (sample(torch.from_numpy(encoded[name]), grid) * mask).numpy()
        return run("decoder", inputs)["result"][0]

    return ModelGraphs(
        "psgan-pose",
        size,
        {
            "reference": _reference(Method(prepared, "encode_reference"), image),
            "source": _source(Method(prepared, "encode_source"), image),
            "decoder": GraphModule(
                Method(prepared, "decode"), {"features": features, **maps}, ("result",), "frame"
            ),
        },
        make_up,
        lambda source, reference: bgr(network(face_batch(source), face_batch(reference))),
        {"warp": network.warp, "pixel_stride": FEATURE_STRIDE},
    )


class _Enlarged(nn.Module):
    """A branch that reads a small face: enlarges it bicubically without overshoot first."""

    def __init__(self, network: MakeupBranches, name: str) -> None:
        super().__init__()
        self.branch = Method(network, name)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        large = functional.interpolate(
            image, scale_factor=ENLARGEMENT, mode="bicubic", align_corners=False
        )
        result: Tensor = self.branch(large.clamp(-HALF_RANGE, HALF_RANGE))
        return result


class _MadeUp(nn.Module):
    """PSGAN's decoder, with the features that super-resolution reads."""

    def __init__(self, network: MakeupBranches) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        made_up = self.network.apply_makeup(features, gamma, beta)
        return made_up, self.network.render(made_up)


def _prepared(network: MakeupBranches) -> MakeupBranches:
    prepared = deepcopy(network).eval()
    read_pixels(prepared.pnet_in[0])
    read_pixels(prepared.tnet_in_conv)
    reorder_outputs(prepared.tnet_out[0])
    prepared.tnet_out[0] = BlockOutput(prepared.tnet_out[0])
    rewrite_transposed(prepared)
    return prepared


def _examples(network: MakeupBranches, size: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    side = size // FEATURE_STRIDE
    image = (torch.rand(2, 3, size, size) * 2 - 1) * HALF_RANGE
    maps = {name: torch.randn(2, network.maps, side, side) for name in ("gamma", "beta")}
    return image, torch.randn(2, 4 * network.width, side, side), maps


def _reference(module: nn.Module, image: Tensor) -> GraphModule:
    return GraphModule(module, {"image": image}, ("features", "gamma", "beta"), "look")


def _source(module: nn.Module, image: Tensor) -> GraphModule:
    return GraphModule(module, {"image": image}, ("features",), "frame")


def _constants(network: PSGANGenerator) -> dict[str, float]:
    return {
        "visual_weight": network.visual_weight,
        "temperature": network.temperature,
        "pixel_stride": FEATURE_STRIDE,
    }


def _warped(
    network: PSGANGenerator, encoded: list[Mapping[str, Array]], faces: list[AlignedFace]
) -> dict[str, Array]:
    """Decoder inputs: the source's features and the reference's maps, warped onto the source."""
    source, reference = encoded
    small = [
        np.ascontiguousarray(face.regions[::FEATURE_STRIDE, ::FEATURE_STRIDE]) for face in faces
    ]
    maps = attentive_morph(
        source["features"][0],
        reference["features"][0],
        faces[0].landmarks,
        faces[1].landmarks,
        *small,
        np.concatenate([reference["gamma"][0], reference["beta"][0]]),
        visual_weight=network.visual_weight,
        temperature=network.temperature,
        pixel_stride=FEATURE_STRIDE,
    )
    gamma, beta = np.split(maps[None], 2, axis=1)
    return {"features": source["features"], "gamma": gamma, "beta": beta}


def _morph_and_decode(
    network: PSGANGenerator,
    run: Run,
    source: AlignedFace,
    reference: AlignedFace,
) -> Array:
    encoded = [
        run("source", {"image": pixels(source)}),
        run("reference", {"image": pixels(reference)}),
    ]
    return run("decoder", _warped(network, encoded, [source, reference]))["result"][0]


def _super_resolve(
    network: PSGANGenerator, run: Run, source: AlignedFace, reference: AlignedFace
) -> Array:
    encoded = [
        run(name, {"image": _small_pixels(face)})
        for name, face in (("source", source), ("reference", reference))
    ]
    decoded = run("decoder", _warped(network, encoded, [source, reference]))
    prior = run("prior", {"blurry": decoded["blurry"]})["prior"]
    inputs = {"prior": prior, "made_up": decoded["made_up"]}
    return run("super_resolution", inputs)["result"][0]


def _small_pixels(face: AlignedFace) -> Array:
    side = face.image.shape[0] // ENLARGEMENT
    small = cv2.resize(face.image, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return pixels(AlignedFace(face.name, small, face.landmarks, face.parsing))


def _small(face: AlignedFace) -> FaceBatch:
    image = torch.from_numpy(np.ascontiguousarray(_small_pixels(face)[:, ::-1])) / HALF_RANGE
    return face_batch(face).with_image(image)
