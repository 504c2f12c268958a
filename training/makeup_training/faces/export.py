"""Write the trained networks as bundles: ONNX graphs (weights stored in half precision) and
manifests.

    python -m makeup_training.faces.export --detector detector.pt --landmarks landmarks.pt --out DIR
    python -m makeup_training.faces.export --lips lips.pt --out DIR

The lip net goes into the bundle of the landmark + region net, beside which it was trained.
"""

import argparse
import hashlib
import io
import json
import platform
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from makeup_kernels.geometry import MOUTH_LOGITS, MOUTH_PIXELS
from makeup_training.faces.networks import (
    REGIONS,
    STRIDES,
    FaceDetector,
    LandmarkRegionNet,
    LipNet,
)

OPSET = 17
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
    parser.add_argument("--landmarks", type=Path, help="checkpoint of train_landmarks or steady")
    parser.add_argument("--lips", type=Path, help="checkpoint of train_lips")
    parser.add_argument("--out", type=Path, required=True, help="folder of the two bundles")
    parser.add_argument("--metrics", type=Path, help="benchmarks/results/faces.json to quote")
    options = parser.parse_args()
    metrics = json.loads(options.metrics.read_text()) if options.metrics else {}
    if options.detector:
        export_detector(options.detector, options.out / "face_detector", metrics)
    if options.landmarks:
        export_landmarks(options.landmarks, options.out / "face_landmarks_regions", metrics)
    if options.lips:
        export_lips(options.lips, options.out / "face_landmarks_regions", metrics)


class _ScoredDetector(nn.Module):
    """The detector with its three levels side by side: (B, 5, N) in the order of `STRIDES`."""

    def __init__(self, network: FaceDetector) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([level.flatten(2) for level in self.network(image)], dim=2)


class _ScoredLandmarks(nn.Module):
    """The landmark + region net with its confidence as a probability."""

    def __init__(self, network: LandmarkRegionNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        landmarks, confidence, regions = self.network(image)
        return landmarks, confidence.sigmoid(), regions


def export_detector(checkpoint: Path, folder: Path, metrics: dict[str, Any]) -> None:
    """Bundle `face_detector`: image float32 (1, 3, H, W) to cells float32 (1, 5, N)."""
    saved = torch.load(checkpoint, weights_only=True)
    network = FaceDetector(saved["width"])
    network.load_state_dict(saved["average"])
    dynamic = {"image": {2: "height", 3: "width"}, "cells": {2: "count"}}
    example = torch.zeros(1, 3, 192, 320)
    model = _onnx(_ScoredDetector(network), (example,), ["cells"], dynamic)
    graph = {
        "file": "model.onnx",
        "inputs": [{"name": "image", "dtype": "float32", "shape": [1, 3, "height", "width"]}],
        "outputs": [{"name": "cells", "dtype": "float32", "shape": [1, 5, "count"]}],
    }
    manifest = bundle_manifest(
        "face_detector",
        graphs={"model": graph},
        constants={"long_side": 320, "strides": list(STRIDES)},
        weights={
            "training_data": list(TRAINING_DATA),
            "teachers": [BOX_TEACHER],
            "steps": saved["step"],
            "metrics": {k: metrics[k] for k in ("detector",) if k in metrics},
        },
    )
    write_graphs(folder, {"model.onnx": model}, manifest)


def export_landmarks(checkpoint: Path, folder: Path, metrics: dict[str, Any]) -> None:
    """Bundle `face_landmarks_regions`: face crops to landmarks, scores and region logits."""
    saved = torch.load(checkpoint, weights_only=True)
    size = saved["size"]
    network = LandmarkRegionNet(saved["width"])
    network.load_state_dict(saved["average"])
    names = ["landmarks", "score", "regions"]
    dynamic = {name: {0: "batch"} for name in ("image", *names)}
    model = _onnx(_ScoredLandmarks(network), (torch.zeros(1, 3, size, size),), names, dynamic)
    graph = {
        "file": "model.onnx",
        "inputs": [{"name": "image", "dtype": "float32", "shape": ["batch", 3, size, size]}],
        "outputs": [
            {"name": "landmarks", "dtype": "float32", "shape": ["batch", 68, 2]},
            {"name": "score", "dtype": "float32", "shape": ["batch"]},
            {"name": "regions", "dtype": "float32", "shape": ["batch", 5, size, size]},
        ],
    }
    manifest = bundle_manifest(
        "face_landmarks_regions",
        graphs={"model": graph},
        constants={"size": size},
        weights={
            "training_data": [*TRAINING_DATA, SFHQ],
            "teachers": [LANDMARK_TEACHER, REGION_TEACHER],
            "steps": saved["step"],
            "steady_steps": saved.get("steady_steps", 0),
            "metrics": {
                k: metrics[k] for k in ("landmarks", "regions", "occluders") if k in metrics
            },
        },
    )
    write_graphs(folder, {"model.onnx": model}, manifest)


def export_lips(checkpoint: Path, folder: Path, metrics: dict[str, Any]) -> None:
    """Add the graph `lips` to the bundle `face_landmarks_regions`: see `LipNet`."""
    manifest = json.loads((folder / "manifest.json").read_text())
    saved = torch.load(checkpoint, weights_only=True)
    network = LipNet()
    network.load_state_dict(saved["average"])
    shapes = {
        name: [rows.stop - rows.start, columns.stop - columns.start]
        for name, (rows, columns) in (("image", MOUTH_PIXELS), ("regions", MOUTH_LOGITS))
    }
    image, regions = ["batch", 3, *shapes["image"]], ["batch", REGIONS, *shapes["regions"]]
    examples = torch.zeros(1, *image[1:]), torch.zeros(1, *regions[1:])
    dynamic = {name: {0: "batch"} for name in ("image", "regions", "lips")}
    manifest["graphs"]["lips"] = {
        "file": "lips.onnx",
        "inputs": [
            {"name": "image", "dtype": "float32", "shape": image},
            {"name": "regions", "dtype": "float32", "shape": regions},
        ],
        "outputs": [{"name": "lips", "dtype": "float32", "shape": ["batch", *shapes["regions"]]}],
    }
    manifest["weights"] |= {"lip_steps": saved["step"]}
    manifest["weights"]["metrics"] |= {
        k: metrics[k] for k in ("regions", "occluders") if k in metrics
    }
    files = {
        "model.onnx": (folder / "model.onnx").read_bytes(),
        "lips.onnx": _onnx(network, examples, ["lips"], dynamic, ["image", "regions"]),
    }
    write_graphs(folder, files, manifest)


def store_in_half_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep the weights as float16 with a Cast behind each; the arithmetic stays float32.

    Halves the file; run times fold the casts away when they load the graph.
    """
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < 256:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    return model


def _onnx(
    network: nn.Module,
    examples: tuple[Tensor, ...],
    outputs: list[str],
    dynamic: dict[str, dict[int, str]],
    inputs: Sequence[str] = ("image",),
) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            examples,
            buffer,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes=dynamic,
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    return bytes(store_in_half_precision(model).SerializeToString())


def bundle_manifest(
    model: str,
    *,
    graphs: dict[str, Any],
    constants: dict[str, Any],
    weights: dict[str, Any],
) -> dict[str, Any]:
    """A manifest (`makeup_engines.manifest`) for BGR pixels in [0, 1], but for its files."""
    return {
        "schema": 1,
        "model": model,
        "precision": "fp32",
        "target": "onnx",
        "color": "bgr",
        "normalization": {"mean": [0, 0, 0], "scale": [1 / 255, 1 / 255, 1 / 255]},
        "graphs": graphs,
        "files": {},
        "tools": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnx": onnx.__version__,
        },
        "weights": {"licence": "Apache-2.0"} | weights,
        "constants": constants,
    }


def write_graphs(folder: Path, files: dict[str, bytes], manifest: dict[str, Any]) -> None:
    """Write graphs and their manifest, with their hashes in it."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    for name, data in files.items():
        (folder / name).write_bytes(data)
        print(f"{folder / name}: {len(data) / 1e6:.2f} MB")
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
