"""Standard ONNX operators in PyTorch: those that exported makeup graphs use.

Each takes the torch module, the node's attributes and its inputs (tensors, or None for an omitted
optional input), and returns one or several tensors. Shapes and axes are tensors on the CPU; tensor
attributes are passed as tensors.
"""

from collections.abc import Callable, Sequence
from typing import Any

from makeup_kernels.errors import BundleError

Attributes = dict[str, Any]
Operator = Callable[[Any, Attributes, Sequence[Any]], Any]

_CAST = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16"}
_SAMPLING = {"linear": "bilinear", "bilinear": "bilinear", "nearest": "nearest"}
_CONSTANTS = {
    "value_float": "float32", "value_floats": "float32",
    "value_int": "int64", "value_ints": "int64",
}  # fmt: skip
_PADDING = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}


def _ints(tensor: Any) -> list[int]:
    return [int(value) for value in tensor.tolist()]


def _constant(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    if "value" in a:
        return a["value"]
    for name, dtype in _CONSTANTS.items():
        if name in a:
            return torch.tensor(a[name], dtype=getattr(torch, dtype))
    raise BundleError(f"Constant with {', '.join(a) or 'no value'} is not supported by torch")


def _constant_of_shape(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    value = a.get("value", torch.zeros(1))
    return value.reshape(()).repeat(_ints(x[0]))


def _shape(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    sizes = tuple(x[0].shape)[a.get("start", 0) : a.get("end")]
    return torch.tensor(sizes, dtype=torch.int64)


def _conv(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    data, pads = x[0], a.get("pads", [0, 0, 0, 0])
    top, left, bottom, right = pads
    if (top, left) != (bottom, right):
        data = torch.nn.functional.pad(data, (left, right, top, bottom))
        top = left = 0
    bias = x[2] if len(x) > 2 else None
    return torch.nn.functional.conv2d(
        data,
        x[1],
        bias,
        stride=a.get("strides", 1),
        padding=(top, left),
        dilation=a.get("dilations", 1),
        groups=a.get("group", 1),
    )


def _instance_norm(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    return torch.nn.functional.instance_norm(
        x[0], weight=x[1], bias=x[2], eps=a.get("epsilon", 1e-5)
    )


def _batch_norm(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    return torch.nn.functional.batch_norm(x[0], x[3], x[4], x[1], x[2], eps=a.get("epsilon", 1e-5))


def _gemm(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    left = x[0].t() if a.get("transA") else x[0]
    right = x[1].t() if a.get("transB") else x[1]
    result = a.get("alpha", 1.0) * (left @ right)
    return result + a.get("beta", 1.0) * x[2] if len(x) > 2 else result


def _resize(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    mode, transform = a.get("mode", "nearest"), a.get("coordinate_transformation_mode")
    known = ("asymmetric",) if mode == "nearest" else ("half_pixel", "pytorch_half_pixel")
    if transform not in known or (mode == "nearest" and a.get("nearest_mode") != "floor"):
        raise BundleError(f"Resize with mode {mode!r} and {transform!r} is not supported by torch")
    if len(x) > 3 and x[3] is not None:
        size = _ints(x[3])[2:]
    else:
        scales = x[2].tolist()[2:]
        size = [int(side * scale) for side, scale in zip(x[0].shape[2:], scales, strict=True)]
    named = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}[mode]
    corners = None if mode == "nearest" else False
    return torch.nn.functional.interpolate(x[0], size=size, mode=named, align_corners=corners)


def _pad(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    pads = _ints(x[1])
    rank = x[0].dim()
    axes = _ints(x[3]) if len(x) > 3 and x[3] is not None else list(range(rank))
    count = len(axes)
    both = {axis % rank: (pads[i], pads[i + count]) for i, axis in enumerate(axes)}
    mode = _PADDING[a.get("mode", "constant")]
    flat: list[int] = []
    for axis in range(rank - 1, -1 if mode == "constant" else 1, -1):
        flat += both.get(axis, (0, 0))
    if mode != "constant":
        return torch.nn.functional.pad(x[0], flat, mode)
    value = float(x[2]) if len(x) > 2 and x[2] is not None else 0.0
    return torch.nn.functional.pad(x[0], flat, mode, value)


def _slice(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    starts, ends = _ints(x[1]), _ints(x[2])
    axes = _ints(x[3]) if len(x) > 3 and x[3] is not None else list(range(len(starts)))
    steps = _ints(x[4]) if len(x) > 4 and x[4] is not None else [1] * len(starts)
    sliced = x[0]
    index: list[slice] = [slice(None)] * sliced.dim()
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step > 0:
            index[axis] = slice(start, end, step)
        else:
            chosen = list(range(sliced.shape[axis])[start:end:step])
            sliced = sliced.index_select(axis, torch.tensor(chosen, device=sliced.device))
    return sliced[tuple(index)]


def _depth_to_space(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    block = a["blocksize"]
    if a.get("mode", "DCR") == "CRD":
        return torch.nn.functional.pixel_shuffle(x[0], block)
    grouped = x[0].unflatten(1, (block * block, -1)).transpose(1, 2).flatten(1, 2)
    return torch.nn.functional.pixel_shuffle(grouped, block)


def _pool(name: str) -> Operator:
    def pool(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
        pads = a.get("pads", [0, 0, 0, 0])
        kept = {"kernel_size": a["kernel_shape"], "stride": a.get("strides", 1)}
        kept |= {"padding": tuple(pads[:2]), "ceil_mode": bool(a.get("ceil_mode", 0))}
        if name == "avg_pool2d":
            kept["count_include_pad"] = bool(a.get("count_include_pad", 0))
        return getattr(torch.nn.functional, name)(x[0], **kept)

    return pool


def _reshape(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    sizes = _ints(x[1])
    if not a.get("allowzero"):
        sizes = [x[0].shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x[0].reshape(sizes)


def _flatten(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    axis = a.get("axis", 1)
    rows = x[0].shape[:axis].numel()
    return x[0].reshape(rows, x[0].shape[axis:].numel())


def _expand(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    return x[0].expand(torch.broadcast_shapes(x[0].shape, tuple(_ints(x[1]))))


def _gather(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    axis = a.get("axis", 0) % x[0].dim()
    # a flat index: on a GPU, a 0-dimensional one would synchronise
    rows = x[0].movedim(axis, 0)[x[1].reshape(-1)].movedim(0, axis)
    return rows.reshape((*x[0].shape[:axis], *x[1].shape, *x[0].shape[axis + 1 :]))


def _split(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    axis = a.get("axis", 0)
    if len(x) > 1:
        return torch.split(x[0], _ints(x[1]), axis)
    return torch.tensor_split(x[0], a["num_outputs"], axis)


def _unsqueeze(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    result, axes = x[0], _ints(x[1])
    rank = result.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        result = result.unsqueeze(axis)
    return result


def _reduce(name: str) -> Operator:
    def reduce(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
        # axes are an attribute up to opset 17
        axes = _ints(x[1]) if len(x) > 1 else a.get("axes", list(range(x[0].dim())))
        kept = bool(a.get("keepdims", 1))
        if name == "norm":
            return torch.linalg.vector_norm(x[0], dim=axes, keepdim=kept)
        return getattr(torch, name)(x[0], dim=axes, keepdim=kept)

    return reduce


def _grid_sample(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    return torch.nn.functional.grid_sample(
        x[0],
        x[1],
        mode=_SAMPLING[a.get("mode", "linear")],
        padding_mode=a.get("padding_mode", "zeros"),
        align_corners=bool(a.get("align_corners", 0)),
    )


def _per_axis(a: Attributes, x: Sequence[Any]) -> Any:
    """The scale, shaped to broadcast over the data."""
    if x[1].dim() == 0:
        return x[1]
    shape = [1] * x[0].dim()
    shape[a.get("axis", 1)] = -1
    return x[1].reshape(shape)


def _quantize(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    # zero points of exported graphs are 0
    return (x[0] / _per_axis(a, x)).round().clamp(-128, 127).to(torch.int8)


def _dequantize(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    return x[0].to(x[1].dtype) * _per_axis(a, x)


def _clip(torch: Any, a: Attributes, x: Sequence[Any]) -> Any:
    bounds = [*x[1:], None, None]
    return x[0].clamp(bounds[0], bounds[1])


OPERATORS: dict[str, Operator] = {
    "Abs": lambda torch, a, x: x[0].abs(),
    "Add": lambda torch, a, x: x[0] + x[1],
    "And": lambda torch, a, x: x[0] & x[1],
    "AveragePool": _pool("avg_pool2d"),
    "BatchNormalization": _batch_norm,
    "Cast": lambda torch, a, x: x[0].to(getattr(torch, _CAST[a["to"]])),
    "Clip": _clip,
    "Concat": lambda torch, a, x: torch.cat(list(x), a["axis"]),
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Conv": _conv,
    "DepthToSpace": _depth_to_space,
    "DequantizeLinear": _dequantize,
    "Div": lambda torch, a, x: (
        x[0] / x[1] if x[0].is_floating_point() else torch.div(x[0], x[1], rounding_mode="trunc")
    ),
    "Equal": lambda torch, a, x: x[0] == x[1],
    "Exp": lambda torch, a, x: x[0].exp(),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": lambda torch, a, x: x[0].gather(a.get("axis", 0), x[1]),
    "Gemm": _gemm,
    "Greater": lambda torch, a, x: x[0] > x[1],
    "GreaterOrEqual": lambda torch, a, x: x[0] >= x[1],
    "GridSample": _grid_sample,
    "Identity": lambda torch, a, x: x[0],
    "InstanceNormalization": _instance_norm,
    "LeakyRelu": lambda torch, a, x: torch.nn.functional.leaky_relu(x[0], a.get("alpha", 0.01)),
    "Less": lambda torch, a, x: x[0] < x[1],
    "Log": lambda torch, a, x: x[0].log(),
    "MatMul": lambda torch, a, x: x[0] @ x[1],
    "MaxPool": _pool("max_pool2d"),
    "Mul": lambda torch, a, x: x[0] * x[1],
    "Neg": lambda torch, a, x: -x[0],
    "Pad": _pad,
    "Pow": lambda torch, a, x: (x[0] ** x[1]).to(x[0].dtype),
    "QuantizeLinear": _quantize,
    "Reciprocal": lambda torch, a, x: x[0].reciprocal(),
    "ReduceL2": _reduce("norm"),
    "ReduceMean": _reduce("mean"),
    "ReduceSum": _reduce("sum"),
    "Relu": lambda torch, a, x: x[0].relu(),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Sigmoid": lambda torch, a, x: x[0].sigmoid(),
    "Slice": _slice,
    "Softmax": lambda torch, a, x: x[0].softmax(a.get("axis", -1)),
    "Split": _split,
    "Sqrt": lambda torch, a, x: x[0].sqrt(),
    "Sub": lambda torch, a, x: x[0] - x[1],
    "Tanh": lambda torch, a, x: x[0].tanh(),
    "Tile": lambda torch, a, x: x[0].repeat(_ints(x[1])),
    "Transpose": lambda torch, a, x: x[0].permute(a["perm"]),
    "Unsqueeze": _unsqueeze,
}
"""Implementations by operator name, with opset 17 and 18 semantics."""
