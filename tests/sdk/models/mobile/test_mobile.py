"""The learned model: looks as codes, paint as a change of colours."""

from importlib import resources

import cv2
import numpy as np
import pytest

from makeup_kernels import BundleError, InvalidInputError, Region, crop_face
from makeup_sdk import Look, MakeupEngine
from makeup_sdk.faces import FaceAnalysis
from makeup_sdk.faces.light import to_log
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.makeup.codes import CODES, GRID, MobileMakeup, template_cells, template_layout
from makeup_sdk.models.mobile.layout import CHANGE_GRIDS, LaidCodes
from makeup_sdk.models.mobile.model import MobileModel
from makeup_sdk.models.mobile.paint import ChangePaint, cells_of, keep_contrast, weaken, worn_shares
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


def ones():
    """A change of 1 everywhere."""
    return {
        part: np.ones((6, grid.rows, grid.columns), np.float32)
        for part, grid in CHANGE_GRIDS.items()
    }


def test_change_is_linear_in_strength_and_region(analysis, looks, model):
    face = analysis("dark.jpg")
    painter = model.painter(looks["teal-smoky"].makeup)
    full = painter.paint(face, FULL).change
    quarter = painter.paint(face, dict.fromkeys(FULL, 0.25)).change
    alone = [painter.paint(face, {region: 1.0}).change for region in MAKEUP_REGIONS]
    nothing = painter.paint(face, {}).change
    for part in CHANGE_GRIDS:
        assert full[part].any()
        assert np.allclose(quarter[part], 0.25 * full[part])
        assert np.allclose(sum(one[part] for one in alone), full[part], atol=1e-5)
        assert not nothing[part].any()


def test_change_is_zero_outside_the_regions():
    regions = np.zeros((256, 256), np.uint8)
    regions[100:150, 60:90] = Region.SKIN
    regions[180:190, 100:131] = Region.LIPS
    change = weaken(ones(), regions, FULL).change
    for part, inside, reach in (
        ("face", np.s_[:, 50:75, 30:45], np.s_[:, 50:75, 30:45]),
        ("lips", np.s_[:, 20:30, 12:43], np.s_[:, 19:31, 11:44]),
    ):
        assert (change[part][inside] > 0.75).all()  # corners of lips are rounded off
        assert (change[part][inside] == 1).mean() > 0.95
        change[part][inside] *= 0.5
        assert change[part].max() == 0.5
        change[part][reach] = 0
    assert not any(values.any() for values in change.values())


CONTRASTS = [(200, -60, 40), (30, 90, -60), (128, -128, 0), (0, 0, 30), (250, 0, 60)]
"""A grey, and what a change adds to it as gain times grey and as offset."""


def flat(value, gain, offset):
    """A grey crop, and the same change everywhere."""
    change = {
        part: np.concatenate([values[:3] * gain / max(value, 1), values[3:] * offset])
        for part, values in ones().items()
    }
    return np.full((256, 256, 3), value, np.uint8), change


@pytest.mark.parametrize(("value", "gain", "offset"), CONTRASTS)
def test_contrast_is_kept_around_the_same_colour(value, gain, offset):
    crop, change = flat(value, gain, offset)
    for part, values in keep_contrast(change, crop).items():
        assert values.dtype == np.float32
        assert values.shape == change[part].shape
        there = value * (1 + values[:3]) + values[3:]
        np.testing.assert_allclose(
            there, value * (1 + change[part][:3]) + change[part][3:], atol=1e-3
        )


@pytest.mark.parametrize(
    ("value", "gain", "offset"), [(200, -60, 40), (60, 90, -60), (128, -90, 20)]
)
def test_kept_contrast_is_that_of_log_light(value, gain, offset):
    crop, change = flat(value, gain, offset)
    values = keep_contrast(change, crop)["lips"][:, 20, 40]
    around = value + np.array([-4, 4], np.float32)
    painted = around * (1 + values[0]) + values[3]
    light = np.interp(
        np.stack([around, painted]), np.arange(256), to_log(np.arange(256, dtype=np.uint8))
    )
    before, after = np.diff(light)[:, 0]
    assert after == pytest.approx(before, rel=0.05)


def test_noise_does_not_show_in_the_layer(analysis, looks, model):
    """Noise moves the makeup's layer less than it does with the change as it was."""
    face = analysis("medium.jpg")
    change = model.painter(looks["red-classic"].makeup).change(face)
    noise = np.random.default_rng(0).normal(0, 3, face.crop.shape)
    noisy = np.clip(np.round(face.crop + noise), 0, 255).astype(np.uint8)
    lips = face.regions == Region.LIPS

    def layer(image, change):
        painted = image.copy()
        whole = FaceAnalysis(face.landmarks, face.score, np.eye(3)[:2], image, face.regions)
        weaken(change, face.regions, FULL).put(painted, whole, color="bgr", threads=1)
        return to_log(painted) - to_log(image)

    def trembling(change):
        return np.abs(layer(noisy, change) - layer(face.crop, change))[lips].mean()

    assert trembling(keep_contrast(change, face.crop)) < 0.8 * trembling(change)


def test_lips_close_over_the_line_between_them():
    regions = np.zeros((256, 256), np.uint8)
    regions[180:184, 100:130] = regions[185:190, 100:130] = Region.LIPS
    share = worn_shares(regions, FULL)["lips"]
    assert share[24, 14:40].min() > 0.6
    assert share[18].max() == 0


def test_regions_that_meet_leave_no_gap_and_no_ridge():
    """Lips go over into skin within two crop pixels, nearly between what both are."""
    regions = np.full((256, 256), Region.SKIN, np.uint8)
    regions[170:195, 101:150] = Region.LIPS
    change = {part: np.float32(0.5) * values for part, values in ones().items()}
    change["face"] *= 0.2
    for values in change.values():
        values[3:] = 0
    frame = np.full((256, 256, 3), 100, np.uint8)
    face = FaceAnalysis(np.zeros((68, 2), np.float32), 1.0, np.eye(2, 3), frame, regions)
    weaken(change, regions, FULL).put(frame, face, color="bgr", threads=1)
    frame = frame[8:-8, 8:-8]  # the map fades at the border of the crop
    assert frame.min() >= 110 - 5
    assert frame.max() <= 150 + 8
    assert (frame[164:185, 95:140] == 150).all()
    assert (frame[152:160, 91:144] == 110).all()


def test_cells_lie_on_the_crop():
    """Of the face's grid, cell (0, 0) covers the crop's first 2 × 2 pixels: its centre is at 0.5;
    that of the lips begins at crop pixel (88, 160)."""
    cells = cells_of(np.eye(2, 3), CHANGE_GRIDS["face"])
    assert np.allclose(cells @ [0.5, 0.5, 1], [0, 0])
    assert np.allclose(cells @ [254.5, 254.5, 1], [127, 127])
    assert np.allclose(cells_of(np.eye(2, 3), CHANGE_GRIDS["lips"]) @ [90, 161, 1], [2, 1])


def test_rgb_frames_get_the_same_makeup(engine, looks, demo, analyzer):
    frame = demo("medium.jpg")
    rgb = MakeupEngine(looks["red-classic"], model="mobile", color="rgb", analyzer=analyzer)
    assert np.array_equal(rgb.process(frame[..., ::-1])[..., ::-1], engine.process(frame))


def test_a_large_frame_keeps_its_texture(analysis, looks, model):
    """A gain multiplies the frame's own pixels: noise finer than the crop survives."""
    rng = np.random.default_rng(0)
    face = analysis("medium.jpg")
    change = np.zeros((6, 128, 128), np.float32)
    change[:3] = -0.5
    scale = 1 / 8
    frame = rng.integers(100, 160, (400, 400, 3)).astype(np.uint8)
    matrix = np.array([[scale, 0, 50], [0, scale, 50]])
    large = type(face)(face.landmarks, 1.0, matrix, face.crop, face.regions)
    result = frame.copy()
    ChangePaint({"face": change}).put(result, large, color="bgr", threads=1)
    assert np.abs(result - frame / 2).max() <= 0.5


def test_codes_laid_on_the_template_stay(looks):
    """From the template to itself: each region keeps its own mean code."""
    codes = looks["red-classic"].makeup.codes
    laid = LaidCodes(codes, template_layout()).on(template_layout())
    cells = template_cells()
    for region in MAKEUP_REGIONS:
        inside = cells == region
        drift = np.abs(laid[:, inside].mean(axis=1) - codes[:, inside].mean(axis=1)).max()
        assert drift < 0.1 * np.abs(codes).max()
    assert not laid[:, cells == Region.NONE].any()


def test_mirrored_reference_gives_the_same_look(analysis, model):
    face = analysis("red-classic.jpg")
    eye = np.eye(2, 3)
    plain = type(face)(face.crop_landmarks, 1.0, eye, face.crop, face.regions)
    from makeup_kernels.geometry import MIRRORED_POINTS

    points = face.crop_landmarks[MIRRORED_POINTS] * [-1, 1] + [255, 0]
    mirrored = type(face)(
        points.astype(np.float32),
        1.0,
        eye,
        np.ascontiguousarray(face.crop[:, ::-1]),
        np.ascontiguousarray(face.regions[:, ::-1]),
    )
    difference = np.abs(model.encode(plain).codes - model.encode(mirrored).codes).max()
    assert difference < 1e-4


def test_mix_and_compose_act_on_the_codes(looks):
    one, other = looks.values()
    mixed = Look.mix({one: 3.0, other: 1.0}).makeup.codes
    assert np.allclose(mixed, 0.75 * one.makeup.codes + 0.25 * other.makeup.codes, atol=1e-6)
    composed = Look.compose(lips=one, eyes=other)
    cells = template_cells()
    lips, eyes = cells == Region.LIPS, cells == Region.EYES
    assert np.array_equal(composed.makeup.codes[:, lips], one.makeup.codes[:, lips])
    assert np.array_equal(composed.makeup.codes[:, eyes], other.makeup.codes[:, eyes])
    assert composed.regions == {Region.LIPS, Region.EYES}


def test_look_file_comes_back(looks, tmp_path):
    look = looks["teal-smoky"]
    path = tmp_path / "teal.look"
    look.save(path)
    assert path.stat().st_size < 200_000
    loaded = Look.load(path)
    assert np.abs(loaded.makeup.codes - look.makeup.codes).max() < 0.01
    assert loaded.regions == look.regions


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((CODES, GRID, GRID), np.float64), "float64"),
        (np.zeros((CODES, 8, GRID), np.float16), r"\(16, 8, 64\)"),
        (np.full((CODES, GRID, GRID), np.nan, np.float16), r"out of \[-16, 16\]"),
    ],
)
def test_damaged_codes_are_refused(codes, message):
    with pytest.raises(ValueError, match=message):
        MobileMakeup.from_arrays({"codes": codes})


def test_damaged_look_file_says_so(tmp_path, looks):
    data = bytearray(looks["teal-smoky"].to_bytes())
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "bad.look"
    path.write_bytes(data)
    with pytest.raises(BundleError, match=r"bad\.look: not a look file or damaged"):
        Look.load(path)


def test_puts_on_colours_as_classic_does(analyzer, demo):
    engine = MakeupEngine(Look.from_colors(lips="#b3123a"), model="mobile", analyzer=analyzer)
    assert engine.look.makeup.kind == "classic"
    classic = MakeupEngine(engine.look, model="classic", analyzer=analyzer)
    assert np.array_equal(engine.process(demo("light.jpg")), classic.process(demo("light.jpg")))


def test_reads_photos_itself(analyzer, look_path):
    engine = MakeupEngine(model="mobile", analyzer=analyzer)
    engine.look = Look.from_photo(look_path, model="classic", analyzer=analyzer)
    assert engine.look.makeup.kind == "mobile"


def test_mixes_colours_with_photos(looks):
    card = Look.from_colors(lips="#5b1f5e")
    mixed = Look.mix({card: 1.0, looks["red-classic"]: 1.0})
    assert mixed.makeup.kind == "mobile"
    composed = Look.compose(lips=card, eyes=looks["teal-smoky"])
    cells = template_cells()
    eyes = cells == Region.EYES
    assert np.array_equal(composed.makeup.codes[:, eyes], looks["teal-smoky"].makeup.codes[:, eyes])
    assert composed.makeup.codes[:, cells == Region.LIPS].any()


def test_does_not_wear_a_style_without_a_photo(analyzer):
    engine = MakeupEngine(model="mobile", analyzer=analyzer)
    with pytest.raises(InvalidInputError, match="holds makeup of kind 'style'"):
        engine.look = Look.from_style("retro")


def test_swatch_is_a_painted_face(looks):
    pictures = [look.swatch() for look in looks.values()]
    assert pictures[0].shape == (256, 256, 3)
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
