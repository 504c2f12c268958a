"""Standard light: measured on cheeks, and changes of colour as factors."""

import numpy as np
import pytest

from makeup_kernels import Region
from makeup_sdk.faces.light import decode_srgb, encode_srgb
from makeup_sdk.faces.skin_light import STANDARD_LUMINANCE, CheekLight, log_factors

LUMINANCE = np.array([0.0722, 0.7152, 0.2126])
SKIN = np.array([0.11, 0.17, 0.34])


def face_of(linear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A crop whose skin is of one colour, with lips that are not."""
    regions = np.full((256, 256), Region.SKIN, np.uint8)
    regions[180:200, 100:150] = Region.LIPS
    crop = np.empty((256, 256, 3), np.uint8)
    crop[:] = np.round(255 * encode_srgb(linear))
    crop[regions == Region.LIPS] = (10, 20, 160)
    return crop, regions


def test_cheeks_come_to_the_standard_luminance() -> None:
    light = CheekLight.measure(*face_of(SKIN))
    np.testing.assert_allclose(light.skin, SKIN, rtol=0.02)
    assert float((light.skin * light.gains) @ LUMINANCE) == pytest.approx(STANDARD_LUMINANCE)


@pytest.mark.parametrize("share", [0.0, 0.35, 1.0])
def test_exposure_is_taken_away_in_part(share: float) -> None:
    light = CheekLight(SKIN / 4, share)
    own = float(SKIN @ LUMINANCE) / 4
    wanted = own * (STANDARD_LUMINANCE / own) ** share
    assert float((light.skin * light.gains) @ LUMINANCE) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("factor", [2.0, 0.5, 0.125])
def test_colours_do_not_depend_on_brightness(factor: float) -> None:
    crop, regions = face_of(SKIN * 0.5)
    linear = decode_srgb(crop / 255) * factor
    other = np.round(255 * encode_srgb(np.minimum(linear, 1))).astype(np.uint8)
    one, two = (CheekLight.measure(image, regions) for image in (crop, other))
    lab, other_lab = one.relative(one.lab(crop)), two.relative(two.lab(other))
    lips = regions == Region.LIPS
    assert np.abs(lab[lips].mean(axis=0) - other_lab[lips].mean(axis=0)).max() < 2.5
    assert np.abs(lab[~lips]).max() < 1.5


def test_median_is_finer_than_a_pixel_value() -> None:
    crop, regions = face_of(SKIN)
    crop[100:145, :, 1] += 1
    finer = CheekLight.measure(crop, regions).skin[1]
    value = crop[150, 0, 1] / 255
    assert decode_srgb(np.array(value)) < finer < decode_srgb(np.array(value + 1 / 255))


def test_darkness_and_no_skin_stay_finite() -> None:
    black = np.zeros((256, 256, 3), np.uint8)
    for regions in (np.zeros((256, 256), np.uint8), np.full((256, 256), Region.SKIN, np.uint8)):
        light = CheekLight.measure(black, regions)
        assert np.isfinite(light.gains).all()
        assert np.isfinite(light.relative(light.lab(black))).all()


def test_factors_lead_from_one_colour_to_the_other() -> None:
    """The oracle: scikit-image's CIELAB, in float64."""
    from skimage.color import lab2rgb

    random = np.random.default_rng(0)
    lab = random.uniform([30, 0, 0], [60, 20, 20], (4, 5, 3)).astype(np.float32)
    change = random.uniform(-10, 10, lab.shape).astype(np.float32)
    before, after = (decode_srgb(lab2rgb(x.astype(float)))[..., ::-1] for x in (lab, lab + change))
    wanted = np.log(np.maximum(after, 4e-3) / np.maximum(before, 4e-3))
    np.testing.assert_allclose(log_factors(lab, change), wanted, atol=0.02)


def test_factors_of_black_stay_finite() -> None:
    black = np.zeros((1, 1, 3), np.float32)
    change = np.array([[[-50, 60, -60]]], np.float32)
    assert np.isfinite(log_factors(black, change)).all()
