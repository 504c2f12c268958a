"""The manifest fields of every exported bundle."""

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
        mean, scale: for all three channels; graphs read (BGR pixel - mean) * scale.
        graphs: file, inputs and outputs by graph name.
        weights: licence, training data and other facts about the weights.
        constants: values that the runtime needs besides the graphs.
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
