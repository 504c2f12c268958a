"""Write trained `mobile` networks as a bundle.

    python -m makeup_training.mobile.export --run DIR --out DIR

Two graphs take pixels, region maps and landmarks as the face analysis gives them; weights are
stored in half precision.
"""

import argparse
import hashlib
import io
import json
import platform
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from makeup_kernels import CROP_SIZE
from makeup_sdk.makeup.codes import GRID
from makeup_sdk.models.mobile.layout import CHANGE_GRIDS
from makeup_training.mobile.model import PARTS, Mobile
from makeup_training.mobile.networks import CHANGE, CODES

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
CHANNEL_BLOCK = 16


class _Reading(nn.Module):
    """uint8 crop, region map and landmarks to codes."""

    def __init__(self, network: Mobile) -> None:
        super().__init__()
        self.reader = network.reader

    def forward(self, image: Tensor, regions: Tensor, landmarks: Tensor) -> Tensor:
        codes: Tensor = self.reader(_pixels(image), regions, landmarks)
        return codes


class _Painting(nn.Module):
    """uint8 crop and region map, and laid codes, to the changes in pixel values."""

    def __init__(self, network: Mobile) -> None:
        super().__init__()
        self.painter = network.painter

    def forward(self, image: Tensor, regions: Tensor, codes: Tensor) -> tuple[Tensor, ...]:
        scale = torch.tensor([1.0] * 3 + [255.0] * 3).view(1, CHANGE, 1, 1)
        changes = self.painter(_pixels(image), regions, codes)
        return tuple(change * scale for change in changes)


def _pixels(image: Tensor) -> Tensor:
    return image.permute(0, 3, 1, 2).float() * (1 / 255)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--metrics", type=Path, help="benchmarks/results/quality.json to quote")
    options = parser.parse_args()
    metrics = json.loads(options.metrics.read_text()) if options.metrics else {}
    export(options.run, options.out, metrics)


def export(run: Path, folder: Path, metrics: dict[str, Any]) -> None:
    """Bundle `mobile`: graphs `reader` and `painter`, for any number of faces."""
    network = Mobile.load(run)
    image = torch.zeros(1, CROP_SIZE, CROP_SIZE, 3, dtype=torch.uint8)
    regions = torch.zeros(1, CROP_SIZE, CROP_SIZE, dtype=torch.uint8)
    landmarks = torch.zeros(1, 68, 2)
    codes = torch.zeros(1, CODES, GRID, GRID)
    pixels = {"name": "image", "dtype": "uint8", "shape": ["batch", *image.shape[1:]]}
    map_ = {"name": "regions", "dtype": "uint8", "shape": ["batch", *regions.shape[1:]]}
    points = {"name": "landmarks", "dtype": "float32", "shape": ["batch", *landmarks.shape[1:]]}
    laid = {"name": "codes", "dtype": "float32", "shape": ["batch", *codes.shape[1:]]}
    changes = [
        {"name": part, "dtype": "float32", "shape": ["batch", CHANGE, grid.rows, grid.columns]}
        for part, grid in CHANGE_GRIDS.items()
    ]
    graphs = {
        "reader": {"file": "reader.onnx", "inputs": [pixels, map_, points], "outputs": [laid]},
        "painter": {"file": "painter.onnx", "inputs": [pixels, map_, laid], "outputs": changes},
    }
    files = {
        "reader.onnx": _onnx(_Reading(network), (image, regions, landmarks), graphs["reader"]),
        "painter.onnx": _onnx(_Painting(network), (image, regions, codes), graphs["painter"]),
    }
    weights = {
        "training_data": [*TRAINING_DATA, SFHQ],
        "teachers": [
            LANDMARK_TEACHER,
            REGION_TEACHER,
            "makeup_training.cosmetics: the renderer that paints the training samples",
        ],
        "steps": {part: _steps(run / f"{part}.pt") for part in PARTS},
        "metrics": metrics,
    }
    manifest = bundle_manifest("mobile", graphs=graphs, constants={}, weights=weights)
    write_graphs(folder, files, manifest)


def _steps(checkpoint: Path) -> int:
    return int(torch.load(checkpoint, weights_only=True)["step"])


def _onnx(network: nn.Module, example: tuple[Tensor, ...], graph: dict[str, Any]) -> bytes:
    names = [tensor["name"] for tensor in graph["inputs"]]
    outputs = [tensor["name"] for tensor in graph["outputs"]]
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            example,
            buffer,
            input_names=names,
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in names + outputs},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    fill_blocks(model)
    return bytes(store_in_half_precision(model).SerializeToString())


def fill_blocks(model: onnx.ModelProto) -> None:
    """Give convolutions of joined maps whole blocks of them, with weights of 0 for what is added.

    ONNX Runtime's fast convolutions take channels by 16; a joined map of the right width is given
    once more.
    """
    inferred = onnx.shape_inference.infer_shapes(model).graph
    widths = {
        value.name: value.type.tensor_type.shape.dim[1].dim_value
        for value in (*inferred.input, *inferred.value_info)
        if len(value.type.tensor_type.shape.dim) == 4
    }
    makers = {node.output[0]: node for node in model.graph.node}
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        joined = makers.get(node.input[0]) if node.op_type == "Conv" else None
        if joined is None or joined.op_type != "Concat":
            continue
        kernel = numpy_helper.to_array(weights[node.input[1]])
        missing = -kernel.shape[1] % CHANNEL_BLOCK
        again = [name for name in joined.input if widths.get(name) == missing]
        if kernel.shape[1] > CHANNEL_BLOCK and again:
            joined.input.append(again[0])
            wide = np.pad(kernel, ((0, 0), (0, missing), (0, 0), (0, 0)))
            weights[node.input[1]].CopyFrom(numpy_helper.from_array(wide, node.input[1]))
    del model.graph.value_info[:]


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
