"""The torch session runs every exported and every shipped graph as ONNX Runtime does."""

import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from makeup_engines import Bundle, GraphSpec, SessionOptions, TensorSpec
from makeup_engines.backends import open_session
from makeup_engines.torch_session import TorchSession
from makeup_export.catalogue import CATALOGUE
from makeup_export.parity import graph_spec
from makeup_kernels import BackendUnavailableError, BundleError, InvalidInputError
from makeup_sdk.weights import FOLDER as MODELS


def both(graph: onnx.ModelProto, runs: str = "frame"):
    data, spec = graph.SerializeToString(), graph_spec(graph, "g.onnx", runs)
    options = SessionOptions(threads=1)
    return [
        open_session(data, spec, "g", backend=backend, options=options)
        for backend in ("torch", "onnxruntime")
    ]


@pytest.mark.parametrize(
    ("model", "precision"),
    [
        *((model, precision) for model in CATALOGUE for precision in ("fp32", "int8")),
        # half precision on a CPU is slow
        ("psgan", "fp16"),
        ("ssat", "fp16"),
    ],
)
def test_every_graph(prepared_of, converted_of, model, precision) -> None:
    """In int8, where a rounding apart grows through the graph, both may be as far from the float
    graph as each other."""
    prepared = prepared_of(model)
    exact = converted_of(model, "fp32").graphs
    for name, graph in converted_of(model, precision).graphs.items():
        ours, other = (session.run(prepared.calls[name][0][0]) for session in both(graph))
        truth = both(exact[name])[1].run(prepared.calls[name][0][0])
        for key, value in ours.items():
            scale = np.abs(truth[key]).mean()
            error = np.abs(value - other[key]).mean() / scale
            if precision == "int8":
                error = np.abs(value - truth[key]).mean() / scale
                limit = 1.25 * np.abs(other[key] - truth[key]).mean() / scale + 1e-3
            else:
                limit = {"fp32": 1e-4, "fp16": 2e-2}[precision]
            assert error < limit, (name, key)


SIZES = {"batch": 2, "height": 64, "width": 96}
SHIPPED = [
    ("face_detector", "model"),
    ("face_landmarks_regions", "model"),
    ("face_landmarks_regions", "lips"),
    ("psgan", "reference"),
    ("psgan", "decoder"),
    ("psgan-pose", "source"),
]


@pytest.mark.parametrize(("bundle", "graph"), SHIPPED)
def test_shipped_graphs(bundle, graph) -> None:
    """What they depend on but their inputs is computed when they are opened."""
    opened = Bundle.open(MODELS / bundle)
    ours, other = (
        opened.session(graph, backend=name, threads=1) for name in ("torch", "onnxruntime")
    )
    random = np.random.default_rng(0)
    inputs = {}
    for tensor in ours.spec.inputs:
        shape = [SIZES.get(size, size) for size in tensor.shape]
        limit = 5 if tensor.name == "regions" else 256
        values = (
            random.integers(0, limit, shape) if tensor.dtype == "uint8" else random.random(shape)
        )
        inputs[tensor.name] = values.astype(tensor.dtype)
    expected = other.run(inputs)
    for name, value in ours.run(inputs).items():
        assert value.shape == expected[name].shape
        assert np.abs(value - expected[name]).max() < 1e-4 * np.abs(expected[name]).max(), name
    assert not {node.kind for node in ours._nodes} & {"Constant", "ConstantOfShape", "Tile"}


def single(kind: str, shapes, constants=(), outputs=1, **attributes) -> onnx.ModelProto:
    """A graph of one node: inputs of these shapes, then constants (None leaves one out)."""
    names = [f"x{i}" for i in range(len(shapes))]
    given = [f"c{i}" if c is not None else "" for i, c in enumerate(constants)]
    values = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in zip(names, shapes, strict=True)
    ]
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(kind, [*names, *given], results, "n", **attributes)
    weights = [
        numpy_helper.from_array(np.array(c), f"c{i}")
        for i, c in enumerate(constants)
        if c is not None
    ]
    outs = [helper.make_empty_tensor_value_info(r) for r in results]
    graph = helper.make_graph([node], "g", values, outs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


CASES = {
    "asymmetric conv": single(
        "Conv",
        [(1, 2, 5, 6)],
        [np.random.default_rng(0).normal(size=(3, 2, 2, 3)).astype(np.float32)],
        pads=[1, 0, 0, 2],
    ),
    "dilated grouped conv": single(
        "Conv",
        [(2, 4, 9, 9)],
        [
            np.random.default_rng(0).normal(size=(6, 2, 3, 3)).astype(np.float32),
            np.arange(6, dtype=np.float32),
        ],
        group=2,
        dilations=[2, 2],
        strides=[2, 1],
        pads=[2, 2, 2, 2],
    ),
    "depth to space DCR": single("DepthToSpace", [(1, 8, 2, 3)], blocksize=2, mode="DCR"),
    "depth to space CRD": single("DepthToSpace", [(1, 8, 2, 3)], blocksize=2, mode="CRD"),
    "slice": single("Slice", [(4, 6, 8)], [[-3, 1], [9999, 7], [0, 2], [1, 3]]),
    "slice backwards": single("Slice", [(4, 6)], [[-1, 0], [-9999, 3], [1, 0], [-2, 1]]),
    "split evenly": single("Split", [(2, 6)], outputs=3, axis=1, num_outputs=3),
    "split": single("Split", [(2, 6)], [[1, 5]], outputs=2, axis=1),
    "gather rows": single("Gather", [(3, 4, 5)], [[[2, 0], [1, 1]]], axis=1),
    "gather one": single("Gather", [(3, 4, 5)], [np.int64(1)], axis=2),
    "gather of a shape": single("Gather", [(5,)], [np.int64(2)], axis=0),
    "pad reflect": single("Pad", [(1, 2, 4, 5)], [[0, 0, 1, 2, 0, 0, 3, 1]], mode="reflect"),
    "pad value": single("Pad", [(1, 2, 4, 5)], [[1, 0, 0, 2], np.float32(7), [2, 3]]),
    "pad channels": single("Pad", [(1, 2, 4, 5)], [[0, 1, 0, 0, 0, 3, 0, 2], np.float32(0)]),
    "reshape": single("Reshape", [(2, 3, 4)], [[0, -1]]),
    "flatten": single("Flatten", [(2, 3, 4)]),
    "flatten all": single("Flatten", [(2, 3, 4)], axis=0),
    "flatten last": single("Flatten", [(2, 3, 4)], axis=-1),
    "expand": single("Expand", [(2, 1, 4)], [[1, 3, 1]]),
    "unsqueeze": single("Unsqueeze", [(2, 3)], [[0, -1]]),
    "reduce": single("ReduceL2", [(2, 3, 4)], [[1, 2]], keepdims=0),
    "reduce all": single("ReduceMean", [(2, 3, 4)]),
    "gemm": single("Gemm", [(2, 3), (5, 3), (5,)], transB=1, alpha=0.5, beta=2.0),
    "average pool": single(
        "AveragePool", [(1, 1, 5, 5)], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]
    ),
    "max pool": single("MaxPool", [(1, 1, 5, 5)], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "grid sample": single(
        "GridSample", [(1, 2, 4, 4), (1, 3, 3, 2)], mode="bilinear", padding_mode="border"
    ),
    "cubic": single(
        "Resize",
        [(1, 1, 4, 4)],
        [None, np.array([1, 1, 4, 4], np.float32)],
        mode="cubic",
        coordinate_transformation_mode="half_pixel",
        cubic_coeff_a=-0.75,
    ),
    "identity": single("Identity", [(2, 3)]),
    "power": single("Pow", [(2, 3)], [np.float32(2)]),
    "reciprocal": single("Reciprocal", [(2, 3)]),
    "shape": single("Shape", [(2, 3, 4)]),
    "end of a shape": single("Shape", [(2, 3, 4)], start=-2, end=3),
    "sigmoid": single("Sigmoid", [(2, 3)]),
    "tile": single("Tile", [(2, 3)], [[2, 3]]),
    "nearest to a size": single(
        "Resize",
        [(1, 1, 4, 4)],
        [None, None, [1, 1, 8, 12]],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_single_operators(case) -> None:
    ours, other = both(CASES[case])
    random = np.random.default_rng(3)
    inputs = {
        tensor.name: random.normal(size=tensor.shape).astype(np.float32)
        for tensor in ours.spec.inputs
    }
    expected = other.run(inputs)
    result = ours.run(inputs)
    assert result.keys() == expected.keys()
    for name, value in result.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5)


def chain(*nodes: onnx.NodeProto, sizes=None) -> onnx.ModelProto:
    """A graph from x, float (2, 6), to y, whose shape is inferred where it is not given."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 6])
    y = helper.make_empty_tensor_value_info("y")
    if sizes is not None:
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, sizes)
    graph = helper.make_graph(nodes, "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


def node(kind: str, inputs: str, output: str, **attributes) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), [output], output, **attributes)


CHAINS = {
    "root, logarithm and power of e": [
        node("Sigmoid", "x", "s"),
        node("Sqrt", "s", "r"),
        node("Log", "r", "l"),
        node("Exp", "s", "e"),
        node("Sub", "l e", "y"),
    ],
    "computed shape": [
        node("Shape", "x", "s"),
        node("Constant", "", "from", value_ints=[1]),
        node("Constant", "", "to", value_ints=[2]),
        node("Slice", "s from to", "columns"),
        node("Constant", "", "rest", value_ints=[1, -1]),
        node("Concat", "columns rest", "turned", axis=0),
        node("Reshape", "x turned", "y"),
    ],
    "filled shape": [
        node("Shape", "x", "s"),
        node("ConstantOfShape", "s", "f", value=numpy_helper.from_array(np.float32([2.5]))),
        node("ConstantOfShape", "s", "zeros"),
        node("Sub", "x f", "d"),
        node("Sub", "d zeros", "y"),
    ],
    "shape as data": [
        node("Shape", "x", "s"),
        node("Cast", "s", "f", to=TensorProto.FLOAT),
        node("Constant", "", "scale", value_float=0.5),
        node("Constant", "", "offsets", value_floats=[1.0, 2.0]),
        node("Mul", "f scale", "m"),
        node("Add", "m offsets", "y"),
    ],
}


@pytest.mark.parametrize("case", CHAINS)
def test_chains_of_operators(case) -> None:
    ours, other = both(chain(*CHAINS[case]))
    inputs = {"x": np.random.default_rng(3).normal(size=(2, 6)).astype(np.float32)}
    expected, found = other.run(inputs)["y"], ours.run(inputs)["y"]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)


SPEC = GraphSpec("g", (TensorSpec("x", "float32", ("n",)),), (TensorSpec("y", "float32", ("n",)),))


def model_of(kind: str) -> bytes:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n"]) for n in "xy")
    graph = helper.make_graph([helper.make_node(kind, ["x"], ["y"])], "g", [x], [y])
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def test_outputs_in_place_and_refusals() -> None:
    session = TorchSession.open(model_of("Tanh"), SPEC, "g", SessionOptions())
    x, y = np.array([0.5, -1], np.float32), np.zeros(2, np.float32)
    assert session.run({"x": x}, {"y": y})["y"] is y
    np.testing.assert_allclose(y, np.tanh(x), atol=1e-6)
    with pytest.raises(InvalidInputError, match="outputs must have the batch of the inputs"):
        session.run({"x": x}, {"y": np.zeros(3, np.float32)})
    with pytest.raises(BundleError, match="backend 'torch' lacks Erf; run it on 'onnxruntime'"):
        TorchSession.open(model_of("Erf"), SPEC, "g", SessionOptions())
    constants = {"a": {"value_ints": [1, 2]}, "b": {"value_ints": [3, 4, 5]}}
    nodes = [node("Constant", "", name, **value) for name, value in constants.items()]
    torn = chain(*nodes, node("Add", "a b", "c"), node("Reshape", "x c", "y"), sizes=[12])
    with pytest.raises(BundleError, match=r"g: Add 'c' cannot be computed \(.*; export the bundle"):
        both(torn)
    text = chain(
        node("Constant", "", "t", value_string="t"), node("Reshape", "x t", "y"), sizes=[12]
    )
    with pytest.raises(BundleError, match="Constant with value_string is not supported by torch"):
        both(text)
    with pytest.raises(BundleError, match="not a valid ONNX graph"):
        TorchSession.open(b"\x00", SPEC, "g", SessionOptions())


def test_gpu_options_without_a_gpu() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    for options in (SessionOptions(half=True), SessionOptions(cuda_graph=True)):
        with pytest.raises(BackendUnavailableError, match="half and cuda_graph need a GPU"):
            TorchSession.open(model_of("Tanh"), SPEC, "g", options)


def test_without_torch(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BackendUnavailableError, match=r"pip install '\.\[train\]'"):
        TorchSession.open(model_of("Tanh"), SPEC, "g", SessionOptions())
