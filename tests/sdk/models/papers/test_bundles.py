"""Bundles as the export writes them, through the engine and the command; and unusual ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from makeup_engines import Bundle, pack_bundle, write_bundle
from makeup_export.export import WeightsFacts, convert, prepare, report, write
from makeup_export.faces import demo_faces
from makeup_export.graph_modules import ModelGraphs
from makeup_kernels import BackendUnavailableError
from makeup_sdk import (
    BundleError,
    FaceAnalysis,
    InvalidInputError,
    Look,
    MakeupEngine,
    read_image,
    write_image,
)
from makeup_sdk.cli import app
from makeup_sdk.cli.options import parse_look
from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.models.base import Model, ModelOptions
from makeup_sdk.models.registry import open_model
from makeup_sdk.weights import FOLDER as MODELS

Image = NDArray[np.uint8]
WHOLE = dict.fromkeys(MAKEUP_REGIONS, 1.0)
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def bundle(
    graphs_of_model: Callable[[str], ModelGraphs], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The region-sensitive GAN, exported."""
    path = tmp_path_factory.mktemp("bundles") / "region-gan"
    prepared = prepare(
        graphs_of_model("region-gan"), demo_faces(), pairs=1, progress=lambda text: None
    )
    converted = convert(prepared, "fp32")
    parity = report(prepared, converted, "fp32", threads=1)
    write(path, prepared, converted, parity, "fp32", WeightsFacts("Apache-2.0", ()))
    return path


@pytest.fixture
def changed(bundle: Path, tmp_path: Path) -> Callable[[Change], Path]:
    """The bundle with another manifest."""

    def make(change: Change) -> Path:
        opened = Bundle.open(bundle)
        manifest = json.loads(opened.manifest_bytes)
        change(manifest)
        fields = {k: v for k, v in manifest.items() if k not in ("schema", "files")}
        write_bundle(tmp_path / "changed", fields, opened.contents)
        return tmp_path / "changed"

    return make


def test_exported_bundle_paints_what_the_network_does(
    bundle: Path,
    faces: tuple[FaceAnalysis, FaceAnalysis],
    model_of: Callable[[str], Model],
    tmp_path: Path,
) -> None:
    pack_bundle(Bundle.open(bundle), tmp_path / "packed.zip")
    look = Look.from_style("1")
    own = model_of("region-gan").painter(look.makeup).paint(faces[0], WHOLE)
    for path in (bundle, tmp_path / "packed.zip"):
        for backend in ("auto", "torch"):
            model = open_model(path, ModelOptions(backend=backend, threads=1))
            paint = model.painter(look.makeup).paint(faces[0], WHOLE)
            assert np.abs(paint.crop.astype(int) - own.crop).max() <= 1
            np.testing.assert_array_equal(paint.mask, own.mask)


def test_style_names_of_the_bundle(
    changed: Callable[[Change], Path], bundle: Path, faces: tuple[FaceAnalysis, FaceAnalysis]
) -> None:
    names = ["bare", "classic", "smoky"]
    named = open_model(changed(lambda m: m["constants"].update(style_names=names)))
    crops = [
        model.painter(Look.from_style(style).makeup).paint(faces[0], WHOLE).crop
        for model, style in ((named, "smoky"), (open_model(bundle), "2"))
    ]
    np.testing.assert_array_equal(*crops)


def test_apply_command(bundle: Path, tmp_path: Path, demo: Callable[[str], Image]) -> None:
    photo, output = tmp_path / "photo.png", tmp_path / "out.png"
    write_image(photo, demo("light.jpg"))
    arguments = ["apply", str(photo), "--model", str(bundle), "-o", str(output)]
    result = CliRunner().invoke(app, [*arguments, "--look", "style:1", "--region", "lips"])
    assert result.exit_code == 0, result.output
    engine = MakeupEngine(Look.from_style("1"), model=bundle)
    engine.strength = {MAKEUP_REGIONS[0]: 1.0}
    np.testing.assert_array_equal(read_image(output), engine.process(demo("light.jpg")))


def test_look_option() -> None:
    assert parse_look("a:b.jpg") == "a:b.jpg"
    assert parse_look("style:smoky").makeup == Look.from_style("smoky").makeup
    assert parse_look("bare").makeup.bare
    with pytest.raises(InvalidInputError, match="expected a name, for example style:smoky"):
        parse_look("style:")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(model="nobody"), "a bundle of 'nobody', which the engine cannot put"),
        (lambda m: m.update(model="psgan"), "the list of graphs is ['style', 'whole'], expected"),
        (lambda m: m["graphs"].pop("style"), "expected one named 'style'"),
        (
            lambda m: m["graphs"]["whole"]["inputs"][0].update(name="picture"),
            "the list of inputs of graph 'whole' is ['picture', 'style'], expected ('image',",
        ),
        (
            lambda m: m["graphs"]["whole"]["outputs"][0].update(name="picture"),
            "the list of outputs of graph 'whole' is ['picture', 'masks'], expected ('result',)",
        ),
        (lambda m: m["constants"].pop("size"), "constant 'size' is None, expected a multiple of 4"),
        (lambda m: m["constants"].update(size=True), "constant 'size' is True, expected"),
        (lambda m: m["constants"].update(size=1 << 20), "constant 'size' is 1048576, expected"),
        (lambda m: m["constants"].update(output=5), "constant 'output' is 5, expected scale"),
        (
            lambda m: m["constants"].update(output={"scale": "x", "offset": 0}),
            "constant 'output.scale' is x, expected a finite number",
        ),
        (lambda m: m["constants"].update(styles=0), "constant 'styles' is 0, expected a whole"),
        (
            lambda m: m["constants"].update(style_names=["a"]),
            "constant 'style_names' is ['a'], expected 3 names",
        ),
    ],
)
def test_unusual_bundles(changed: Callable[[Change], Path], change: Change, message: str) -> None:
    with pytest.raises(BundleError) as error:
        open_model(changed(change))
    assert message in str(error.value)


def test_bundles_that_are_none_of_ours(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="a bundle of 'face_detector'"):
        MakeupEngine(model=MODELS / "face_detector")
    with pytest.raises(BundleError, match=r"no manifest\.json there"):
        MakeupEngine(model=tmp_path)
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(BundleError, match="not a readable zip"):
        MakeupEngine(model=tmp_path / "x.zip")


def test_backend_that_cannot_run(bundle: Path, analyzer: BundledFaceAnalyzer) -> None:
    with pytest.raises(BackendUnavailableError, match="backend 'nope' is not available"):
        MakeupEngine(model=bundle, backend="nope", analyzer=analyzer)
