"""Every published model through the engine, against its own network in PyTorch."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from exported import KnownFace, as_exported
from numpy.typing import NDArray

from makeup_export.graph_modules import ModelGraphs
from makeup_sdk import FaceAnalysis, InvalidInputError, Look, MakeupEngine, Region
from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.makeup.references import References
from makeup_sdk.models.base import CropPaint, Model
from makeup_sdk.models.papers.reference_model import painter_class
from makeup_sdk.models.papers.region_gan import StyleModel

Image = NDArray[np.uint8]
Models = Callable[[str], Model]
Networks = Callable[[str], ModelGraphs]
Faces = tuple[FaceAnalysis, FaceAnalysis]
Demo = Callable[[str], Image]

TRANSFERS = (
    "psgan",
    "psgan-sr",
    "psgan-sr:mobile",
    "psgan-pose",
    "psgan-pose:maps",
    "ssat",
    "portrait-edit",
)
WHOLE = dict.fromkeys(MAKEUP_REGIONS, 1.0)


@pytest.fixture
def look_of(faces: Faces, model_of: Models) -> Callable[[str], Look]:
    """What each model wears in these tests."""

    def make(name: str) -> Look:
        if name == "region-gan":
            return Look.from_style("0")
        return reference_look(model_of(name), faces[1])

    return make


def reference_look(model: Model, face: FaceAnalysis) -> Look:
    makeup = model.encode(face)
    return Look(makeup, model.regions, "reference", makeup)


def bare_look(face: FaceAnalysis) -> Look:
    return Look(References.of(face, bare=True), frozenset(MAKEUP_REGIONS), "bare")


def truth(graphs: ModelGraphs, source: KnownFace, reference: KnownFace) -> NDArray[np.float32]:
    """The network's own image, untouched by the split into graphs: (3, S, S), BGR in [-1, 1]."""
    with torch.no_grad():
        return graphs.truth(source, reference)


def expected_crop(face: FaceAnalysis, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The painted crop of a network's image (3, S, S): at 256 the image itself, else its change."""
    pixels = image.transpose(1, 2, 0) * 127.5 + 127.5
    side = len(pixels)
    if side < 256:
        small = cv2.resize(face.crop, (side, side), interpolation=cv2.INTER_AREA)
        pixels = face.crop + cv2.resize(pixels - small, (256, 256))
    return np.clip(pixels, 0, 255)


def painted(model: Model, look: Look, face: FaceAnalysis) -> CropPaint:
    paint = model.painter(look.makeup).paint(face, WHOLE)
    assert isinstance(paint, CropPaint)
    return paint


@pytest.mark.parametrize("name", [*TRANSFERS, "region-gan"])
def test_crop_is_the_networks_own_image(
    name: str, faces: Faces, model_of: Models, graphs_of_model: Networks, look_of: Callable
) -> None:
    model, graphs = model_of(name), graphs_of_model(name)
    crop = painted(model, look_of(name), faces[0]).crop
    rounded = name in ("psgan", "psgan-sr", "psgan-sr:mobile")
    source, reference = (as_exported(face, graphs.size, rounded=rounded) for face in faces)
    true = truth(graphs, source, reference)[:, : graphs.size]  # ssat's removal lies below
    error = np.abs(crop - expected_crop(faces[0], true))
    assert crop.std() > 1
    assert error.mean() < 0.3  # half a step of rounding is 0.25 on average
    assert np.percentile(error, 99.9) < 1.5


def test_removal_is_the_networks_own_image(
    faces: Faces, model_of: Models, graphs_of_model: Networks
) -> None:
    model, graphs = model_of("ssat"), graphs_of_model("ssat")
    bare, made_up = faces
    crop = painted(model, bare_look(bare), made_up).crop
    true = truth(graphs, as_exported(bare, graphs.size), as_exported(made_up, graphs.size))
    error = np.abs(crop - expected_crop(made_up, true[:, graphs.size :]))
    assert error.mean() < 0.3


def test_removal_borrows_from_the_nearest_skin(
    model_of: Models, analyzer: BundledFaceAnalyzer, analysis: Callable[[str], FaceAnalysis]
) -> None:
    model, everybody = model_of("ssat"), Look.bare(analyzer=analyzer)
    for file in ("light.jpg", "dark.jpg"):
        nearest = painted(model, everybody, analysis(file)).crop
        own = painted(model, bare_look(analysis(file)), analysis(file)).crop
        np.testing.assert_array_equal(nearest, own)


@pytest.mark.parametrize("name", [*TRANSFERS, "region-gan"])
def test_only_the_regions_asked_for_change(
    name: str,
    faces: Faces,
    model_of: Models,
    look_of: Callable,
    analyzer: BundledFaceAnalyzer,
    demo: Demo,
) -> None:
    frame = demo("light.jpg")
    engine = MakeupEngine(look_of(name), model=model_of(name), analyzer=analyzer)
    result = engine.process_detailed(frame)
    assert result.faces[0].painted
    for strength, regions in ((1.0, MAKEUP_REGIONS), ({Region.LIPS: 0.7}, (Region.LIPS,))):
        engine.strength = strength
        changed = (engine.process(frame) != frame).any(axis=2)
        inside = cv2.dilate(np.isin(faces[0].regions, regions).astype(np.uint8), np.ones((5, 5)))
        inverse = cv2.invertAffineTransform(faces[0].matrix)
        allowed = cv2.warpAffine(inside, inverse, frame.shape[1::-1]) > 0
        assert changed.sum() > 300
        assert not changed[~allowed].any()
    engine.strength = 0
    np.testing.assert_array_equal(engine.process(frame), frame)


def test_strength_scales_the_change(
    model_of: Models, look_of: Callable, analyzer: BundledFaceAnalyzer, demo: Demo
) -> None:
    frame = demo("light.jpg").astype(int)
    engine = MakeupEngine(look_of("psgan"), model=model_of("psgan"), analyzer=analyzer)
    changes = []
    for strength in (1.0, 0.5):
        engine.strength = strength
        changes.append((engine.process(demo("light.jpg")) - frame).astype(float))
    clipped = (frame + changes[0] <= 0) | (frame + changes[0] >= 255)
    np.testing.assert_allclose(changes[1][~clipped], changes[0][~clipped] / 2, atol=1.01)


def test_strength_beyond_one_goes_on_in_the_same_direction(
    faces: Faces, model_of: Models, look_of: Callable[[str], Look]
) -> None:
    model = model_of("psgan")
    painter = look_of("psgan").painter(model)
    face = faces[0]
    whole, more = (
        painter.paint(face, dict.fromkeys(MAKEUP_REGIONS, share)) for share in (1.0, 1.5)
    )
    np.testing.assert_array_equal(whole.mask, more.mask)
    change = whole.crop.astype(float) - face.crop
    expected = np.where(face.regions[..., None] > 0, 1.5, 1) * change + face.crop
    shown = (expected > 1) & (expected < 254)
    np.testing.assert_allclose(more.crop[shown], expected[shown], atol=1.0)


def test_several_faces_rgb_and_in_place(
    model_of: Models, look_of: Callable, analyzer: BundledFaceAnalyzer, demo: Demo
) -> None:
    frame = np.hstack([demo("light.jpg"), demo("dark.jpg")])
    bgr = MakeupEngine(look_of("psgan-pose"), model=model_of("psgan-pose"), analyzer=analyzer)
    result = bgr.process_detailed(frame)
    assert [face.painted for face in result.faces] == [True, True]
    width = frame.shape[1] // 2
    assert all((result.image != frame)[:, s].any() for s in (slice(width), slice(width, None)))
    rgb = MakeupEngine(
        look_of("psgan-pose"), model=model_of("psgan-pose"), analyzer=analyzer, color="rgb"
    )
    turned = frame[..., ::-1].copy()
    assert rgb.process(turned, out=turned) is turned
    np.testing.assert_array_equal(turned[..., ::-1], result.image)
    bgr.max_faces = 1
    assert len(bgr.process_detailed(frame).faces) == 1


def test_stream_fades_between_looks(
    model_of: Models, faces: Faces, analyzer: BundledFaceAnalyzer, demo: Demo
) -> None:
    frame, model = demo("light.jpg"), model_of("psgan-pose")
    engine = MakeupEngine(reference_look(model, faces[1]), model=model, analyzer=analyzer)
    images = []
    for number, result in enumerate(engine.stream([frame] * 24)):
        assert result.faces[0].painted
        images.append(result.image.astype(int))
        if number == 3:
            engine.look = reference_look(model, faces[0])
    first, last = images[0], images[-1]
    outside = (first == frame).all(axis=2) & (last == frame).all(axis=2)
    assert outside.mean() > 0.5
    ways = [np.abs(image - first).mean() for image in images]
    assert ways[-1] > 1
    assert any(0.2 * ways[-1] < way < 0.8 * ways[-1] for way in ways)


@pytest.mark.parametrize("name", TRANSFERS)
def test_mix_of_a_look_with_itself_is_the_look(name: str, faces: Faces, model_of: Models) -> None:
    model = model_of(name)
    one, two = (reference_look(model, faces[1]) for _ in range(2))
    mixed = Look.mix({one: 1.0, two: 3.0})
    away = painted(model, mixed, faces[0]).crop.astype(int) - painted(model, one, faces[0]).crop
    assert np.abs(away).max() <= 1


def test_mix_averages_and_compose_takes_regions(faces: Faces, model_of: Models) -> None:
    model, face = model_of("psgan-pose"), faces[0]
    a, b = (reference_look(model, reference) for reference in (faces[1], faces[0]))
    crops = [painted(model, look, face).crop.astype(float) for look in (a, b)]
    mixed = painted(model, Look.mix({a: 0.25, b: 0.75}), face).crop
    expected = 0.25 * crops[0] + 0.75 * crops[1]
    kept = ((crops[0] > 0) & (crops[0] < 255) & (crops[1] > 0) & (crops[1] < 255)).all(axis=2)
    np.testing.assert_allclose(mixed[kept], expected[kept], atol=1.01)
    composed = painted(model, Look.compose(lips=a, skin=b), face).crop
    # away from where the enlargement of a network's crop mixes two regions
    for region, crop in ((Region.LIPS, crops[0]), (Region.SKIN, crops[1])):
        inside = cv2.erode((face.regions == region).astype(np.uint8), np.ones((11, 11))) > 0
        assert inside.sum() > 10
        np.testing.assert_allclose(composed[inside], crop[inside], atol=1.01)


@pytest.mark.parametrize("name", ["psgan", "region-gan"])
def test_saved_look_paints_the_same(
    name: str, faces: Faces, model_of: Models, look_of: Callable, tmp_path: Path
) -> None:
    model, look = model_of(name), look_of(name)
    path = tmp_path / "x.look"
    look.save(path)
    loaded = Look.load(path)
    assert loaded.regions == look.regions
    assert path.stat().st_size < 250_000
    np.testing.assert_array_equal(
        painted(model, loaded, faces[0]).crop, painted(model, look, faces[0]).crop
    )


def test_photo_look_is_read_again_by_another_model(
    faces: Faces, model_of: Models, analyzer: BundledFaceAnalyzer, look: Look
) -> None:
    engine = MakeupEngine(look, model=model_of("psgan"), analyzer=analyzer)
    assert engine.look is not None
    assert engine.look.makeup.kind == "reference"
    back = engine.look.made_for(MakeupEngine(model="mobile", analyzer=analyzer).model)
    for region, part in look.makeup.maps.items():
        np.testing.assert_array_equal(back.makeup.maps[region].lab, part.lab)


@pytest.mark.parametrize("name", [*TRANSFERS, "region-gan"])
def test_signature_is_that_of_the_export(name: str, graphs_of_model: Networks) -> None:
    exported = graphs_of_model(name).graphs
    own = name.partition(":")[0]
    painter = StyleModel if name == "region-gan" else painter_class(own, exported)
    assert painter.SIGNATURE.keys() == exported.keys()
    for key, (inputs, outputs) in painter.SIGNATURE.items():
        assert set(inputs) == set(exported[key].inputs)
        assert set(outputs) <= set(exported[key].outputs)


def test_region_bits_follow_the_strength(
    faces: Faces, model_of: Models, graphs_of_model: Networks
) -> None:
    model, graphs = model_of("region-gan"), graphs_of_model("region-gan")
    painter = model.painter(Look.from_style("2").makeup)
    crop = painter.paint(faces[0], {Region.LIPS: 0.4, Region.EYES: 0.0}).crop
    label = np.array([[0, 0, 1, 0, 1, 0]], np.float32)  # style 2 of 3; eyes, lips, skin
    style = graphs.run("style", {"label": label})["style"]
    small = as_exported(faces[0], graphs.size).image
    image = small.transpose(2, 0, 1)[None].astype(np.float32) - 127.5
    true = graphs.run("whole", {"image": image, "style": style})["result"][0]
    assert np.abs(crop - expected_crop(faces[0], true)).mean() < 0.3


@pytest.mark.parametrize(
    ("name", "look", "message"),
    [
        (
            "psgan",
            lambda: Look.from_style("0"),
            "look '0' holds makeup of kind 'style' and no photo; model 'psgan' wears 'reference'",
        ),
        ("psgan", Look.bare, "which model 'psgan' cannot do; use model 'ssat'"),
        ("region-gan", lambda: Look.from_style("x"), "style: 'x' is unknown to region-gan"),
        ("mobile", Look.bare, "takes makeup off, which model 'mobile' cannot do"),
        ("mobile", lambda: Look.from_style("0"), "model 'mobile' wears 'mobile'"),
    ],
)
def test_looks_that_do_not_fit(
    name: str,
    look: Callable[[], Look],
    message: str,
    model_of: Models,
    analyzer: BundledFaceAnalyzer,
) -> None:
    model = name if name == "mobile" else model_of(name)
    with pytest.raises(InvalidInputError) as error:
        MakeupEngine(look(), model=model, analyzer=analyzer)
    assert message in str(error.value)


def test_style_model_takes_no_photo(
    model_of: Models, analyzer: BundledFaceAnalyzer, demo: Demo
) -> None:
    with pytest.raises(
        InvalidInputError, match=r"from_style\(name\), or --look style:NAME, with a name of 0"
    ):
        MakeupEngine(demo("red-classic.jpg"), model=model_of("region-gan"), analyzer=analyzer)
