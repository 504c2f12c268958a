"""Which faces stand in everyday light, and the lips and eyes that they get."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from makeup_kernels import Region
from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_training.data.portraits import BadDataError, regions_of
from makeup_training.data.readers import open_collection
from makeup_training.mobile.everyday import (
    BORN,
    EVEN,
    EVERYDAY,
    Features,
    Tone,
    main,
    with_other_features,
)


@pytest.fixture(scope="module")
def portrait(everyday_faces):
    return open_collection(everyday_faces).bare[0].load()


@pytest.fixture(scope="module")
def tone_of():
    analyzer = BundledFaceAnalyzer(threads=1)
    return lambda face: Tone.of(analyzer.analyze(face.image, face.landmarks))


def lit(face, gain):
    return replace(face, image=np.clip(face.image * gain, 0, 255).astype(np.uint8))


def test_even_and_neutral_light_is_everyday(portrait, tone_of):
    tone = tone_of(portrait)
    assert tone.lit(EVEN)
    assert tone.lit(EVERYDAY)
    assert tone.usable


def test_light_from_one_side_is_not(portrait, tone_of):
    half = portrait.image.shape[1] // 2
    side = np.repeat([1, 0.25], half)[:, None]
    assert not tone_of(lit(portrait, side)).lit(EVERYDAY)


def test_coloured_light_from_one_side_is_not(portrait, tone_of):
    green = np.geomspace(1.5, 0.6, portrait.image.shape[1])
    side = np.stack([np.ones_like(green), green, np.ones_like(green)], -1)
    assert not tone_of(lit(portrait, side)).lit(EVERYDAY)


@pytest.mark.parametrize("gain", [0.7, 1.25])
def test_warm_and_cold_light_is_not(portrait, tone_of, gain):
    assert not tone_of(lit(portrait, [gain, 1, 1])).lit(EVERYDAY)


def test_exposure_changes_nothing_but_how_bright_it_is(portrait, tone_of):
    before, after = tone_of(portrait), tone_of(lit(portrait, 0.9))
    assert after.cheeks[2] - before.cheeks[2] == pytest.approx(2.2 * np.log(0.9), abs=0.05)
    assert np.abs(after.cheeks[:2] - before.cheeks[:2]).max() < 0.03
    for region in BORN:
        assert np.abs(after.features[region] - before.features[region]).max() < 0.05


def test_who_looks_made_up_is_left_out(portrait, tone_of):
    tone = tone_of(portrait)
    red = {**tone.features, Region.LIPS: np.array([0.4, 1.0, 0.3])}
    assert not replace(tone, features=red).usable
    dark = {**tone.features, Region.EYES: np.array([1.2, 0, 0])}
    assert not replace(tone, features=dark).usable
    assert not replace(tone, features=dark).bare(EVERYDAY, Region.EYES)


def test_lips_and_eyes_change_alone_and_as_said(portrait, tone_of, monkeypatch):
    tone = tone_of(portrait)
    wanted = {
        Region.LIPS: tone.features[Region.LIPS] + [0.2, 0.15, -0.1],
        Region.EYES: tone.features[Region.EYES] + [-0.15, 0.05, 0.1],
    }
    picked = iter(wanted.values())
    monkeypatch.setattr(Features, "another", lambda *_: next(picked))
    other = with_other_features(portrait, tone, np.random.default_rng(0))
    changed = (other.image != portrait.image).any(axis=2)
    regions = regions_of(portrait, "sdk")
    both = np.isin(regions, list(BORN))
    assert changed[both].mean() > 0.9
    assert not changed[~binary_dilation(both, iterations=portrait.image.shape[0] // 25)].any()
    found = tone_of(other).features
    for region, color in wanted.items():
        moved, meant = found[region] - tone.features[region], color - tone.features[region]
        assert np.abs(moved - meant).max() < 0.4 * np.abs(meant).max()


@pytest.mark.parametrize("region", BORN)
def test_colours_are_drawn_from_the_model(region):
    cheeks, rng = np.array([0.6, -0.3, -1.4]), np.random.default_rng(0)
    features = BORN[region]
    middle = np.array([1, *cheeks]) @ np.array(features.weights)
    drawn = np.array([features.another(cheeks, middle, rng) for _ in range(4000)])
    assert np.abs(drawn.mean(axis=0) - middle).max() < 0.02
    sd = np.sqrt((np.array(features.spread) ** 2).sum(axis=1))
    assert drawn.std(axis=0) == pytest.approx(0.8 * sd, rel=0.12)
    least, most = np.transpose(EVEN.features[region])
    assert ((drawn > least) & (drawn < most)).all(axis=1).mean() > 0.9
    far = np.array([features.another(cheeks, middle + 9, rng) for _ in range(400)])
    assert (far.mean(axis=0) - middle) == pytest.approx(sd, rel=0.15)


def test_a_model_is_found_again_from_what_it_drew():
    rng = np.random.default_rng(0)
    spread = np.array(BORN[Region.LIPS].spread)
    cheeks = rng.normal([0.6, -0.3, -1.4], [0.2, 0.1, 0.5], (5000, 3))
    known = np.column_stack([np.ones(len(cheeks)), cheeks])
    colors = known @ np.array(BORN[Region.LIPS].weights) + rng.normal(size=(5000, 3)) @ spread.T
    found = Features.fit(cheeks, colors)
    assert np.abs(np.array(found.weights) - BORN[Region.LIPS].weights).max() < 0.1
    assert np.abs(np.array(found.spread) - spread).max() < 0.01


def test_a_model_wants_more_faces_than_a_few(everyday_faces, monkeypatch):
    monkeypatch.setattr("sys.argv", ["everyday", "--data", str(everyday_faces)])
    with pytest.raises(BadDataError, match=r"5 faces in even light .* needs 20"):
        main()
