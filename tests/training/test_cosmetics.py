"""The cosmetics renderer, tested on the shipped demo faces, and the script that made those."""

import dataclasses
import importlib.resources
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from makeup_kernels import InvalidInputError
from makeup_sdk.cosmetics.light import to_linear
from makeup_training import demo_pictures
from makeup_training.cosmetics import (
    STYLES,
    Blush,
    BrowTint,
    Contour,
    EyeShadow,
    Face,
    Foundation,
    Liner,
    Lipstick,
    Makeup,
    random_makeup,
    render,
    triple,
)
from makeup_training.demo_pictures.__main__ import main as demo_main

DEMO = Path(str(importlib.resources.files("makeup_sdk"))) / "assets" / "demo"
LISTING = json.loads((DEMO / "demo.json").read_text())
SOURCES = ("light", "medium", "dark")
FULL = Makeup(
    Lipstick("#b3123a", gloss=0.8, matte=0.3, liner_color="#6b1230"),
    EyeShadow("#1f8a8a", "#5c2a4e", "#2a2628", "#f2dcc4", shimmer=0.8, lower=0.7),
    Liner(width=0.6, wing=0.8, lower=0.5, lashes=1.0),
    BrowTint("#3a2a22"),
    Blush("#d9707a", 0.4, "draped"),
    Contour(0.5, 0.6),
    Foundation(0.7, 0.2, 0.2, 0.5),
)


def faces_folder():
    folder = Path(os.environ.get("MAKEUP_FACES", Path(__file__).parents[3] / "shared" / "faces"))
    if not (folder / "train" / "labels.json").exists():
        pytest.skip("no faces: set MAKEUP_FACES to the folder that holds train/")
    return folder


def demo_face(name):
    entry = next(e for e in LISTING["pictures"] if e["file"] == f"{name}.jpg")
    return cv2.imread(str(DEMO / entry["file"])), np.array(entry["landmarks68"], np.float32)


def polygon(shape, points, grow=0):
    """bool (H, W): a landmark polygon, grown or shrunk by whole pixels."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
    kernel = np.ones((2 * abs(grow) + 1,) * 2, np.uint8)
    return (cv2.dilate(mask, kernel) if grow > 0 else cv2.erode(mask, kernel)) > 0


def mean_lab(image, mask):
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)[mask].mean(axis=0)


def hex_lab(color):
    return mean_lab(
        np.uint8([[[int(color[i : i + 2], 16) for i in (5, 3, 1)]]]), np.ones((1, 1), bool)
    )


def wear(name, makeup, seed=0, **options):
    image, landmarks = demo_face(name)
    return image, render(image, landmarks, makeup, np.random.default_rng(seed), **options)


# --- what is painted ---


@pytest.mark.parametrize("name", SOURCES)
def test_same_seed_same_picture_and_other_seed_other_hand(name):
    image, first = wear(name, FULL, seed=3)
    _, again = wear(name, FULL, seed=3)
    _, other = wear(name, FULL, seed=4)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert np.abs(first.astype(int) - other).mean() < 0.3 * np.abs(first.astype(int) - image).mean()


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_outside_the_face(name):
    image, painted = wear(name, FULL)
    _, landmarks = demo_face(name)
    eye_distance = np.hypot(*(landmarks[45] - landmarks[36]))
    forehead = landmarks[17:27] - (0, 0.5 * eye_distance)
    hull = cv2.convexHull(np.vstack([landmarks, forehead]).astype(np.float32))[:, 0]
    outside = ~polygon(image.shape, hull, grow=2)
    np.testing.assert_array_equal(painted[outside], image[outside])
    assert (painted != image).any(axis=2).mean() > 0.1


@pytest.mark.parametrize("name", SOURCES)
def test_lipstick_changes_the_lips_alone(name):
    lipstick = Lipstick("#7a1440", 0.9, gloss=1.0, liner_color="#4a1026")
    image, painted = wear(name, Makeup(lipstick))
    _, landmarks = demo_face(name)
    changed = (painted != image).any(axis=2)
    assert not changed[~polygon(image.shape, landmarks[48:60], grow=4)].any()
    assert changed[polygon(image.shape, landmarks[48:60], grow=-4)].mean() > 0.95


def test_eye_products_stay_between_cheek_and_brow():
    makeup = Makeup(shadow=FULL.shadow, liner=FULL.liner)
    image, painted = wear("medium", makeup)
    _, landmarks = demo_face("medium")
    rows, columns = np.nonzero((painted != image).any(axis=2))
    assert rows.min() >= landmarks[17:27, 1].min()
    assert rows.max() <= landmarks[29, 1]
    assert columns.min() > landmarks[0, 0]
    assert columns.max() < landmarks[16, 0]


@pytest.mark.parametrize("name", SOURCES)
def test_both_eyes_are_made_up_alike(name):
    image, painted = wear(name, Makeup(shadow=EyeShadow("#1f8a8a", opacity=0.9)))
    _, landmarks = demo_face(name)
    change = np.abs(painted.astype(float) - image).sum(axis=2)
    middle = int(landmarks[27, 0])
    left, right = change[:, :middle].sum(), change[:, middle:].sum()
    assert 0.6 < left / right < 1.6


def test_eyeballs_stay_clear_of_shadow():
    image, painted = wear("light", Makeup(shadow=dataclasses.replace(FULL.shadow, opacity=1.0)))
    _, landmarks = demo_face("light")
    for eye in (landmarks[36:42], landmarks[42:48]):
        inside = polygon(image.shape, eye, grow=-2)
        assert inside.sum() > 50
        np.testing.assert_array_equal(painted[inside], image[inside])


def test_teeth_stay_clear_of_lipstick():
    image, landmarks = demo_face("light")
    landmarks = landmarks.copy()
    landmarks[[56, 57, 58]] += (0, 26)
    landmarks[[55, 59]] += (0, 18)
    landmarks[[65, 66, 67]] += (0, 26)
    lips, teeth = polygon(image.shape, landmarks[48:60]), polygon(image.shape, landmarks[60:68])
    image[lips] = (110, 105, 175)
    image[teeth] = (225, 235, 238)
    painted = render(image, landmarks, Makeup(Lipstick("#7a1440", 1.0)), np.random.default_rng(0))
    clear = polygon(image.shape, landmarks[60:68], grow=-3)
    np.testing.assert_array_equal(painted[clear], image[clear])
    ring = polygon(image.shape, landmarks[48:60], grow=-3) & ~cv2.dilate(
        teeth.astype(np.uint8), np.ones((7, 7))
    ).astype(bool)
    assert np.abs(painted[ring].astype(int) - image[ring]).mean() > 25


def test_parse_keeps_paint_off_hair():
    image, landmarks = demo_face("medium")
    parse = np.full(image.shape[:2], 1, np.uint8)
    parse[:, : int(landmarks[27, 0])] = 10
    _, painted = wear("medium", FULL, parse=parse)
    np.testing.assert_array_equal(painted[parse == 10], image[parse == 10])
    assert (painted[parse == 1] != image[parse == 1]).any()


@pytest.mark.parametrize("name", SOURCES)
def test_zero_amounts_are_the_identity(name):
    nothing = Makeup(
        Lipstick("#b3123a", 0.0, gloss=0.0),
        EyeShadow("#1f8a8a", "#5c2a4e", "#2a2628", "#f2dcc4", 0.0, lower=0.9),
        Liner(opacity=0.0, lashes=0.0, lower=1.0, wing=1.0),
        BrowTint("#3a2a22", 0.0),
        Blush("#d9707a", 0.0),
        Contour(0.0, 0.0),
        Foundation(0.0, 0.0, 0.0, 0.0),
    )
    for makeup in (nothing, Makeup()):
        image, painted = wear(name, makeup)
        np.testing.assert_array_equal(painted, image)


# --- the colours that arrive ---


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("color", ["#b3101f", "#7a1440", "#1f6f78", "#8a2be2", "#341018"])
def test_lips_take_the_described_colour(name, color):
    image, painted = wear(name, Makeup(Lipstick(color, 0.95, gloss=0.0)))
    _, landmarks = demo_face(name)
    lips = polygon(image.shape, landmarks[48:60], grow=-3)
    target, before, after = hex_lab(color), mean_lab(image, lips), mean_lab(painted, lips)
    away, was = (np.linalg.norm((lab - target)[1:]) for lab in (after, before))
    assert away < max(0.72 * was, 7.0)  # in the light of the face, not of the swatch
    assert away < was


@pytest.mark.parametrize("name", SOURCES)
def test_more_opacity_goes_further(name):
    image, _ = demo_face(name)
    moved = [
        np.abs(wear(name, Makeup(Lipstick("#7a1440", o, gloss=0.0)))[1].astype(int) - image).sum()
        for o in (0.1, 0.3, 0.6, 0.9)
    ]
    assert moved == sorted(moved)
    assert moved[0] > 0


def test_pale_paint_lightens_dark_lips_and_dark_paint_darkens_light_ones():
    for name, color, sign in (("dark", "#e8a0a8", 1), ("light", "#341018", -1)):
        image, painted = wear(name, Makeup(Lipstick(color, 0.9, gloss=0.0)))
        _, landmarks = demo_face(name)
        lips = polygon(image.shape, landmarks[48:60], grow=-3)
        assert sign * (mean_lab(painted, lips) - mean_lab(image, lips))[0] > 5


@pytest.mark.parametrize("name", SOURCES)
def test_paint_keeps_the_lips_texture(name):
    image, painted = wear(name, Makeup(Lipstick("#b3123a", 0.9, gloss=0.0)))
    _, landmarks = demo_face(name)
    lips = polygon(image.shape, landmarks[48:60], grow=-4)
    detail = [
        gray - cv2.GaussianBlur(gray, (0, 0), 4.0)
        for gray in (
            cv2.cvtColor(i, cv2.COLOR_BGR2GRAY).astype(np.float32) for i in (image, painted)
        )
    ]
    assert np.corrcoef(detail[0][lips], detail[1][lips])[0, 1] > 0.75


def test_gloss_adds_highlights_and_matte_takes_them():
    _, landmarks = demo_face("dark")
    peaks = []
    for finish in ({"matte": 1.0, "gloss": 0.0}, {"gloss": 0.0}, {"gloss": 1.0}):
        image, painted = wear("dark", Makeup(Lipstick("#b3123a", 0.6, **finish)))
        lips = polygon(image.shape, landmarks[48:60], grow=-3)
        peaks.append(np.percentile((to_linear(painted) @ [0.07, 0.72, 0.21])[lips], 97))
    assert peaks[0] < peaks[1] < peaks[2]


@pytest.mark.parametrize("name", SOURCES)
def test_blush_reddens_the_cheeks(name):
    image, painted = wear(name, Makeup(blush=Blush("#d9707a", 0.6)))
    _, landmarks = demo_face(name)
    for cheek in ([2, 31, 48], [14, 35, 54]):
        mask = polygon(image.shape, landmarks[cheek], grow=-6)
        assert (mean_lab(painted, mask) - mean_lab(image, mask))[1] > 1.5


def test_foundation_lightness_and_warmth():
    _, landmarks = demo_face("medium")
    means = {}
    for key, shift in {"base": {}, "light": {"lightness": 1.0}, "warm": {"warmth": 1.0}}.items():
        image, painted = wear("medium", Makeup(foundation=Foundation(0.5, **shift)))
        cheeks = polygon(image.shape, landmarks[[2, 31, 48]], grow=-5)
        means[key] = mean_lab(painted, cheeks)
    assert means["light"][0] > means["base"][0] + 2
    assert means["warm"][2] > means["base"][2] + 2


# --- hard faces ---


@pytest.mark.parametrize("style", STYLES)
def test_faces_cut_off_squeezed_and_rolled_are_painted(style):
    image, landmarks = demo_face("light")
    makeup = random_makeup(np.random.default_rng(1), style)
    centre = landmarks.mean(axis=0)
    cases = {
        "half outside": (image[:, 256:], landmarks - (256, 0)),
        "profile": (image, centre + (landmarks - centre) * (0.25, 1)),
        "upside down": (image[::-1, ::-1], 511 - landmarks),
        "tiny": (cv2.resize(image, (48, 48)), landmarks * 48 / 512),
    }
    for case, (picture, points) in cases.items():
        before = picture.copy()
        painted = render(picture, points, makeup, np.random.default_rng(0))
        assert painted.shape == picture.shape, case
        assert (painted != picture).any(), case
        np.testing.assert_array_equal(picture, before)


def test_a_rolled_face_wears_the_same_makeup():
    image, landmarks = demo_face("medium")
    makeup = Makeup(Lipstick("#b3123a", 0.9, gloss=0.0), EyeShadow("#1f8a8a"), None)
    upright = render(image, landmarks, makeup, np.random.default_rng(0))
    turned = render(image[::-1, ::-1], 511 - landmarks, makeup, np.random.default_rng(0))
    apart = np.abs(turned[::-1, ::-1].astype(int) - upright).sum()
    assert apart < 0.2 * np.abs(upright.astype(int) - image).sum()


# --- random makeups and triples ---


@pytest.mark.parametrize("style", STYLES)
def test_random_makeup_is_reproducible_and_varied(style):
    drawn = [random_makeup(np.random.default_rng(seed), style) for seed in range(40)]
    assert drawn[7] == random_makeup(np.random.default_rng(7), style)
    assert len({makeup.lipstick.color for makeup in drawn}) == 40
    assert any(makeup.blush for makeup in drawn)
    assert any(makeup.liner and makeup.liner.wing > 0 for makeup in drawn)


def test_triple_is_exact_ground_truth():
    source, reference = Face(*demo_face("dark")), Face(*demo_face("light"))
    before = source.image.copy()
    makeup = Makeup(Lipstick("#8a2be2", 0.95, gloss=0.0))
    made = triple(np.random.default_rng(2), source, reference, makeup)
    again = triple(np.random.default_rng(2), source, reference, makeup)
    np.testing.assert_array_equal(made.source, before)
    np.testing.assert_array_equal(made.painted, again.painted)
    np.testing.assert_array_equal(made.reference, again.reference)
    labs = [
        mean_lab(image, polygon(image.shape, face.landmarks[48:60], grow=-3))
        for image, face in ((made.painted, source), (made.reference, reference))
    ]
    bare = mean_lab(before, polygon(before.shape, source.landmarks[48:60], grow=-3))
    assert np.linalg.norm((labs[0] - labs[1])[1:]) < 0.25 * np.linalg.norm((labs[1] - bare)[1:])
    assert triple(np.random.default_rng(2), source, reference).makeup.lipstick is not None


# --- errors ---

IMAGE = np.zeros((64, 64, 3), np.uint8)
POINTS = np.random.default_rng(0).uniform(10, 50, (68, 2))


@pytest.mark.parametrize(
    ("image", "landmarks", "parse", "message"),
    [
        (IMAGE, POINTS[:67], None, r"landmarks: got shape \(67, 2\), expected \(68, 2\)"),
        (IMAGE, np.full((68, 2), np.nan), None, "landmarks: got NaN or infinity"),
        (IMAGE, np.full((68, 2), 5.0), None, "landmarks: all 68 points coincide"),
        (IMAGE, POINTS + 500, None, "no point lies inside the image of 64×64 pixels"),
        (IMAGE[..., 0], POINTS, None, r"image: got uint8 \(64, 64\), expected uint8 \(H, W, 3\)"),
        (IMAGE.astype(np.float32), POINTS, None, "image: got float32"),
        (np.zeros((64, 64, 4), np.uint8), POINTS, None, "image: got 4 channels, expected 3"),
        ("face.jpg", POINTS, None, "image: got <class 'str'>"),
        (IMAGE, POINTS, IMAGE[:10, :10, 0], r"parse: got uint8 \(10, 10\), expected uint8 \(64"),
    ],
)
def test_bad_inputs_say_what_was_expected(image, landmarks, parse, message):
    with pytest.raises(InvalidInputError, match=message):
        render(image, landmarks, Makeup(), np.random.default_rng(0), parse)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lipstick("red"), "color: got 'red', expected an sRGB string such as '#b3123a'"),
        (lambda: Lipstick("#b3123a", 1.5), r"Lipstick.opacity: got 1.5, expected .* \[0, 1\]"),
        (lambda: Foundation(lightness=-2), r"Foundation.lightness: got -2, .* \[-1, 1\]"),
        (lambda: Liner(wing_angle=90), r"Liner.wing_angle: got 90, .* \[0, 60\]"),
        (lambda: Blush("#d9707a", 0.3, "chin"), "Blush.placement: got 'chin', .* apple, lifted"),
        (lambda: Makeup(lipstick="#b3123a"), "Makeup.lipstick: got str, expected a product"),
        (
            lambda: random_makeup(np.random.default_rng(0), "clown"),
            "style: got 'clown', expected one of natural",
        ),
    ],
)
def test_bad_makeups_say_what_was_expected(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()


# --- the demo pictures ---


def test_demo_pictures_are_small_free_and_complete():
    files = [path for path in DEMO.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 400 * 1024
    assert {e["file"] for e in LISTING["pictures"]} == {p.name for p in files} - {"demo.json"}
    assert LISTING["licence"] == "CC0-1.0"
    for entry in LISTING["pictures"]:
        image = cv2.imread(str(DEMO / entry["file"]))
        landmarks = np.array(entry["landmarks68"])
        assert image.shape == (512, 512, 3)
        assert landmarks.shape == (68, 2)
        assert (landmarks > 20).all()
        assert (landmarks < 492).all()
        assert len(entry["portraits"]) >= 5
        assert all(name.startswith("faker_cc0__") for name in entry["portraits"])
        assert (entry["makeup"] is None) == (entry["role"] == "source")
    roles = [entry["role"] for entry in LISTING["pictures"]]
    assert roles.count("source") == 3
    assert roles.count("reference") == 4


def test_demo_sources_span_light_to_dark_skin():
    lightness = []
    for name in SOURCES:
        image, landmarks = demo_face(name)
        lightness.append(mean_lab(image, polygon(image.shape, landmarks[[2, 31, 48]]))[0])
    assert lightness[0] > lightness[1] + 5 > lightness[2] + 10


def test_script_makes_the_shipped_pictures(tmp_path):
    folder = faces_folder()
    pictures = [p for p in demo_pictures.PICTURES if p.name in ("dark", "teal-smoky")]
    demo_pictures.make(demo_pictures.Portraits(folder), tmp_path, pictures)
    listing = json.loads((tmp_path / "demo.json").read_text())
    for entry in listing["pictures"]:
        shipped = next(e for e in LISTING["pictures"] if e["file"] == entry["file"])
        assert entry == shipped
        made, kept = (cv2.imread(str(d / entry["file"])) for d in (tmp_path, DEMO))
        assert np.abs(made.astype(int) - kept).mean() < 1.0


def test_script_names_missing_data(tmp_path, capsys):
    with pytest.raises(SystemExit):
        demo_main(["--data", str(tmp_path), "--out", str(tmp_path)])
    assert "labels.json is missing; expected a folder with train/labels.json" in (
        capsys.readouterr().err
    )
