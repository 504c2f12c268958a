"""PSGAN and its pose-corrected variant; parts shared with the low-resolution one."""

from collections.abc import Mapping
from copy import deepcopy
from functools import partial

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
    reorder_outputs,
    rewrite_transposed,
)
from makeup_kernels import attentive_morph
from makeup_training.networks.inputs import FEATURE_STRIDE
from makeup_training.networks.psgan import MakeupBranches, PSGANGenerator
from makeup_training.networks.psgan_pose import PoseCorrectedGenerator, pose_correction
from makeup_training.networks.warp import reduce_grid, sample


def psgan_graphs(network: PSGANGenerator, size: int) -> ModelGraphs:
    """Source, reference and decoder; the attentive morph kernel runs between them."""
    prepared = prepared_branches(network)
    image, features, maps = example_inputs(network, size)
    return ModelGraphs(
        "psgan",
        size,
        {
            "reference": reference_graph(Method(prepared, "encode_reference"), image),
            "source": source_graph(Method(prepared, "encode_source"), image),
            "decoder": GraphModule(
                Method(prepared, "decode"), {"features": features, **maps}, ("result",), "frame"
            ),
        },
        partial(_morph_and_decode, network),
        lambda source, reference: bgr(network(face_batch(source), face_batch(reference))),
        attention_constants(network),
    )


def psgan_pose_graphs(network: PoseCorrectedGenerator, size: int) -> ModelGraphs:
    """One graph; its inputs include the grid and mask (`pose_correction`).

    If the maps are warped: PSGAN's three graphs, with the warp between them.
    """
    prepared = prepared_branches(network)
    if network.warp == "maps":
        return _warped_maps_graphs(network, prepared, size)
    image, _, _ = example_inputs(network, size)
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
    image, features, maps = example_inputs(network, size)

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
            "reference": reference_graph(Method(prepared, "encode_reference"), image),
            "source": source_graph(Method(prepared, "encode_source"), image),
            "decoder": GraphModule(
                Method(prepared, "decode"), {"features": features, **maps}, ("result",), "frame"
            ),
        },
        make_up,
        lambda source, reference: bgr(network(face_batch(source), face_batch(reference))),
        {"warp": network.warp, "pixel_stride": FEATURE_STRIDE},
    )


def prepared_branches(network: MakeupBranches) -> MakeupBranches:
    prepared = deepcopy(network).eval()
    read_pixels(prepared.pnet_in[0])
    read_pixels(prepared.tnet_in_conv)
    reorder_outputs(prepared.tnet_out[0])
    prepared.tnet_out[0] = BlockOutput(prepared.tnet_out[0])
    rewrite_transposed(prepared)
    return prepared


def example_inputs(network: MakeupBranches, size: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    side = size // FEATURE_STRIDE
    image = (torch.rand(2, 3, size, size) * 2 - 1) * HALF_RANGE
    maps = {name: torch.randn(2, network.maps, side, side) for name in ("gamma", "beta")}
    return image, torch.randn(2, 4 * network.width, side, side), maps


def reference_graph(module: nn.Module, image: Tensor) -> GraphModule:
    return GraphModule(module, {"image": image}, ("features", "gamma", "beta"), "look")


def source_graph(module: nn.Module, image: Tensor) -> GraphModule:
    return GraphModule(module, {"image": image}, ("features",), "frame")


def attention_constants(network: PSGANGenerator) -> dict[str, float]:
    return {
        "visual_weight": network.visual_weight,
        "temperature": network.temperature,
        "pixel_stride": FEATURE_STRIDE,
    }


def decoder_inputs(
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
    return run("decoder", decoder_inputs(network, encoded, [source, reference]))["result"][0]
