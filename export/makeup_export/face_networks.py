"""Export the face analysis networks as bundles, with weights stored in half precision.

    python -m makeup_export.face_networks --detector detector.pt --out DIR
    python -m makeup_export.face_networks --landmarks landmarks.pt --lips lips.pt --out DIR

The lip net goes into the bundle of the landmark and region net that it was trained with.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from makeup_engines import write_bundle
from makeup_export.half import store_in_half_precision
from makeup_export.manifest import manifest_fields
from makeup_export.onnx_graphs import traced_onnx
from makeup_export.parity import graph_spec
from makeup_kernels.geometry import MOUTH_LOGITS, MOUTH_PIXELS
from makeup_training.faces.networks import (
    REGIONS,
    STRIDES,
    FaceDetector,
    LandmarkRegionNet,
    LipNet,
)

TRAINING_DATA = (
    {
        "name": "faker-js/assets-person-portrait (AI-generated portraits)",
        "source": "https://github.com/faker-js/assets-person-portrait",
        "licence": "CC0-1.0",
    },
    {
        "name": "SFHQ-T2I dataset (AI-generated portraits)",
        "source": "https://github.com/SelfishGene/SFHQ-T2I-dataset",
        "licence": "MIT",
    },
)
SFHQ = {
    "name": "SFHQ dataset (AI-generated portraits)",
    "source": "https://github.com/SelfishGene/SFHQ-dataset",
    "licence": "MIT",
}
LANDMARK_TEACHER = "MediaPipe face_landmarks_detector (Google, Apache-2.0): labels of the 68 points"
REGION_TEACHER = (
    "region labels: the landmark mesh, MediaPipe hair_segmentation and selfie_segmentation "
    "(Google, Apache-2.0)"
)
BOX_TEACHER = "YuNet (Shiqi Yu, Apache-2.0): labels of the boxes"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", type=Path, help="checkpoint of train_detector")
    parser.add_argument(
        "--landmarks", type=Path, help="checkpoint of train_landmarks or finetune_landmarks"
    )
    parser.add_argument("--lips", type=Path, help="checkpoint of train_lips, beside --landmarks")
    parser.add_argument("--out", type=Path, required=True, help="folder of the two bundles")
    parser.add_argument("--metrics", type=Path, help="benchmarks/results/faces.json to quote")
    options = parser.parse_args()
    metrics = json.loads(options.metrics.read_text()) if options.metrics else {}
    if options.detector:
        export_detector(options.detector, options.out / "face_detector", metrics)
    if options.landmarks:
        folder = options.out / "face_landmarks_regions"
        export_landmarks(options.landmarks, options.lips, folder, metrics)


class _ScoredDetector(nn.Module):
    """The detector with its three levels concatenated: (B, 5, N) in the order of `STRIDES`."""

    def __init__(self, network: FaceDetector) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([level.flatten(2) for level in self.network(image)], dim=2)


class _ScoredLandmarks(nn.Module):
    """The landmark and region net with its confidence as a probability."""

    def __init__(self, network: LandmarkRegionNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        landmarks, confidence, regions = self.network(image)
        return landmarks, confidence.sigmoid(), regions


def export_detector(checkpoint: Path, folder: Path, metrics: Mapping[str, Any]) -> None:
    """Bundle `face_detector`: image float32 (1, 3, H, W) to cells float32 (1, 5, N).

    Raises:
        BundleError: the path exists.
    """
    saved = torch.load(checkpoint, weights_only=True)
    network = FaceDetector(saved["width"])
    network.load_state_dict(saved["average"])
    free = {"image": {2: "height", 3: "width"}, "cells": {2: "count"}}
    examples = {"image": torch.zeros(1, 3, 192, 320)}
    weights = _weights(TRAINING_DATA, [BOX_TEACHER], saved["step"], metrics, ("detector",))
    graph = traced_onnx(_ScoredDetector(network), examples, ["cells"], free)
    constants = {"long_side": 320, "strides": list(STRIDES)}
    _write(folder, "face_detector", {"model": graph}, weights, constants)


def export_landmarks(
    checkpoint: Path, lips: Path | None, folder: Path, metrics: Mapping[str, Any]
) -> None:
    """Bundle `face_landmarks_regions`: face crops to landmarks, scores and region logits.

    Args:
        checkpoint: of `train_landmarks` or of its finetuning.
        lips: checkpoint of `train_lips`, for the graph `lips` (see `LipNet`).
        folder: of the bundle.
        metrics: figures to quote, by part.

    Raises:
        BundleError: the path exists.
    """
    saved = torch.load(checkpoint, weights_only=True)
    size = saved["size"]
    network = LandmarkRegionNet(saved["width"])
    network.load_state_dict(saved["average"])
    weights = _weights(
        [*TRAINING_DATA, SFHQ],
        [LANDMARK_TEACHER, REGION_TEACHER],
        saved["step"],
        metrics,
        ("landmarks", "regions", "occluders"),
    )
    weights["finetuning_steps"] = saved.get("finetuning_steps", 0)
    names = ["landmarks", "score", "regions"]
    free = {name: {0: "batch"} for name in ("image", *names)}
    examples = {"image": torch.zeros(1, 3, size, size)}
    graphs = {"model": traced_onnx(_ScoredLandmarks(network), examples, names, free)}
    if lips is not None:
        saved = torch.load(lips, weights_only=True)
        weights["lip_steps"] = saved["step"]
        graphs["lips"] = _lips(saved["average"])
    _write(folder, "face_landmarks_regions", graphs, weights, {"size": size})


def _lips(weights: Mapping[str, Tensor]) -> onnx.ModelProto:
    """The graph `lips`."""
    network = LipNet()
    network.load_state_dict(weights)
    shapes = [
        (rows.stop - rows.start, columns.stop - columns.start)
        for rows, columns in (MOUTH_PIXELS, MOUTH_LOGITS)
    ]
    examples = {
        "image": torch.zeros(1, 3, *shapes[0]),
        "regions": torch.zeros(1, REGIONS, *shapes[1]),
    }
    free = {name: {0: "batch"} for name in ("image", "regions", "lips")}
    return traced_onnx(network, examples, ["lips"], free)


def _weights(
    data: Sequence[Mapping[str, str]],
    teachers: Sequence[str],
    steps: int,
    metrics: Mapping[str, Any],
    quoted: Sequence[str],
) -> dict[str, Any]:
    """The manifest's entry for the weights."""
    return {
        "licence": "Apache-2.0",
        "training_data": list(data),
        "teachers": list(teachers),
        "steps": steps,
        "metrics": {name: metrics[name] for name in quoted if name in metrics},
    }


def _write(
    folder: Path,
    model: str,
    graphs: Mapping[str, onnx.ModelProto],
    weights: Mapping[str, Any],
    constants: Mapping[str, Any],
) -> None:
    files = {f"{name}.onnx": store_in_half_precision(graph) for name, graph in graphs.items()}
    specs = {
        name: asdict(graph_spec(files[f"{name}.onnx"], f"{name}.onnx", "frame")) for name in graphs
    }
    manifest = manifest_fields(
        model,
        precision="fp32",
        mean=0,
        scale=1 / 255,
        graphs=specs,
        weights=weights,
        constants=constants,
    )
    write_bundle(folder, manifest, {n: graph.SerializeToString() for n, graph in files.items()})


if __name__ == "__main__":
    main()
