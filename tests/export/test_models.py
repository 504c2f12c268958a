"""All models in all precisions: parity with PyTorch, plain graphs, bundles that open and run."""

from collections import Counter

import numpy as np
import pytest
import torch

from makeup_engines import Bundle
from makeup_export.catalogue import CATALOGUE, graphs_of
from makeup_export.export import PRECISIONS, WeightsFacts, convert, prepare, report, write
from makeup_export.onnx_graphs import DTYPES
from makeup_export.parity import LEAST_PSNR

MODELS = (*CATALOGUE, "psgan-sr:mobile", "portrait-edit:mobile")
WEIGHTS = WeightsFacts("Apache-2.0", [{"name": "none", "licence": "none"}])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("model", MODELS)
def test_bundle_equals_pytorch(prepared_of, converted_of, tmp_path, model, precision) -> None:
    prepared, converted = prepared_of(model), converted_of(model, precision)
    parity = report(prepared, converted, precision, threads=1)
    assert parity.psnr >= LEAST_PSNR[precision]
    write(tmp_path / "b", prepared, converted, parity, precision, WEIGHTS)

    bundle = Bundle.open(tmp_path / "b")
    assert bundle.manifest.model == model.partition(":")[0]
    assert bundle.manifest.graphs.keys() == prepared.model.graphs.keys()
    assert b'"kept_in_float"' in bundle.contents["parity.json"]
    sessions = {name: bundle.session(name, threads=1) for name in bundle.manifest.graphs}
    source, reference = prepared.pairs[0]
    image = prepared.model.make_up(
        lambda name, inputs: sessions[name].run(inputs), source, reference
    )
    error = np.square((image - prepared.truths[0]) * 127.5).mean()
    assert 10 * np.log10(255**2 / error) >= LEAST_PSNR[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("model", MODELS)
def test_graphs_are_plain(converted_of, model, precision) -> None:
    heavy = half = rounded = 0
    for graph in converted_of(model, precision).graphs.values():
        (opset,) = graph.opset_import
        assert (opset.domain, opset.version) == ("", 18)
        assert not graph.functions
        assert all(node.domain == "" for node in graph.graph.node)
        # no traces: they name files of the machine that exported
        assert not graph.graph.metadata_props
        assert not any(node.metadata_props or node.doc_string for node in graph.graph.node)
        for value in (*graph.graph.input, *graph.graph.output):
            assert DTYPES[value.type.tensor_type.elem_type] in ("float32", "int64")
        kinds = Counter(node.op_type for node in graph.graph.node)
        assert not kinds.keys() & {"Shape", "Range", "ScatterND", "Constant", "Identity"}
        heavy += kinds["Conv"]
        rounded += kinds["QuantizeLinear"]
        half += kinds["Cast"]
    assert heavy
    assert (rounded > 0) == (precision == "int8")
    assert half > 0 or precision != "fp16"


@pytest.mark.parametrize(
    ("model", "per_frame"),
    {
        "psgan": ["source", "decoder"],
        "psgan-sr": ["source", "decoder", "prior", "super_resolution"],
        "psgan-sr:mobile": ["source", "decoder", "super_resolution"],
        "psgan-pose": ["whole"],
        "region-gan": ["whole"],
        "ssat": ["source", "made_up", "morph", "decoder"],
        "portrait-edit": ["generator", "background"],
        "portrait-edit:mobile": ["parser"],
    }.items(),
)
def test_what_runs_for_each_frame(prepared_of, model, per_frame) -> None:
    graphs = prepared_of(model).model.graphs
    assert [name for name, graph in graphs.items() if graph.runs == "frame"] == per_frame


@pytest.mark.parametrize("model", ["psgan", "ssat", "region-gan"])
def test_several_faces_at_once(prepared_of, model) -> None:
    """A batch of two gives what two runs give."""
    from makeup_export.parity import open_graphs

    prepared = prepared_of(model)
    sessions = open_graphs(prepared.model, prepared.graphs, 1)
    for name, calls in prepared.calls.items():
        (a, first), (b, second) = calls[0], calls[1]
        both = sessions[name].run({key: np.concatenate([a[key], b[key]]) for key in a})
        for key in first:
            expected = np.concatenate([first[key], second[key]])
            np.testing.assert_allclose(both[key], expected, atol=2e-4)


def test_truth_is_the_untouched_network(prepared_of, network_of) -> None:
    """Export changes copies: the network still gives what it gave."""
    from makeup_export.graph_modules import bgr, face_batch

    prepared = prepared_of("psgan")
    source, reference = prepared.pairs[0]
    with torch.no_grad():
        again = bgr(network_of("psgan")(face_batch(source), face_batch(reference)))
    np.testing.assert_array_equal(again, prepared.truths[0])


@pytest.mark.usefixtures("_wide_graphs_once")
def test_wide_networks_take_the_fast_form(faces, wide_psgan) -> None:
    """From width 32 on, PSGAN's bottlenecks have 128 channels."""
    model = graphs_of("psgan", wide_psgan, 64)
    prepared = prepare(model, faces, pairs=1, progress=lambda text: None)
    converted = convert(prepared, "fp32", progress=lambda text: None)
    for name in ("source", "decoder"):
        direct, fast = (
            Counter(node.op_type for node in graphs[name].graph.node)
            for graphs in (prepared.graphs, converted.graphs)
        )
        assert direct["Conv"] - fast["Conv"] == 6
    assert report(prepared, converted, "fp32", threads=1).psnr >= 100
    size = {name: len(graph.SerializeToString()) for name, graph in converted.graphs.items()}
    assert size["source"] < 1.1 * len(prepared.graphs["source"].SerializeToString())
