from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from makeup_kernels import CROP_SIZE, NoFaceError, Region
from makeup_kernels.geometry import MIRRORED_POINTS
from makeup_sdk.faces import FaceAnalysis
from makeup_sdk.faces.layout import masked_blur
from makeup_sdk.faces.light import from_log, to_log
from makeup_sdk.faces.template import template_landmarks, template_regions
from makeup_sdk.faces.tone import SkinTone
from makeup_sdk.models.classic.encode import encode
from makeup_sdk.models.classic.paint import ClassicPainter

Analysis = Callable[[str], FaceAnalysis]
WITH_LIPSTICK = ("red-classic.jpg", "berry-evening.jpg", "coral-natural.jpg")


def lab_mean(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    return lab[inside].mean(axis=0)


def test_light_round_trip_is_exact() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(from_log(to_log(every)), every)


def test_light_is_additive_in_exposure() -> None:
    """Doubling linear light adds log 2, up to the floor that keeps black finite."""
    linear = lambda v: ((v / 255 + 0.055) / 1.055) ** 2.4  # noqa: E731
    bright = np.array([200], np.uint8)
    dark = np.array([np.round(255 * (1.055 * (linear(200.0) / 2) ** (1 / 2.4) - 0.055))], np.uint8)
    assert to_log(bright)[0] - to_log(dark)[0] == pytest.approx(np.log(2), abs=0.03)


def test_from_log_clips() -> None:
    np.testing.assert_array_equal(from_log(np.float32([-99.0, 99.0])), [0, 255])


def test_skin_tone_recovers_light_under_makeup() -> None:
    """Second-order light plus 20 % outliers (paint, jewellery) is found again."""
    steps = np.linspace(-1, 1, CROP_SIZE)
    x, y = np.meshgrid(steps, steps)
    truth = np.stack([-1 + 0.4 * x - 0.2 * y, -0.7 + 0.3 * x * y, -0.4 - 0.2 * x * x], -1)
    light = truth.astype(np.float32)
    rng = np.random.default_rng(1)
    rows = rng.choice(CROP_SIZE // 8, 6, replace=False) * 8
    for row in rows:
        light[row : row + 8] += 1.5
    regions = np.full((CROP_SIZE, CROP_SIZE), Region.SKIN, np.uint8)
    tone = SkinTone.fit(light, regions)
    assert tone is not None
    assert np.abs(tone.over_crop() - truth).mean() < 0.08


def test_skin_tone_needs_skin() -> None:
    light = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.float32)
    assert SkinTone.fit(light, np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)) is None


def test_masked_blur_ignores_what_is_outside() -> None:
    values = np.full((32, 32), 3.0, np.float32)
    mask = np.zeros((32, 32), np.float32)
    mask[8:24, 8:24] = 1
    values[mask == 0] = 1e3
    np.testing.assert_allclose(masked_blur(values, mask, 2.0)[8:24, 8:24], 3.0, rtol=1e-4)


def test_template_is_symmetric() -> None:
    points = template_landmarks()
    mirrored = points[MIRRORED_POINTS] * [-1, 1] + [CROP_SIZE, 0]
    np.testing.assert_allclose(points, mirrored, atol=0.6)
    regions = template_regions()
    assert (regions[:, 1:] != regions[:, :0:-1]).mean() < 0.01
    assert set(np.unique(regions)) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("reference", WITH_LIPSTICK)
@pytest.mark.parametrize("source", ["light.jpg", "medium.jpg", "dark.jpg"])
def test_lips_take_the_hue_of_the_reference(
    analysis: Analysis, source: str, reference: str
) -> None:
    face, worn = analysis(source), analysis(reference)
    painted, _ = ClassicPainter(encode(worn)).paint(face, {Region.LIPS: 1.0})
    wanted = lab_mean(worn.crop, worn.regions == Region.LIPS)
    bare = lab_mean(face.crop, face.regions == Region.LIPS)
    after = lab_mean(painted, face.regions == Region.LIPS)
    far = np.linalg.norm((bare - wanted)[1:])
    assert np.linalg.norm((after - wanted)[1:]) < max(0.65 * far, 8.0)


def test_own_makeup_changes_little(analysis: Analysis) -> None:
    """A face that is given its own look keeps its lips."""
    face = analysis("red-classic.jpg")
    painted, _ = ClassicPainter(encode(face)).paint(face, {Region.LIPS: 1.0})
    inside = face.regions == Region.LIPS
    assert np.linalg.norm(lab_mean(painted, inside) - lab_mean(face.crop, inside)) < 4.0


def test_light_of_the_reference_is_not_copied(analysis: Analysis) -> None:
    """The same reference under light from one side gives nearly the same look."""
    face = analysis("coral-natural.jpg")
    ramp = np.linspace(0.45, 1.0, CROP_SIZE)[None, :, None]
    linear = (face.crop / 255.0) ** 2.2 * ramp
    lit = np.round(255 * linear ** (1 / 2.2)).astype(np.uint8)
    side_lit = replace(face, crop=lit)
    plain, other = encode(face).fields, encode(side_lit).fields
    cells = template_regions()[::2, ::2]
    light_step = np.log(1 / 0.45) / 2
    for region in (Region.LIPS, Region.EYES, Region.SKIN):
        drift = np.abs(plain - other)[:, cells == region].mean()
        assert drift < 0.25 * light_step, region.name


def test_texture_is_kept(analysis: Analysis) -> None:
    """Fine structure of the skin correlates with the source's after painting."""
    face = analysis("medium.jpg")
    painted, mask = ClassicPainter(encode(analysis("berry-evening.jpg"))).paint(
        face, {region: 1.0 for region in Region if region}
    )
    detail = [
        image.astype(np.float32).mean(axis=2) - cv2.GaussianBlur(image, (0, 0), 3).mean(axis=2)
        for image in (face.crop, painted)
    ]
    inside = (face.regions == Region.SKIN) & (mask > 0)
    assert np.corrcoef(detail[0][inside], detail[1][inside])[0, 1] > 0.97


def test_no_skin_no_look(analysis: Analysis) -> None:
    face = analysis("medium.jpg")
    blind = replace(face, regions=np.zeros_like(face.regions))
    with pytest.raises(NoFaceError, match="too little bare skin"):
        encode(blind)
    painted, mask = ClassicPainter(encode(face)).paint(blind, {Region.LIPS: 1.0})
    np.testing.assert_array_equal(painted, face.crop)
    assert not mask.any()


@pytest.mark.parametrize("bare", ["medium.jpg", "dark.jpg", "teal-smoky.jpg"])
def test_bare_lips_are_not_copied(analysis: Analysis, bare: str) -> None:
    """A reference without lipstick leaves the lips of another face nearly as they are."""
    face = analysis("light.jpg")
    lips = face.regions == Region.LIPS
    own = lab_mean(face.crop, lips)
    painted, _ = ClassicPainter(encode(analysis(bare))).paint(face, {Region.LIPS: 1.0})
    berry, _ = ClassicPainter(encode(analysis("berry-evening.jpg"))).paint(face, {Region.LIPS: 1.0})
    assert np.linalg.norm(lab_mean(painted, lips) - own) < 9
    assert np.linalg.norm(lab_mean(berry, lips) - own) > 12
