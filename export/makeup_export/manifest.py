"""What every exported bundle says of itself."""

import platform
from collections.abc import Mapping
from typing import Any

import onnx
import onnxruntime
import torch


def manifest_fields(
    model: str,
    *,
    precision: str,
    mean: float,
    scale: float,
    graphs: Mapping[str, Any],
    weights: Mapping[str, Any],
    constants: Mapping[str, Any],
) -> dict[str, Any]:
    """A manifest (`makeup_engines.manifest`) without schema and files, which `write_bundle` adds.

    Args:
        model: its name.
        precision: "fp32", "fp16" or "int8".
        mean, scale: of all three channels; graphs read (BGR pixel - mean) * scale.
        graphs: file, inputs and outputs by name of the graph.
        weights: licence, training data and what else is known of the weights.
        constants: what the run time needs beside the graphs.
    """
    return {
        "model": model,
        "precision": precision,
        "target": "onnx",
        "color": "bgr",
        "normalization": {"mean": [mean] * 3, "scale": [scale] * 3},
        "graphs": graphs,
        "tools": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
        },
        "weights": weights,
        "constants": constants,
    }
