"""Products on the shipped faces: painted area and resulting colours, in any light."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from makeup_kernels import Region
from makeup_sdk.cosmetics import (
    FINISHES,
    Blush,
    Brows,
    Contour,
    Eyeliner,
    EyeShadow,
    Foundation,
    Highlighter,
    Lashes,
    LipLiner,
    Lipstick,
)
from makeup_sdk.cosmetics.axes import Mouth
from makeup_sdk.cosmetics.light import SkinLight, kubelka_munk, linear_color, to_linear
from makeup_sdk.cosmetics.lips import LipSurface
from makeup_sdk.cosmetics.paint import paint
from makeup_sdk.cosmetics.textures import Hand
from makeup_sdk.cosmetics.view import FaceView
from makeup_sdk.faces import FaceAnalysis

FACES = ("light.jpg", "medium.jpg", "dark.jpg")
EVERYWHERE = dict.fromkeys((Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS), 1.0)
FULL = (
    Foundation(opacity=0.6, finish="matte"),
    Contour(0.5),
    Blush("#d9707a", "draped", opacity=0.4),
    Highlighter(opacity=0.6),
    Brows("#3a2a22"),
    EyeShadow("#1f8a8a", "#5c2a4e", "#2a2628", "#f2dcc4", finish="shimmer", lower=0.7),
    Eyeliner(width=0.6, wing=0.8, lower=0.5),
    Lashes(length=0.8, volume=0.8, lower=0.5),
    LipLiner("#6b1230"),
    Lipstick("#b3123a", finish="gloss"),
)


@pytest.fixture
def wear(analysis):
    def put(file, products, strength=EVERYWHERE, face=None):
        """A demo face's crop, bare and in makeup."""
        face = face or analysis(file)
        image = face.crop.copy()
        crop = replace(face, matrix=np.eye(2, 3), landmarks=face.crop_landmarks)
        for patch in paint(FaceView.of(crop), products, strength):
            patch.put(image, np.eye(2, 3), color="bgr", threads=1)
        return face.crop, image

    return put


def polygon(points, grow=0):
    """bool (256, 256): a landmark polygon, grown or shrunk by whole pixels."""
    mask = np.zeros((256, 256), np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
    kernel = np.ones((2 * abs(grow) + 1,) * 2, np.uint8)
    return (cv2.dilate(mask, kernel) if grow > 0 else cv2.erode(mask, kernel)) > 0


def mean_lab(image, mask):
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)[mask].mean(axis=0)


def changed(bare, painted):
    return (bare != painted).any(axis=2)


# --- where ---


@pytest.mark.parametrize("file", FACES)
def test_nothing_outside_the_face(wear, analysis, file):
    bare, painted = wear(file, FULL)
    points = analysis(file).crop_landmarks
    rise = 0.5 * (points[45, 0] - points[36, 0])
    outline = np.vstack([points, points[17:27] - (0, rise)]).astype(np.float32)
    hull = cv2.convexHull(outline)[:, 0]
    assert not changed(bare, painted)[~polygon(hull, grow=2)].any()
    assert changed(bare, painted).mean() > 0.1


@pytest.mark.parametrize("file", FACES)
def test_lip_products_change_the_lips_alone(wear, analysis, file):
    bare, painted = wear(file, [Lipstick("#7a1440", opacity=0.9), LipLiner("#4a1026")])
    points = analysis(file).crop_landmarks
    assert not changed(bare, painted)[~polygon(points[48:60], grow=5)].any()
    assert changed(bare, painted)[analysis(file).regions == Region.LIPS].mean() > 0.9


@pytest.mark.parametrize("file", FACES)
def test_lipstick_ends_at_the_corners_of_the_mouth(wear, analysis, file):
    """Also where the region map sees lips in the folds beyond."""
    face = analysis(file)
    points = face.crop_landmarks
    regions = face.regions.copy()
    row = round(float(points[48, 1]))
    regions[row - 2 : row + 3, : round(float(points[60, 0]))] = Region.LIPS
    _, painted = wear(file, [Lipstick("#101010")], face=replace(face, regions=regions))
    _, columns = np.nonzero(changed(face.crop, painted))
    assert columns.min() > points[48, 0] - 2
    assert columns.max() < points[54, 0] + 2


@pytest.mark.parametrize("file", FACES)
def test_lip_liner_goes_all_round_the_lips(wear, analysis, file):
    """Along the edge of the region map, inside the landmarks' outline."""
    face = analysis(file)
    lips = (face.regions == Region.LIPS).astype(np.uint8)
    mouth = cv2.morphologyEx(lips, cv2.MORPH_CLOSE, np.ones((9, 9)))
    small = [cv2.erode(mouth, np.ones((n, n))) for n in (5, 7, 11, 17)]
    skin = (lips == 1) & (small[0] == 0)
    face = replace(face, regions=np.where(skin, np.uint8(Region.SKIN), face.regions))
    bare, painted = wear(file, [LipLiner("#200010", opacity=1.0)], face=face)
    middle = np.abs(np.arange(256) - face.crop_landmarks[51, 0]) < 12
    darker = np.abs(painted.astype(int) - bare).sum(axis=2) > 25
    assert darker[(small[1] > small[2]) & middle].mean() > 0.65
    assert darker[(small[3] > 0) & middle].mean() < 0.2


@pytest.mark.parametrize("file", FACES)
def test_shining_lips_are_not_taken_for_teeth(analysis, file):
    """In a closed mouth whose landmarks part a little."""
    view = FaceView.of(analysis(file))
    mouth = Mouth(view)
    surface = LipSurface.of(view, mouth)
    assert 0 < mouth.openness < 0.06
    lips = view.share(Region.LIPS, 1.4, mouth.matrix, mouth.shape) > 0.97
    assert (surface.whole[lips] > 0.6).mean() > 0.98


def test_eye_products_stay_between_cheek_and_brow(wear, analysis):
    bare, painted = wear("medium.jpg", FULL[5:8])
    points = analysis("medium.jpg").crop_landmarks
    rows, columns = np.nonzero(changed(bare, painted))
    assert rows.min() >= points[17:27, 1].min()
    assert rows.max() <= points[29, 1]
    assert columns.min() > points[0, 0]
    assert columns.max() < points[16, 0]


@pytest.mark.parametrize("file", FACES)
def test_both_eyes_are_made_up_alike(wear, analysis, file):
    bare, painted = wear(file, [EyeShadow("#1f8a8a", opacity=0.9)])
    change = np.abs(painted.astype(float) - bare).sum(axis=2)
    middle = int(analysis(file).crop_landmarks[27, 0])
    assert 0.6 < change[:, :middle].sum() / change[:, middle:].sum() < 1.6


def test_eyeballs_stay_clear(wear, analysis):
    bare, painted = wear("light.jpg", [FULL[5], FULL[6]])
    points = analysis("light.jpg").crop_landmarks
    for eye in (points[36:42], points[42:48]):
        inside = polygon(eye, grow=-2)
        assert inside.sum() > 20
        np.testing.assert_array_equal(painted[inside], bare[inside])


def test_a_closed_lid_is_painted_down_to_the_lower_lashes(wear, analysis):
    """Landmarks keep closed eyes open; the region map tells."""
    face = analysis("light.jpg")
    points, regions = face.crop_landmarks, face.regions.copy()
    eyes = [polygon(points[36:42]), polygon(points[42:48])]
    for eye in eyes:
        regions[eye] = Region.EYES
    closed = replace(face, regions=regions)
    assert FaceView.of(closed).shut(True) == 1.0
    assert FaceView.of(face).shut(True) < 0.2
    bare, painted = wear("", [EyeShadow("#1f8a8a", opacity=0.9)], face=closed)
    for eye in (points[36:42], points[42:48]):
        assert changed(bare, painted)[polygon(eye, grow=-2)].mean() > 0.9
    bare, lined = wear("", [Eyeliner(width=0.3)], face=closed)
    rows = np.nonzero(changed(bare, lined)[:, int(points[[37, 38], 0].mean())])[0]
    assert abs(rows.mean() - points[[40, 41], 1].mean()) < 3.5


def test_teeth_stay_clear_and_the_lips_around_them_do_not(wear, analysis):
    face = analysis("light.jpg")
    points, crop = face.crop_landmarks.copy(), face.crop.copy()
    points[[56, 57, 58]] += (0, 13)
    points[[55, 59]] += (0, 9)
    points[[65, 66, 67]] += (0, 13)
    lips, teeth = polygon(points[48:60]), polygon(points[60:68])
    crop[lips], crop[teeth] = (110, 105, 175), (225, 235, 238)
    regions = face.regions.copy()
    regions[lips], regions[teeth] = Region.LIPS, Region.NONE
    smiling = FaceAnalysis(points, 1.0, np.eye(2, 3), crop, regions)
    bare, painted = wear("", [Lipstick("#7a1440", opacity=1)], face=smiling)
    clear = polygon(points[60:68], grow=-2)
    np.testing.assert_array_equal(painted[clear], bare[clear])
    ring = polygon(points[48:60], grow=-2) & ~polygon(points[60:68], grow=3)
    assert np.abs(painted[ring].astype(int) - bare[ring]).mean() > 25


def test_what_covers_the_face_stays_bare(wear, analysis):
    face = analysis("medium.jpg")
    regions = face.regions.copy()
    half = int(face.crop_landmarks[27, 0])
    regions[:, :half] = Region.NONE
    bare, painted = wear("", FULL, face=replace(face, regions=regions))
    assert not changed(bare, painted)[:, : half - 4].any()
    assert changed(bare, painted)[:, half + 4 :].any()


def test_zero_amounts_are_the_identity(wear):
    nothing = (
        Lipstick("red", opacity=0),
        Lipstick("red", finish="gloss", intensity=0),
        EyeShadow("teal", "navy", "black", "white", lower=1, opacity=0, finish="glitter"),
        Eyeliner(opacity=0, wing=1, lower=1),
        Lashes(intensity=0),
        Brows(opacity=0),
        Blush("red", opacity=0, finish="shimmer"),
        Contour(0),
        Highlighter(opacity=0),
        Foundation(opacity=0),
    )
    for products, strength in ((nothing, EVERYWHERE), (FULL, {}), ((), EVERYWHERE)):
        bare, painted = wear("medium.jpg", products, strength)
        np.testing.assert_array_equal(painted, bare)


# --- which colours ---


@pytest.mark.parametrize("file", FACES)
@pytest.mark.parametrize("color", ["#b3101f", "#7a1440", "#1f6f78", "#8a2be2", "#341018"])
def test_lips_take_the_colour(wear, analysis, file, color):
    bare, painted = wear(file, [Lipstick(color, opacity=0.95, finish="matte")])
    lips = cv2.erode((analysis(file).regions == Region.LIPS).astype(np.uint8), np.ones((3, 3))) > 0
    light = FaceView.of(analysis(file)).light.color
    swatch = relit(np.uint8([[[int(color[i : i + 2], 16) for i in (5, 3, 1)]]]), light)
    target = mean_lab(swatch, np.ones((1, 1), bool))
    before, after = mean_lab(bare, lips), mean_lab(painted, lips)
    away, was = (np.linalg.norm((lab - target)[1:]) for lab in (after, before))
    assert away < max(0.6 * was, 12.5)
    assert away < max(was, 8.0)  # lips that shine stand in more light than the cheek


@pytest.mark.parametrize("amount", ["opacity", "strength"])
def test_more_goes_further(wear, amount):
    moved = []
    for share in (0.1, 0.3, 0.6, 0.9):
        lipstick = Lipstick("#7a1440", opacity=share if amount == "opacity" else 0.8)
        strength = {Region.LIPS: share if amount == "strength" else 1.0}
        bare, painted = wear("medium.jpg", [lipstick], strength)
        moved.append(np.abs(painted.astype(int) - bare).sum())
    assert moved == sorted(moved)
    assert moved[0] > 0


def test_strength_beyond_one_goes_beyond_the_paint(wear, analysis):
    lips = analysis("light.jpg").regions == Region.LIPS
    found = [
        mean_lab(wear("light.jpg", [Lipstick("#7a1440")], {Region.LIPS: s})[1], lips)[0]
        for s in (0.5, 1.0, 1.5)
    ]
    assert found[0] > found[1] > found[2]


def test_pale_paint_lightens_dark_lips_and_dark_paint_darkens_light_ones(wear, analysis):
    for file, color, sign in (("dark.jpg", "#e8a0a8", 1), ("light.jpg", "#341018", -1)):
        bare, painted = wear(file, [Lipstick(color, opacity=0.9)])
        lips = analysis(file).regions == Region.LIPS
        assert sign * (mean_lab(painted, lips) - mean_lab(bare, lips))[0] > 4


@pytest.mark.parametrize("file", FACES)
def test_paint_keeps_the_lips_texture(wear, analysis, file):
    bare, painted = wear(file, [Lipstick("#b3123a", opacity=0.9)])
    lips = cv2.erode((analysis(file).regions == Region.LIPS).astype(np.uint8), np.ones((5, 5))) > 0
    detail = [
        gray - cv2.GaussianBlur(gray, (0, 0), 3.0)
        for gray in (
            cv2.cvtColor(i, cv2.COLOR_BGR2GRAY).astype(np.float32) for i in (bare, painted)
        )
    ]
    assert np.corrcoef(detail[0][lips], detail[1][lips])[0, 1] > 0.75


def test_finishes_are_told_apart_and_matte_shines_least(wear, analysis):
    lips = analysis("medium.jpg").regions == Region.LIPS
    peaks, pictures = {}, {}
    for finish in FINISHES:
        _, painted = wear("medium.jpg", [Lipstick("#b3123a", finish=finish, shine=1)])
        pictures[finish] = painted
        peaks[finish] = np.percentile((to_linear(painted) @ [0.07, 0.72, 0.21])[lips], 97)
    assert min(peaks, key=peaks.get) == "matte"
    assert peaks["gloss"] > peaks["satin"]
    for one in FINISHES:
        for other in FINISHES:
            if one < other:
                apart = np.abs(pictures[one].astype(int) - pictures[other])[lips]
                assert apart.mean() > 0.5, (one, other)


@pytest.mark.parametrize("file", FACES)
@pytest.mark.parametrize("placement", ["apple", "lifted", "draped", "sunkissed"])
def test_blush_reddens_the_cheeks(wear, analysis, file, placement):
    bare, painted = wear(file, [Blush("#d9707a", placement, opacity=0.6)])
    points = analysis(file).crop_landmarks
    for cheek in ([2, 31, 48], [14, 35, 54]):
        mask = polygon(points[cheek], grow=-2) | polygon(points[[0, 1, 31]], grow=-2)
        assert (mean_lab(painted, mask) - mean_lab(bare, mask))[1] > 0.8


def test_foundation_shifts_the_shade(wear, analysis):
    points = analysis("medium.jpg").crop_landmarks
    cheek = polygon(points[[2, 31, 48]], grow=-3)
    found = {}
    for key, options in {
        "own": {},
        "light": {"lightness": 1.0},
        "warm": {"warmth": 1.0},
        "deep": {"color": "#6b4630"},
        "fair": {"color": "#f3d3bd"},
    }.items():
        _, painted = wear("medium.jpg", [Foundation(opacity=0.5, **options)])
        found[key] = mean_lab(painted, cheek)
    assert found["light"][0] > found["own"][0] + 1.5
    assert found["warm"][2] > found["own"][2] + 1.5
    assert found["deep"][0] < found["own"][0] - 4 < found["fair"][0] - 5


def test_foundation_goes_no_further_than_its_shade(wear):
    shade = [Foundation("#8a5a3c", opacity=1.0, finish="satin")]
    bare, whole = wear("light.jpg", shade)
    _, more = wear("light.jpg", shade, dict.fromkeys(EVERYWHERE, 1.5))
    assert np.abs(whole.astype(int) - bare).mean() > 2
    np.testing.assert_array_equal(more, whole)


def test_products_are_put_on_in_their_own_order(wear):
    _, one = wear("light.jpg", FULL)
    _, other = wear("light.jpg", FULL[::-1])
    np.testing.assert_array_equal(one, other)


# --- light ---


def relit(image, gains):
    linear = to_linear(image) * np.float32(gains)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * np.clip(srgb, 0, 1)).astype(np.uint8)


@pytest.mark.parametrize("file", FACES)
@pytest.mark.parametrize(
    "gains",
    [(0.5,) * 3, (0.25,) * 3, (0.55, 0.8, 1.0), (1.0, 0.8, 0.6)],
    ids=["half", "quarter", "warm", "cool"],
)
def test_makeup_follows_the_light(wear, analysis, file, gains):
    face = analysis(file)
    bare, painted = wear(file, FULL)
    _, dim = wear("", FULL, face=replace(face, crop=relit(face.crop, gains)))
    there = changed(bare, painted)
    labs = [
        cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)[there]
        for image in (bare, painted, dim, relit(painted, gains))
    ]
    makeup, off = (np.linalg.norm(a - b, axis=1).mean() for a, b in (labs[:2], labs[2:]))
    assert off < 0.2 * makeup


def test_dark_skin_is_told_from_dim_light(analysis):
    found = {}
    for file in FACES:
        face = analysis(file)
        points = face.crop_landmarks.astype(np.float64)
        for gain in (1.0, 0.3):
            light = SkinLight.measure(relit(face.crop, (gain,) * 3), points, face.regions)
            found[file, gain] = light.reflectance
    assert found["light.jpg", 1.0] >= found["medium.jpg", 1.0] > 1.3 * found["dark.jpg", 1.0]
    for file in FACES:
        assert found[file, 0.3] == pytest.approx(found[file, 1.0], rel=0.1)


def test_kubelka_munk_against_the_published_formula():
    rng = np.random.default_rng(5)
    ground, color = rng.uniform(0.02, 0.9, (2, 3, 20, 10))
    opacity = rng.uniform(0.01, 0.99, (20, 10))
    a, b = (1 / color + color) / 2, (1 / color - color) / 2
    coth = 1 / np.tanh(np.arctanh(opacity))
    expected = (1 - ground * (a - b * coth)) / (a - ground + b * coth)
    np.testing.assert_allclose(kubelka_munk(ground, color, opacity), expected, rtol=1e-9)
    np.testing.assert_allclose(kubelka_munk(ground, color, np.zeros_like(opacity)), ground)
    np.testing.assert_allclose(kubelka_munk(ground, color, np.ones_like(opacity)), color)


def test_linear_colour_is_blue_green_red():
    assert linear_color("#ff8000") == pytest.approx([0, 0.21586, 1], abs=1e-4)


# --- detail and motion ---


def test_paint_moves_with_the_face_and_stays_still_on_it(analysis):
    face = analysis("medium.jpg")
    sparkling = (*FULL, Blush("#d9707a", finish="glitter"))
    frame = np.full((300, 300, 3), 90, np.uint8)
    frames = []
    for x, y in ((10, 20), (17, 31)):
        picture = frame.copy()
        picture[y : y + 256, x : x + 256] = face.crop
        matrix = np.array([[1.0, 0, -x], [0, 1, -y]])
        there = replace(
            face, landmarks=(face.crop_landmarks + (x, y)).astype(np.float32), matrix=matrix
        )
        for patch in paint(FaceView.of(there), sparkling, EVERYWHERE):
            patch.put(picture, matrix, color="bgr", threads=1)
        frames.append(picture[y : y + 256, x : x + 256])
    assert np.abs(frames[0].astype(int) - frames[1]).max() <= 1


def test_liner_is_crisp_at_any_resolution(analysis):
    face = analysis("light.jpg")
    widths = {}
    for scale in (2, 8):
        matrix = np.array([[1 / scale, 0, 0.5 / scale - 0.5], [0, 1 / scale, 0.5 / scale - 0.5]])
        size = (256 * scale, 256 * scale)
        frame = cv2.resize(face.crop, size, interpolation=cv2.INTER_CUBIC)
        there = replace(
            face,
            landmarks=((face.crop_landmarks + 0.5) * scale - 0.5).astype(np.float32),
            matrix=matrix,
        )
        painted = frame.copy()
        for patch in paint(FaceView.of(there), [Eyeliner(width=1, wing=1)], EVERYWHERE):
            patch.put(painted, matrix, color="bgr", threads=1)
        darkening = 1 - to_linear(painted).mean(axis=2) / to_linear(frame).mean(axis=2)
        top = int(face.crop_landmarks[43, 1] * scale)
        column = darkening[top - 10 * scale : top + 1, int(face.crop_landmarks[44, 0] * scale)]
        full = column.max()
        widths[scale] = np.argmax(column > 0.9 * full) - np.argmax(column > 0.1 * full)
        assert full > 0.5
    assert widths[8] <= 4  # pixels; the crop blown up would give eight


def test_a_rolled_face_wears_the_same_makeup(analysis):
    face = analysis("medium.jpg")
    makeup = [Lipstick("#b3123a", opacity=0.9), EyeShadow("#1f8a8a"), Blush("red")]
    results = []
    for turned in (False, True):
        image = np.ascontiguousarray(face.crop[::-1, ::-1]) if turned else face.crop
        matrix = np.array([[-1.0, 0, 255], [0, -1, 255]]) if turned else np.eye(2, 3)
        landmarks = 255 - face.crop_landmarks if turned else face.crop_landmarks
        there = replace(face, landmarks=landmarks, matrix=matrix)
        painted = image.copy()
        for patch in paint(FaceView.of(there), makeup, EVERYWHERE):
            patch.put(painted, matrix, color="bgr", threads=1)
        results.append(painted[::-1, ::-1] if turned else painted)
    assert np.abs(results[0].astype(int) - results[1]).max() <= 1


def test_an_rgb_frame_gets_the_same_makeup(analysis):
    face = analysis("light.jpg")
    patches = paint(FaceView.of(face), FULL, EVERYWHERE)
    bgr, rgb = face.crop.copy(), face.crop[..., ::-1].copy()
    matrix = np.eye(2, 3)
    for patch in patches:
        patch.put(bgr, matrix, color="bgr", threads=1)
        patch.put(rgb, matrix, color="rgb", threads=1)
    np.testing.assert_array_equal(bgr, rgb[..., ::-1])


def test_turned_away_and_tiny_faces_are_painted_without_harm(analysis):
    face = analysis("light.jpg")
    middle = face.crop_landmarks.mean(axis=0)
    for scale in ((0.25, 1.0), (0.05, 1.0), (0.1, 0.1)):
        points = (middle + (face.crop_landmarks - middle) * scale).astype(np.float32)
        squeezed = replace(face, landmarks=points, matrix=np.eye(2, 3))
        for patch in paint(FaceView.of(squeezed), FULL, EVERYWHERE):
            assert np.isfinite(patch.change).all()


def test_another_hand_makes_nearly_the_same_makeup(analysis):
    view = FaceView.of(analysis("light.jpg"))
    pictures = []
    for hand in (Hand(3, 1.0), Hand(3, 1.0), Hand(4, 1.0)):
        image = analysis("light.jpg").crop.copy()
        for patch in paint(view, FULL, EVERYWHERE, hand):
            patch.put(image, np.eye(2, 3), color="bgr", threads=1)
        pictures.append(image.astype(int))
    bare = analysis("light.jpg").crop.astype(int)
    np.testing.assert_array_equal(pictures[0], pictures[1])
    apart = np.abs(pictures[0] - pictures[2]).mean()
    assert 0 < apart < 0.3 * np.abs(pictures[0] - bare).mean()
