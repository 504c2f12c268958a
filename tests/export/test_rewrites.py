"""Rewrites and precisions on small layers, against the layers themselves."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from makeup_export.fast_convolutions import fast_convolutions
from makeup_export.half import to_half
from makeup_export.models.region_gan import RegionMakeup, region_gan_graphs
from makeup_export.quantise import calibrate, candidates, quantise
from makeup_export.rewrites import (
    BlockOutput,
    PhaseTransposed,
    drop_bias,
    read_pixels,
    reorder_outputs,
    rewrite_transposed,
)
from makeup_training.networks.region_gan import LabelLayout


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 5)])
def test_phases_equal_the_transposed_convolution(size, bias) -> None:
    layer = nn.ConvTranspose2d(3, 5, 4, 2, 1, bias=bias).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(PhaseTransposed(layer)(x), layer(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_block_output_equals_the_convolution(padding, bias) -> None:
    layer = nn.Conv2d(5, 3, 7, padding=padding, bias=bias).double()
    x = torch.randn(2, 5, 14 - 2 * padding, 18 - 2 * padding, dtype=torch.float64)
    torch.testing.assert_close(BlockOutput(layer)(x), layer(x), rtol=0, atol=1e-12)


def test_batch_norms_are_folded_behind_transposed_convolutions() -> None:
    network = nn.Sequential(nn.ConvTranspose2d(2, 3, 4, 2, 1), nn.BatchNorm2d(3), nn.ReLU())
    network[1].running_mean.uniform_(-1, 1)
    network[1].running_var.uniform_(0.5, 2)
    network.eval()
    x = torch.randn(1, 2, 4, 4)
    expected = network(x)
    rewrite_transposed(network)
    assert isinstance(network[0], PhaseTransposed)
    assert isinstance(network[1], nn.Identity)
    torch.testing.assert_close(network(x), expected)


def test_pixels_are_read_as_they_are() -> None:
    layer = nn.Conv2d(5, 4, 3, padding=1)
    x = torch.randn(1, 5, 6, 6)
    expected = layer(x)
    pixels = torch.cat([x[:, :3].flip(1) * 127.5, x[:, 3:]], 1)
    with torch.no_grad():
        read_pixels(layer)
    torch.testing.assert_close(layer(pixels), expected)


def test_images_are_given_as_bgr() -> None:
    layer = nn.Conv2d(4, 3, 3)
    x = torch.randn(1, 4, 6, 6)
    expected = layer(x).flip(1)
    reorder_outputs(layer)
    torch.testing.assert_close(layer(x), expected)


def test_a_bias_before_instance_norm_does_nothing() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4))
    x = torch.randn(1, 3, 8, 8)
    expected = network(x)
    drop_bias(network[0])
    torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-5)


def test_a_style_touches_the_border_alone() -> None:
    """Label planes are constant, so instance norm cancels them but at the zero-padded border."""
    network = RegionMakeup(LabelLayout(), 8).eval()
    graphs = region_gan_graphs(network, 32).graphs
    with torch.no_grad():
        style = graphs["style"].module(graphs["style"].inputs["label"])
    assert style[:, :, 3:-3, 3:-3].abs().max() < 1e-6
    assert style.abs().max() > 1e-3


def one_convolution(kernel, size, bias=False, **attributes) -> onnx.ModelProto:
    """x (batch, C, *size) to y, with random weights of shape `kernel`."""
    random = np.random.default_rng(0)
    names = ["x", "w", "b"] if bias else ["x", "w"]
    arrays = {"w": random.normal(size=kernel), "b": random.normal(size=kernel[0])}
    node = helper.make_node("Conv", names, ["y"], "layer", **attributes)
    inputs = kernel[1] * attributes.get("group", 1)
    values = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", inputs, *size]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", kernel[0], None, None]),
    ]
    weights = [numpy_helper.from_array(arrays[n].astype(np.float32), n) for n in names[1:]]
    graph = helper.make_graph([node], "g", values[:1], values[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("side", "pads", "size"),
    [
        (3, (1, 1, 1, 1), (8, 12)),
        (3, (0, 0, 0, 0), (6, 10)),
        (2, (0, 1, 1, 0), (4, 8)),
        (2, (1, 0, 0, 1), (8, 4)),
    ],
)
def test_fast_convolutions_equal_the_direct_ones(side, pads, size, bias) -> None:
    """Pads are top, left, bottom, right."""
    direct = one_convolution((130, 128, side, side), size, bias, pads=list(pads))
    fast = fast_convolutions(direct)
    assert "Conv" not in {node.op_type for node in fast.graph.node}
    x = np.random.default_rng(1).normal(size=(2, 128, *size)).astype(np.float32)
    weight, *biases = (
        torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float64))
        for tensor in direct.graph.initializer
    )
    padded = nn.functional.pad(torch.from_numpy(x).double(), (pads[1], pads[3], pads[0], pads[2]))
    expected = nn.functional.conv2d(padded, weight, *biases).numpy()
    errors = [np.abs(run(model, x, ["y"])[0] - expected).max() for model in (fast, direct)]
    # transforms of 4×4 tiles are known to lose about a digit
    assert errors[0] < 16 * errors[1]
    assert errors[0] < 1e-6 * np.abs(expected).max() * side**2


@pytest.mark.parametrize(
    ("kernel", "size", "attributes"),
    [
        ((128, 127, 3, 3), 8, {"pads": [1] * 4}),
        ((127, 128, 3, 3), 8, {"pads": [1] * 4}),
        ((128, 128, 3, 3), 6, {"pads": [1] * 4}),
        ((128, 128, 3, 3), 8, {"pads": [1] * 4, "strides": [2, 2]}),
        ((128, 128, 3, 3), 8, {"pads": [2] * 4, "dilations": [2, 2]}),
        ((256, 128, 3, 3), 8, {"pads": [1] * 4, "group": 2}),
        ((128, 128, 3, 2), 8, {"pads": [1, 0, 1, 1]}),
        ((128, 128, 5, 5), 8, {"pads": [2] * 4}),
    ],
)
def test_other_convolutions_stay(kernel, size, attributes) -> None:
    model = one_convolution(kernel, (size, size), **attributes)
    assert [node.op_type for node in fast_convolutions(model).graph.node] == ["Conv"]


def tiny(bias: bool = True) -> onnx.ModelProto:
    """Conv, InstanceNormalization, Relu, Conv, Add with the first, Softmax of it as an output."""
    random = np.random.default_rng(0)
    arrays = {
        "w1": random.normal(size=(4, 4, 3, 3)) / 6,
        "w2": random.normal(size=(4, 4, 1, 1)) / 2,
        "b2": random.normal(size=4),
        "one": np.ones(4),
        "zero": np.zeros(4),
    }
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1"], ["a"], "first", pads=[1, 1, 1, 1]),
        node("InstanceNormalization", ["a", "one", "zero"], ["b"], "norm"),
        node("Relu", ["b"], ["c"], "relu"),
        node("Conv", ["c", "w2", "b2"][: 3 if bias else 2], ["d"], "second"),
        node("Add", ["b", "d"], ["y"], "sum"),
        node("Mul", ["y", "y"], ["e"], "square"),
        node("Softmax", ["e"], ["z"], "softmax", axis=1),
    ]
    shape = ["batch", 4, 8, 8]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in "xyz"]
    weights = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in arrays.items()]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def run(model: onnx.ModelProto, x: np.ndarray, outputs=("y", "z")) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(list(outputs), {"x": x})


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    return {v.name: v.type.tensor_type.elem_type for v in inferred.value_info}


def test_half_keeps_statistics_sums_and_logits_in_float32() -> None:
    model = tiny()
    before = model.SerializeToString()
    half = to_half(model)
    assert model.SerializeToString() == before
    types = types_of(half)
    assert types["a"] == types["d"] == TensorProto.FLOAT16
    assert types["b"] == TensorProto.FLOAT
    inputs = {node.name: list(node.input) for node in half.graph.node}
    assert inputs["norm"][0] == "a_as_float"
    assert inputs["sum"] == ["b", "d_as_float"]
    assert inputs["square"] == ["y", "y"]
    assert {v.type.tensor_type.elem_type for v in half.graph.output} == {TensorProto.FLOAT}
    x = np.random.default_rng(1).normal(size=(2, 4, 8, 8)).astype(np.float32)
    for found, true in zip(run(half, x), run(model, x), strict=True):
        np.testing.assert_allclose(found, true, atol=0.02)


def test_half_outputs_leave_as_float32() -> None:
    model = tiny()
    model.graph.output.insert(
        0, helper.make_tensor_value_info("c", TensorProto.FLOAT, ["batch", 4, 8, 8])
    )
    half = to_half(model)
    assert half.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    onnx.checker.check_model(half, full_check=True)


def test_quantised_graph_is_what_tensorrt_and_onnx_runtime_take() -> None:
    model = tiny()
    x = np.random.default_rng(1).normal(size=(2, 4, 8, 8)).astype(np.float32)
    assert candidates(model) == ["first", "second"]
    calibration = calibrate(model, [{"x": x}, {"x": 2 * x}])
    assert calibration.scales.keys() == {"x", "a", "c", "d_raw"}
    quantised = quantise(model, calibration)
    constants = {t.name: numpy_helper.to_array(t) for t in quantised.graph.initializer}
    for node in quantised.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero = constants[node.input[2]]
            assert zero.dtype == np.int8
            assert not zero.any()
        if node.op_type == "Conv":
            assert len(node.input) == 2  # biases stay in float, behind
    assert constants["w1_int8"].dtype == np.int8
    assert constants["w1_scale"].shape == (4,)
    assert abs(constants["w1_int8"]).reshape(4, -1).max(1).tolist() == [127] * 4
    for found, true in zip(run(quantised, x), run(model, x), strict=True):
        assert np.abs(found - true).mean() < 0.05
    floats = quantise(model, calibration, frozenset(["first", "second"]))
    for found, true in zip(run(floats, x), run(model, x), strict=True):
        np.testing.assert_array_equal(found, true)


def test_what_only_moves_values_moves_them_in_int8() -> None:
    """Behind a convolution each such node stands between pairs of the convolution's own scale."""
    model = tiny(bias=False)
    node = helper.make_node("Transpose", ["d"], ["t"], "moved", perm=[0, 1, 3, 2])
    model.graph.node.insert(4, node)
    model.graph.node[5].input[1] = "t"
    x = np.random.default_rng(1).normal(size=(1, 4, 8, 8)).astype(np.float32)
    calibration = calibrate(model, [{"x": x}])
    quantised = quantise(model, calibration)
    producer = {name: node for node in quantised.graph.node for name in node.output}
    constants = {t.name: numpy_helper.to_array(t) for t in quantised.graph.initializer}
    moved = next(node for node in quantised.graph.node if node.name == "moved")
    before = producer[moved.input[0]]
    after = next(node for node in quantised.graph.node if moved.output[0] in node.input)
    assert (before.op_type, after.op_type) == ("DequantizeLinear", "QuantizeLinear")
    assert constants[before.input[1]] == constants[after.input[1]] == calibration.scales["d"]
    for found, true in zip(run(quantised, x), run(model, x), strict=True):
        assert np.abs(found - true).mean() < 0.05


def test_scales_cut_off_outliers() -> None:
    model = tiny(bias=False)
    x = np.random.default_rng(1).normal(size=(1, 4, 8, 8)).astype(np.float32)
    plain = calibrate(model, [{"x": x}]).scales["x"]
    assert plain <= np.abs(x).max() / 127
    assert calibrate(model, [{"x": np.zeros_like(x)}]).scales["x"] == 1.0
