"""`mobile`: a reference's appearance as maps, put on as factors on a face's own light."""

from dataclasses import replace
from importlib import resources

import cv2
import numpy as np
import pytest

from makeup_kernels import BundleError, InvalidInputError, NoFaceError, Region, crop_face
from makeup_kernels.geometry import MIRRORED_POINTS
from makeup_sdk import Look, MakeupEngine
from makeup_sdk.faces import FaceAnalysis
from makeup_sdk.faces.light import decode_srgb, encode_srgb
from makeup_sdk.faces.skin_light import CheekLight
from makeup_sdk.faces.smoothing import SmoothingOptions, Step
from makeup_sdk.faces.types import CropGrid
from makeup_sdk.makeup.appearance import EXPOSURE_SHARE, WINDOWS, Appearance
from makeup_sdk.makeup.base import MAKEUP_REGIONS, TONE
from makeup_sdk.models.factors import GRIDS, FactorPaint, at_strength, coverage
from makeup_sdk.models.mobile.model import MobileModel
from makeup_sdk.stream import FrameProcessor, StreamOptions

FULL = dict.fromkeys(MAKEUP_REGIONS, 1.0)


@pytest.fixture(scope="module")
def model():
    return MobileModel()


@pytest.fixture(scope="module")
def looks(analysis, model):
    """Two looks by name."""
    names = ("red-classic", "teal-smoky")
    return {
        name: Look(model.encode(analysis(f"{name}.jpg")), frozenset(MAKEUP_REGIONS), name)
        for name in names
    }


@pytest.fixture
def look_path():
    return str(resources.files("makeup_sdk") / "assets" / "demo" / "red-classic.jpg")


@pytest.fixture(scope="module")
def engine(looks, analyzer):
    return MakeupEngine(looks["red-classic"], model="mobile", analyzer=analyzer)


def test_paints_the_face_and_nothing_else(engine, demo, analyzer):
    frame = demo("medium.jpg")
    result = engine.process(frame)
    face = analyzer.analyze(frame, analyzer.detect(frame, 1)[0])
    y, x = np.nonzero((result != frame).any(axis=2))
    assert len(y) > 1000
    crop = np.stack([x, y, np.ones_like(x)], axis=1) @ face.matrix.T
    cells = np.clip(np.round(crop).astype(int), 0, 255)
    near = np.array([(face.regions[r - 3 : r + 4, c - 3 : c + 4] > 0).any() for c, r in cells])
    assert near.all()


def test_reddens_lips_with_a_red_look(engine, demo, analyzer):
    frame = demo("light.jpg")
    result = engine.process(frame)
    face = analyzer.analyze(frame, analyzer.detect(frame, 1)[0])

    def redness(image):
        lips = crop_face(image, face.matrix)[face.regions == Region.LIPS].astype(float)
        return (lips[:, 2] - lips[:, 1]).mean()

    assert redness(result) > redness(frame) + 15


def gains(paint):
    """Gains of a paint, by grid."""
    return dict(paint.gains)


def test_change_is_linear_in_strength_and_region(analysis, looks, model):
    """In the logarithm of light; regions add up."""
    face = analysis("dark.jpg")
    painter = model.painter(looks["teal-smoky"].makeup)
    full = gains(painter.paint(face, FULL))
    quarter = gains(painter.paint(face, dict.fromkeys(FULL, 0.25)))
    alone = [gains(painter.paint(face, {region: 1.0})) for region in MAKEUP_REGIONS]
    assert not painter.paint(face, {}).gains
    for grid, change in full.items():
        assert change.any()
        np.testing.assert_allclose(np.log1p(quarter[grid]), 0.25 * np.log1p(change), atol=1e-5)
        parts = sum(np.log1p(one[grid]) for one in alone if grid in one)
        np.testing.assert_allclose(parts, np.log1p(change), atol=1e-5)


def bare_regions(regions):
    """A face analysis with no more than a region map; eyes shut far away."""
    crop = np.full((256, 256, 3), 100, np.uint8)
    return FaceAnalysis(np.full((68, 2), -50, np.float32), 1.0, np.eye(2, 3), crop, regions)


def everywhere(face):
    """A paint whose log factors are 1 all over the crop."""
    factors = {
        region: np.ones((3, grid.rows, grid.columns), np.float32) for region, grid in GRIDS.items()
    }
    return at_strength(factors, {region: coverage(face, region) for region in factors}, FULL)


def test_strength_beyond_one_goes_on_in_the_same_direction(analysis, looks, model):
    face = analysis("light.jpg")
    painter = model.painter(looks["red-classic"].makeup)
    whole, more = (painter.paint(face, dict.fromkeys(FULL, share)) for share in (1.0, 1.5))
    for grid, change in gains(whole).items():
        np.testing.assert_allclose(1 + gains(more)[grid], (1 + change) ** 1.5, rtol=2e-5)


def test_tone_is_the_shade_of_the_reference(analysis, looks, model):
    """The cheeks come nearer to the reference's; what is far from the face stays as it is."""
    face, makeup = analysis("dark.jpg"), looks["red-classic"].makeup
    painter = model.painter(makeup)
    assert TONE not in painter.factors(face)
    paint = painter.paint(face, {TONE: 1.0})
    picture = face.crop.copy()
    paint.put(picture, replace(face, matrix=np.eye(2, 3)), color="bgr", threads=1)
    before, after = (
        CheekLight.measure(crop, face.regions, EXPOSURE_SHARE).skin_lab
        for crop in (face.crop, picture)
    )
    wanted = makeup.skin - before
    assert np.linalg.norm(wanted) > 8
    assert (after - before) @ wanted > 0.4 * wanted @ wanted
    cover = coverage(face, TONE)
    assert cover.min() >= 0
    assert cover.max() <= 1
    skin = cv2.erode((face.regions == Region.SKIN).astype(np.uint8), np.ones((9, 9)))[::2, ::2] > 0
    assert cover[skin].min() > 0.95
    far = cv2.dilate((face.regions > 0).astype(np.uint8), np.ones((41, 41)))[::2, ::2] == 0
    assert far.any()
    assert cover[far].max() == 0


def test_a_region_that_comes_back_in_a_stream_starts_anew(analysis, looks, model):
    """What was averaged before a hand covered it is not carried over its absence."""
    face = analysis("light.jpg")
    covered = replace(face, regions=np.where(face.regions == Region.LIPS, 0, face.regions))
    other = replace(face, crop=np.ascontiguousarray(face.crop // 2))
    step = Step(0.04, np.eye(2, 3), 2.0, np.zeros((64, 64), np.float32))
    painter = model.painter(looks["red-classic"].makeup)
    follower = painter.follow(SmoothingOptions())
    for one in (face, face, covered, covered):
        follower.paint(one, step, FULL, 1.0)
    back = follower.paint(other, step, FULL, 1.0).gains[GRIDS[Region.LIPS]]
    alone = painter.paint(other, FULL).gains[GRIDS[Region.LIPS]]
    np.testing.assert_allclose(back, alone, atol=1e-6)


def test_nothing_changes_beyond_the_soft_outlines():
    regions = np.zeros((256, 256), np.uint8)
    regions[100:152, 60:92] = Region.SKIN
    regions[180:190, 100:131] = Region.LIPS
    paint = gains(everywhere(bare_regions(regions)))
    skin, lips = paint[GRIDS[Region.SKIN]][0], paint[GRIDS[Region.LIPS]][0]
    full = np.expm1(1 / 2.4)
    np.testing.assert_allclose(skin[52:74, 32:44], full, rtol=1e-5)
    np.testing.assert_allclose(lips[34:40, 30:57], full, rtol=1e-5)
    skin[50:76, 30:46] = 0
    lips[28:47, 24:63] = 0
    assert not skin.any()
    assert np.abs(lips).max() < 1e-3


def test_lips_close_over_the_line_between_them():
    regions = np.zeros((256, 256), np.uint8)
    regions[180:184, 100:130] = regions[185:190, 100:130] = Region.LIPS
    lips = gains(everywhere(bare_regions(regions)))[GRIDS[Region.LIPS]][0]
    assert lips[36, 32:54].min() > 0.9 * np.expm1(1 / 2.4)


@pytest.mark.parametrize("value", [20, 60, 128, 250])
@pytest.mark.parametrize("log_factor", [-1.0, -0.2, 0.3])
def test_paint_is_a_factor_on_linear_light(value, log_factor):
    frame = np.full((64, 64, 3), value, np.uint8)
    grid = CropGrid(0, 0, 64, 64, cell=1)
    change = np.full((3, 64, 64), np.expm1(log_factor / 2.4), np.float32)
    regions = np.zeros((256, 256), np.uint8)
    FactorPaint({grid: change}).put(frame, bare_regions(regions), color="bgr", threads=1)
    wanted = decode_srgb(np.array(value / 255)) * np.exp(log_factor)
    assert abs(frame[20, 20, 0] - min(255, 255 * float(encode_srgb(wanted)))) < 1.0


def test_cells_lie_on_the_crop():
    """Of the face's grid, cell (0, 0) covers the crop's first 2 × 2 pixels: its centre is at 0.5;
    that of the lips begins at crop pixel (72, 148)."""
    cells = GRIDS[Region.SKIN].cells_of(np.eye(2, 3))
    assert np.allclose(cells @ [0.5, 0.5, 1], [0, 0])
    assert np.allclose(cells @ [254.5, 254.5, 1], [127, 127])
    assert np.allclose(GRIDS[Region.LIPS].cells_of(np.eye(2, 3)) @ [74, 149, 1], [2, 1])


def test_rgb_frames_get_the_same_makeup(engine, looks, demo, analyzer):
    frame = demo("medium.jpg")
    rgb = MakeupEngine(looks["red-classic"], model="mobile", color="rgb", analyzer=analyzer)
    assert np.array_equal(rgb.process(frame[..., ::-1])[..., ::-1], engine.process(frame))


def relit(image, factors):
    """The same picture in other light."""
    lit = np.minimum(decode_srgb(image / 255) * factors, 1)
    return np.round(255 * encode_srgb(lit)).astype(np.uint8)


@pytest.mark.parametrize(
    ("factors", "most"),
    [((0.5, 0.5, 0.5), 0.1), ((0.25, 0.25, 0.25), 0.15), ((0.6, 0.8, 1.0), 0.25)],
)
def test_makeup_is_reflectance(analysis, looks, model, factors, most):
    """process(light(x)) is light(process(x)), but for what 8 bits lose and the skin's own hue."""
    face = analysis("medium.jpg")
    painter = model.painter(looks["red-classic"].makeup)

    def painted(crop):
        here = FaceAnalysis(face.crop_landmarks, 1.0, np.eye(2, 3), crop, face.regions)
        image = crop.copy()
        painter.paint(here, FULL).put(image, here, color="bgr", threads=1)
        return image

    crop = face.crop
    made_up = painted(crop)
    other = painted(relit(crop, factors)).astype(float)
    changed = (made_up != crop).any(axis=2)
    makeup = np.abs(relit(made_up, factors) - relit(crop, factors).astype(float))[changed].mean()
    off = np.abs(other - relit(made_up, factors))[changed].mean()
    assert off < most * makeup


def test_a_face_that_wears_the_look_already_changes_little(analysis, model):
    """A reference put on itself: what remains is side light, exposure, and limits."""
    face = analysis("red-classic.jpg")
    paint = model.painter(model.encode(face)).paint(face, FULL)
    other = model.painter(model.encode(analysis("teal-smoky.jpg"))).paint(face, FULL)
    lips = GRIDS[Region.LIPS]
    assert np.abs(paint.gains[lips]).mean() < 0.5 * np.abs(other.gains[lips]).mean()


def test_maps_are_relative_to_the_cheeks(analysis, model):
    makeup = model.encode(analysis("red-classic.jpg"))
    assert set(makeup.maps) == set(MAKEUP_REGIONS)
    for region, part in makeup.maps.items():
        window = WINDOWS[region]
        assert part.lab.shape == (window.rows, window.columns, 3)
        assert part.lab.dtype == part.seen.dtype == np.float32
        assert part.seen.min() >= 0
        assert part.seen.max() == 1
    lips, skin = makeup.maps[Region.LIPS].lab, makeup.maps[Region.SKIN].lab
    assert lips[16, 24, 1] > 15  # redder than the cheeks
    assert np.abs(skin[18:22, 11:22, 1:].mean(axis=(0, 1))).max() < 5


def covered(face, *hidden):
    """A face some of whose regions do not show."""
    regions = face.regions.copy()
    regions[np.isin(regions, hidden)] = Region.NONE
    return replace(face, regions=regions)


def test_covered_regions_stay_bare(analysis, looks, model):
    masked = covered(analysis("red-classic.jpg"), Region.LIPS)
    makeup = model.encode(masked)
    assert Region.LIPS not in makeup.maps
    face = analysis("medium.jpg")
    assert GRIDS[Region.LIPS] not in model.painter(makeup).paint(face, FULL).gains
    behind_mask = covered(face, Region.LIPS)
    painter = model.painter(looks["red-classic"].makeup)
    assert GRIDS[Region.LIPS] not in painter.paint(behind_mask, FULL).gains


def test_a_covered_reference_is_refused(analysis, model):
    face = analysis("red-classic.jpg")
    for hidden in ((Region.SKIN,), (Region.LIPS, Region.EYES, Region.BROWS)):
        with pytest.raises(NoFaceError, match="shows too little of the face"):
            model.encode(covered(face, *hidden))


def test_a_reference_without_colour_is_refused(analysis, model):
    face = analysis("red-classic.jpg")
    grey = np.repeat(face.crop.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    for tint in ((1, 1, 1), (0.8, 0.9, 1.0)):  # sepia has none of its own either
        crop = (grey * np.array(tint)).astype(np.uint8)
        with pytest.raises(InvalidInputError, match="has no colour"):
            model.encode(replace(face, crop=crop))


def test_mirrored_reference_gives_the_same_look(analysis, model):
    face = analysis("red-classic.jpg")
    eye = np.eye(2, 3)
    plain = type(face)(face.crop_landmarks, 1.0, eye, face.crop, face.regions)
    points = face.crop_landmarks[MIRRORED_POINTS] * [-1, 1] + [255, 0]
    mirrored = type(face)(
        points.astype(np.float32),
        1.0,
        eye,
        np.ascontiguousarray(face.crop[:, ::-1]),
        np.ascontiguousarray(face.regions[:, ::-1]),
    )
    one, other = model.encode(plain), model.encode(mirrored)
    for region, part in one.maps.items():
        both = (part.seen > 0.9) & (other.maps[region].seen[:, ::-1] > 0.9)
        away = np.abs(part.lab - other.maps[region].lab[:, ::-1])[both]
        assert away.mean() < 0.6, region


def test_mix_and_compose_act_on_the_maps(looks):
    one, other = looks.values()
    mixed = Look.mix({one: 3.0, other: 1.0}).makeup
    for region, part in mixed.maps.items():
        a, b = one.makeup.maps[region], other.makeup.maps[region]
        both = (a.seen == 1) & (b.seen == 1)
        np.testing.assert_allclose(part.lab[both], (0.75 * a.lab + 0.25 * b.lab)[both], atol=1e-4)
    composed = Look.compose(lips=one, eyes=other)
    lips, eyes = composed.makeup.maps[Region.LIPS], composed.makeup.maps[Region.EYES]
    np.testing.assert_allclose(lips.seen, one.makeup.maps[Region.LIPS].seen)
    np.testing.assert_allclose(eyes.seen, other.makeup.maps[Region.EYES].seen)
    assert composed.regions == set(composed.makeup.maps) == {Region.LIPS, Region.EYES}


def test_look_file_comes_back(looks, tmp_path):
    look = looks["teal-smoky"]
    path = tmp_path / "teal.look"
    look.save(path)
    assert path.stat().st_size < 100_000
    loaded = Look.load(path)
    for region, part in loaded.makeup.maps.items():
        assert np.abs(part.lab - look.makeup.maps[region].lab).max() < 0.05
        assert np.abs(part.seen - look.makeup.maps[region].seen).max() < 0.003
    np.testing.assert_array_equal(loaded.makeup.skin, look.makeup.skin)
    assert loaded.regions == look.regions


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lips_lab", np.zeros((32, 49, 3), np.float64), "lips_lab is float64"),
        ("eyes_lab", np.zeros((8, 85, 3), np.float16), r"expected float16 \(34, 85, 3\)"),
        ("skin_seen", np.zeros((33, 33), np.float32), "skin_seen is float32"),
        ("brows_lab", np.full((34, 85, 3), np.nan, np.float16), "brows_lab has values out of"),
        ("skin", np.full(3, 1e5, np.float32), r"skin has values out of \[-150, 150\]"),
    ],
)
def test_damaged_maps_are_refused(looks, name, value, message):
    arrays = looks["teal-smoky"].makeup.to_arrays() | {name: value}
    with pytest.raises(ValueError, match=message):
        Appearance.from_arrays(arrays)


def test_a_look_without_maps_is_refused():
    with pytest.raises(ValueError, match="no region has a map"):
        Appearance.from_arrays({"skin": np.zeros(3, np.float32)})


def test_damaged_look_file_says_so(tmp_path, looks):
    data = bytearray(looks["teal-smoky"].to_bytes())
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "bad.look"
    path.write_bytes(data)
    with pytest.raises(BundleError, match=r"bad\.look: not a look file or damaged"):
        Look.load(path)


def test_puts_on_products_as_they_are(analyzer, demo):
    engine = MakeupEngine(Look.from_colors(lips="#b3123a"), model="mobile", analyzer=analyzer)
    assert engine.look.makeup.kind == "products"
    products = MakeupEngine(engine.look, model="products", analyzer=analyzer)
    assert np.array_equal(engine.process(demo("light.jpg")), products.process(demo("light.jpg")))


def test_mixes_colours_with_photos(looks):
    card = Look.from_colors(lips="#5b1f5e")
    mixed = Look.mix({card: 1.0, looks["red-classic"]: 1.0})
    assert mixed.makeup.kind == "mobile"
    composed = Look.compose(lips=card, eyes=looks["teal-smoky"])
    eyes = looks["teal-smoky"].makeup.maps[Region.EYES]
    np.testing.assert_allclose(composed.makeup.maps[Region.EYES].seen, eyes.seen)
    assert composed.products == card.makeup.products


def test_does_not_wear_a_style_without_a_photo(analyzer):
    engine = MakeupEngine(model="mobile", analyzer=analyzer)
    with pytest.raises(InvalidInputError, match="holds makeup of kind 'style'"):
        engine.look = Look.from_style("retro")


def test_previews_are_painted_faces(looks):
    pictures = [look.preview() for look in looks.values()]
    assert pictures[0].shape == (512, 512, 3)
    assert (pictures[0] != pictures[1]).any()


def test_stream_steadies_the_change(engine, demo):
    """A still, noisy film: the makeup trembles less in a stream than frame by frame."""
    rng = np.random.default_rng(0)
    frames = [
        np.clip(demo("medium.jpg") + rng.normal(0, 5, demo("medium.jpg").shape), 0, 255).astype(
            np.uint8
        )
        for _ in range(12)
    ]
    processor = FrameProcessor(engine, StreamOptions())

    def trembling(results):
        layers = [r.astype(float) - f for r, f in zip(results, frames, strict=True)]
        smooth = [cv2.GaussianBlur(layer, (0, 0), 3) for layer in layers]  # noise times gain goes
        return np.std(smooth[6:], axis=0).mean()

    streamed = trembling([processor.process(f, n / 30).image for n, f in enumerate(frames)])
    assert streamed < 0.6 * trembling([engine.process(f) for f in frames])


def test_a_still_face_is_worked_out_now_and_then(analysis, looks, model, monkeypatch):
    """Between, its factors are carried along; a change of the picture counts at once."""
    painter = model.painter(looks["red-classic"].makeup)
    calls = []
    factors = painter.factors
    monkeypatch.setattr(
        painter, "factors", lambda face, tone: calls.append(1) or factors(face, tone=tone)
    )
    face = analysis("medium.jpg")
    follower = painter.follow(SmoothingOptions())
    still = Step(1 / 30, np.eye(2, 3), 0.0, np.zeros((64, 64), np.float32))
    news = Step(1 / 30, np.eye(2, 3), 0.0, np.ones((64, 64), np.float32))
    paints = [follower.paint(face, step, FULL, 1.0) for step in (None, *[still] * 8)]
    assert len(calls) == 3
    lips = GRIDS[Region.LIPS]
    np.testing.assert_allclose(paints[-1].gains[lips], paints[0].gains[lips], atol=1e-4)
    follower.paint(face, news, FULL, 1.0)
    assert len(calls) == 4
