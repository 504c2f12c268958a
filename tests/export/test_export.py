"""Errors, report and commands of the export."""

import json
import re

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from makeup_engines import Bundle
from makeup_export import commands
from makeup_export.catalogue import (
    Settings,
    entry_of,
    graphs_of,
    load_published,
    load_trained,
)
from makeup_export.export import Converted, convert, report
from makeup_export.faces import demo_faces, drawn_parsing, read_faces
from makeup_export.onnx_graphs import ExportError
from makeup_export.parity import Difference
from makeup_export.quantise import multiply_adds
from makeup_kernels import InvalidInputError, MakeupError
from makeup_training.checkpoints import save_weights
from makeup_training.networks.portrait_edit import PortraitEditor
from makeup_training.networks.psgan import PSGANGenerator
from makeup_training.networks.ssat import SSATGenerator


@pytest.fixture
def app() -> typer.Typer:
    application = typer.Typer()
    commands.register(application)
    return application


@pytest.fixture(scope="session")
def weights(wide_psgan, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "generator.safetensors"
    save_weights(wide_psgan, path, metadata={"width": 32, "size": 64, "step": 7})
    return path


def test_report_says_where_the_error_enters(prepared_of) -> None:
    prepared = prepared_of("psgan")
    graphs = dict(convert(prepared, "fp32").graphs)
    broken = type(graphs["decoder"])()
    broken.CopyFrom(graphs["decoder"])
    weight = max(broken.graph.initializer, key=lambda t: len(t.raw_data))
    values = np.roll(np.frombuffer(weight.raw_data, np.float32), 1)
    weight.raw_data = values.tobytes()
    with pytest.raises(ExportError) as error:
        report(prepared, Converted(graphs | {"decoder": broken}), "fp32", threads=1)
    text = str(error.value)
    assert "expected at least 70 dB" in text
    assert "Most of the error enters in graph 'decoder', output 'result'" in text
    others = dict(re.findall(r"(source|reference) ([\d.]+)", text))
    assert all(float(value) > 100 for value in others.values())
    assert len(others) == 2


def test_layers_left_out_of_int8_are_in_float(converted_of) -> None:
    converted = converted_of("psgan", "int8")
    assert 0 < len(converted.left_out) < 18
    for layer, quality in converted.left_out.items():
        graph, name = layer.split("/", 1)
        node = next(n for n in converted.graphs[graph].graph.node if n.name == name)
        assert not node.input[1].endswith("_rounded")
        assert 20 < quality < 80


def test_int8_is_for_what_runs_per_frame(prepared_of, converted_of) -> None:
    graphs = converted_of("psgan", "int8").graphs
    assert graphs["reference"] == prepared_of("psgan").graphs["reference"]
    assert "QuantizeLinear" in {node.op_type for node in graphs["decoder"].graph.node}


def test_multiply_adds_of_psgan(prepared_of) -> None:
    """At width 16 and size 64: 1/16 of the published widths twice, 1/16 of the pixels."""
    found = multiply_adds(prepared_of("psgan").graphs["source"])
    first, _, _, *bottlenecks = found.values()
    assert first == 3 * 16 * 49 * 64 * 64
    assert bottlenecks == [64 * 64 * 9 * 16 * 16] * 6


def test_difference_against_plain_numpy() -> None:
    true = np.array([0.0, 2.0, -4.0], np.float32)
    found = np.array([0.0, 2.5, -4.0], np.float32)
    difference = Difference.between(found, true)
    assert difference.max_error == 0.5
    assert difference.mean_error == pytest.approx(1 / 6)
    assert difference.psnr == pytest.approx(10 * np.log10(16 / (0.25 / 3)))
    assert Difference.between(true, true).psnr == 200


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: entry_of("stargan"),
            "model 'stargan' cannot be exported; expected one of psgan, ",
        ),
        (
            lambda: graphs_of("ssat", SSATGenerator(2), 100),
            "size 100 does not fit ssat, expected a multiple",
        ),
        (
            lambda: graphs_of("portrait-edit", PortraitEditor(2), 128),
            "does not fit portrait-edit, expected 256",
        ),
        (
            lambda: load_published("region-gan", None, Settings()),
            "has no published checkpoint; import takes: psgan, ssat, portrait-edit",
        ),
        (lambda: Settings(warp="none"), "softmax_dim 1 or 2, warp image or maps"),
        (
            lambda: Settings(styles=3, style_names=("a", "b", "a")),
            "style names a, b, a: expected 3 different ones, the number of styles",
        ),
        (
            lambda: Settings(styles=2, style_names=("a", "")),
            "style names: one is empty; write for example bare,natural,evening",
        ),
        (lambda: convert(None, "bf16"), "precision 'bf16', expected one of fp32, fp16, int8"),
    ],
)
def test_refusals(call, message) -> None:
    with pytest.raises(ExportError) as error:
        call()
    assert message in str(error.value)


@pytest.mark.usefixtures("_wide_graphs_once")
def test_export_command(app, weights, tmp_path) -> None:
    place = tmp_path / "psgan.zip"
    arguments = ["export", "psgan", "--weights", str(weights), "-o", str(place), "--pairs", "1"]
    runner = CliRunner()
    result = runner.invoke(app, arguments)
    assert isinstance(result.exception, InvalidInputError)
    assert "says nothing about its licence; pass --licence" in str(result.exception)
    result = runner.invoke(app, [*arguments, "--licence", "Apache-2.0", "--threads", "1"])
    assert result.exit_code == 0, result.output
    assert "final image" in result.output
    bundle = Bundle.open(place)
    weights_facts = bundle.manifest.weights
    assert weights_facts["licence"] == "Apache-2.0"
    assert weights_facts["step"] == 7
    assert bundle.manifest.constants["size"] == 64
    assert bundle.manifest.graphs["source"].outputs[0].shape == ("batch", 128, 16, 16)
    assert bundle.manifest.graphs["reference"].runs == "look"
    parity = json.loads(bundle.contents["parity.json"])
    assert parity["psnr_db"] >= parity["least_psnr_db"] == 70


@pytest.mark.usefixtures("_wide_graphs_once")
def test_import_command_reads_a_published_checkpoint(app, wide_psgan, tmp_path) -> None:
    torch.save(wide_psgan.state_dict(), tmp_path / "G.pth")
    place = tmp_path / "bundle"
    arguments = [
        "import",
        "psgan",
        str(tmp_path / "G.pth"),
        "-o",
        str(place),
        "--precision",
        "fp16",
    ]
    arguments += ["--width", "32", "--size", "64", "--pairs", "1", "--threads", "1", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["output"] == str(place)
    assert isinstance(told["arrival"], float)
    assert told["image"]["difference"]["psnr"] > 30
    manifest = Bundle.open(place).manifest
    assert (manifest.model, manifest.precision, manifest.weights["licence"]) == (
        "psgan", "fp16", "MIT"
    )  # fmt: skip


def test_import_refuses_another_network(app, weights, tmp_path) -> None:
    result = CliRunner().invoke(
        app, ["import", "ssat", str(weights), "-o", str(tmp_path / "b"), "--width", "8"]
    )
    assert isinstance(result.exception, MakeupError)
    assert "expected the sub-networks" in str(result.exception)


def test_weights_of_another_recipe_are_refused(tmp_path) -> None:
    path = tmp_path / "generator.safetensors"
    save_weights(PSGANGenerator(8), path, metadata={"recipe": "psgan"})
    with pytest.raises(ExportError, match="trained as psgan, not ssat; run makeup export psgan"):
        load_trained("ssat", path, Settings(width=8))
    load_trained("psgan", path, Settings(width=8))


def test_region_gan_weights_are_two_files(network_of, tmp_path) -> None:
    network = network_of("region-gan")
    save_weights(network.generator, tmp_path / "generator.safetensors")
    save_weights(network.masks, tmp_path / "masks.safetensors")
    loaded = load_trained("region-gan", tmp_path, Settings(width=16))
    for key, value in network.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value)


@pytest.mark.parametrize(
    ("options", "facts", "count", "names"),
    [
        ([], {}, 5, None),
        (["--style-names", "bare,smoky"], {}, 2, ["bare", "smoky"]),
        ([], {"styles": ["bare", "rosy", "evening"]}, 3, ["bare", "rosy", "evening"]),
        (["--style-names", "a,b", "--styles", "2"], {"styles": ["c", "d"]}, 2, ["a", "b"]),
    ],
)
def test_style_names(app, tmp_path, monkeypatch, options, facts, count, names) -> None:
    """Of the option, else of the file, they become a constant; they also count the styles."""
    network = entry_of("region-gan").build(Settings(width=8, styles=count))
    facts = {"width": 8, "size": 32, "licence": "Apache-2.0", **facts}
    save_weights(network.generator, tmp_path / "generator.safetensors", metadata=facts)
    save_weights(network.masks, tmp_path / "masks.safetensors")
    exported = []
    monkeypatch.setattr(commands, "_export", lambda graphs, *others: exported.append(graphs))
    arguments = ["export", "region-gan", "--weights", str(tmp_path), "-o", str(tmp_path / "b")]
    result = CliRunner().invoke(app, [*arguments, *options])
    assert result.exit_code == 0, result.output
    assert exported[0].constants["styles"] == count
    assert exported[0].constants.get("style_names") == names


def test_the_place_is_checked_before_the_work(app, weights, tmp_path) -> None:
    (tmp_path / "taken").mkdir()
    arguments = ["export", "psgan", "--weights", str(weights), "--licence", "MIT"]
    result = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "taken")])
    assert "already exists" in str(result.exception)
    result = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "b"), "--precision", "fp8"])
    assert "--precision fp8: expected one of fp32, fp16, int8" in str(result.exception)


def test_demo_faces_are_aligned() -> None:
    faces = demo_faces()
    assert len(faces) == 7
    for face in faces:
        assert face.image.shape == (256, 256, 3)
        assert set(np.unique(face.regions)) == {0, 1, 2, 3, 4}
        mouth = face.parsing[tuple(face.landmarks[[51, 57]].mean(0).astype(int)[::-1])]
        assert mouth in (7, 8, 9)
    small = faces[0].resized(64)
    assert small.image.shape == (64, 64, 3)
    np.testing.assert_allclose(small.landmarks, (faces[0].landmarks + 0.5) / 4 - 0.5, atol=1e-5)


def test_drawn_parsing_has_every_part() -> None:
    parsing = drawn_parsing(demo_faces()[0].landmarks, 256)
    assert set(np.unique(parsing)) >= {0, 1, 2, 3, 4, 5, 6, 7, 9, 10}


def test_faces_of_a_folder(faces_folder) -> None:
    faces = read_faces(faces_folder / "val", 3)
    assert len({face.name for face in faces}) == 3
    assert all({1, 7, 9, 10} <= set(np.unique(face.parsing)) for face in faces)


def test_a_folder_without_faces(tmp_path) -> None:
    with pytest.raises(InvalidInputError, match="expected landmarks68 for each name of images/"):
        read_faces(tmp_path, 3)
    (tmp_path / "labels.json").write_text("{}")
    with pytest.raises(InvalidInputError, match="names no face"):
        read_faces(tmp_path, 3)
    (tmp_path / "labels.json").write_text(json.dumps({"a": {"landmarks68": [[0, 0]] * 68}}))
    with pytest.raises(InvalidInputError, match="no such picture"):
        read_faces(tmp_path, 3)
