"""Wide convolutions by Winograd's fast algorithm, as plain matrix products.

A tile of 4×4 outputs needs 144 products with a 3×3 kernel, but only 36 in the form
outputs · ((kernel · w) ∘ (inputs · x)), with the matrices of Toom and Cook (Lavin and Gray, Fast
algorithms for convolutional neural networks, 2016). CPU runtimes do not do this themselves; GPU
libraries do. The file keeps the trained kernels; runtimes fold their transform when they load it.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

from makeup_export.onnx_graphs import plain

_TILE = 4
_POINTS = (0.0, 0.5, 1.5, -1.5, -0.75)
"""Evaluation points besides infinity: of many tried, these have the smallest rounding error."""

_LEAST_CHANNELS = 128
"""With fewer channels, moving tiles costs more than the saved products."""


def fast_convolutions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with its wide 2×2 and 3×3 convolutions in the fast form."""
    inferred = shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
    }
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    writer = _Writer()
    for node in model.graph.node:
        layer = _layer(node, weights, shapes) if node.op_type == "Conv" else None
        if layer is None:
            writer.nodes.append(node)
        else:
            writer.convolution(node, layer)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    result.graph.node.extend(writer.nodes)
    result.graph.initializer.extend(writer.constants.values())
    return plain(result)


@dataclass(frozen=True)
class _Layer:
    """A convolution that can use the fast form.

    Attributes:
        channels: in and out.
        taps: side of the kernel.
        size: height and width of the input.
        start: padding above and on the left.
        tiles: rows and columns of output tiles.
    """

    channels: tuple[int, int]
    taps: int
    size: tuple[int, int]
    start: tuple[int, int]
    tiles: tuple[int, int]


def _layer(
    node: onnx.NodeProto, weights: dict[str, list[int]], shapes: dict[str, list[int]]
) -> _Layer | None:
    if node.input[1] not in weights:
        return None
    outputs, inputs, *kernel = weights[node.input[1]]
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    ones = [given.get("group", 1), *given.get("strides", []), *given.get("dilations", [])]
    rows, columns = shapes[node.output[0]][2:]
    whole = rows % _TILE == columns % _TILE == 0
    wide = min(inputs, outputs) >= _LEAST_CHANNELS
    if kernel not in ([2, 2], [3, 3]) or set(ones) != {1} or not (whole and wide):
        return None
    top, left, _, _ = given.get("pads", [0] * 4)
    height, width = shapes[node.input[0]][2:]
    return _Layer(
        (inputs, outputs),
        kernel[0],
        (height, width),
        (top, left),
        (rows // _TILE, columns // _TILE),
    )


@dataclass(frozen=True)
class _Algorithm:
    """Matrices for a kernel of t×t taps; p = 4 + t − 1 is the side of the patch that a tile reads.

    Attributes:
        inputs: (p², p²), transforms a patch.
        kernel: (t², p²), transforms a kernel, transposed.
        outputs: (16, p²), gives a tile.
    """

    inputs: NDArray[np.float32]
    kernel: NDArray[np.float32]
    outputs: NDArray[np.float32]

    @property
    def patch(self) -> int:
        return math.isqrt(len(self.inputs))


@functools.cache
def _algorithm(taps: int) -> _Algorithm:
    side = _TILE + taps - 1
    points = np.array(_POINTS[: side - 1])

    def evaluation(degree: int) -> NDArray[np.float64]:
        return np.vstack([np.vander(points, degree, increasing=True), np.eye(degree)[-1:]])

    def both_axes(matrix: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.kron(matrix, matrix).astype(np.float32)

    return _Algorithm(
        both_axes(np.linalg.inv(evaluation(side)).T),
        both_axes(evaluation(taps).T),
        both_axes(evaluation(_TILE).T),
    )


class _Writer:
    """Nodes of the new graph, and the constants that its layers share.

    Within a layer, maps have the layout (B, H·W, C), so that tiles are gathered row by row.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.prefix = ""

    def convolution(self, node: onnx.NodeProto, layer: _Layer) -> None:
        algorithm = _algorithm(layer.taps)
        inputs, outputs = layer.channels
        count, patch = math.prod(layer.tiles), algorithm.patch**2
        matrices = {
            name: self._constant(f"tile_{name}_{layer.taps}", getattr(algorithm, name))
            for name in ("inputs", "kernel", "outputs")
        }
        self.prefix = node.name
        kernel = self._reshape(node.input[1], outputs, inputs, layer.taps**2)
        kernel = self._node("MatMul", kernel, matrices["kernel"])
        kernel = self._node("Transpose", kernel, perm=[2, 1, 0])

        x = self._reshape(node.input[0], 0, inputs, math.prod(layer.size))
        x = self._node("Transpose", x, perm=[0, 2, 1])
        x = self._node("Pad", x, self._numbers(0, 0, 0, 0, 1, 0))
        x = self._node("Gather", x, self._constant(*_patches(layer, algorithm.patch)), axis=1)
        x = self._reshape(x, 0, patch, count * inputs)
        x = self._node("MatMul", matrices["inputs"], x)
        x = self._reshape(x, 0, patch, count, inputs)
        x = self._node("MatMul", x, kernel)
        x = self._reshape(x, 0, patch, count * outputs)
        x = self._node("MatMul", matrices["outputs"], x)
        x = self._reshape(x, 0, count * _TILE**2, outputs)
        if len(node.input) > 2:
            x = self._node("Add", x, node.input[2])
        x = self._node("Gather", x, self._constant(*_raster(layer)), axis=1)
        x = self._node("Transpose", x, perm=[0, 2, 1])
        self._reshape(x, 0, outputs, *(_TILE * n for n in layer.tiles), target=node.output[0])

    def _node(self, kind: str, *inputs: str, target: str = "", **attributes: object) -> str:
        name = f"{self.prefix}_fast_{len(self.nodes)}"
        output = target or name
        self.nodes.append(helper.make_node(kind, inputs, [output], name, **attributes))
        return output

    def _reshape(self, x: str, *sizes: int, target: str = "") -> str:
        return self._node("Reshape", x, self._numbers(*sizes), target=target)

    def _numbers(self, *values: int) -> str:
        return self._constant("numbers_" + "_".join(map(str, values)), np.array(values, np.int64))

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants[name] = numpy_helper.from_array(value, name)
        return name


def _patches(layer: _Layer, side: int) -> tuple[str, NDArray[np.int64]]:
    """Input rows under each patch, (p², tiles); the row after the last one is the padding."""
    height, width = layer.size
    y, x = (
        np.arange(side)[:, None] + _TILE * np.arange(tiles) - start
        for tiles, start in zip(layer.tiles, layer.start, strict=True)
    )
    inside = np.logical_and.outer((y >= 0) & (y < height), (x >= 0) & (x < width))
    rows = np.where(inside, np.add.outer(y * width, x), height * width)
    name = "patches_" + "_".join(map(str, (side, *layer.size, *layer.start, *layer.tiles)))
    return name, rows.transpose(0, 2, 1, 3).reshape(side**2, -1).astype(np.int64)


def _raster(layer: _Layer) -> tuple[str, NDArray[np.int64]]:
    """Index of each output pixel in (16, tiles)."""
    order = np.arange(_TILE**2 * math.prod(layer.tiles)).reshape(_TILE, _TILE, *layer.tiles)
    name = "raster_" + "_".join(map(str, layer.tiles))
    return name, order.transpose(2, 0, 3, 1).ravel().astype(np.int64)
