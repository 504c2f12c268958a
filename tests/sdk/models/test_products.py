"""The model `products`: one frame, and streams."""

from dataclasses import replace

import numpy as np
import pytest

from makeup_kernels import InvalidInputError
from makeup_sdk import Look, MakeupEngine, Region
from makeup_sdk.cosmetics.light import SkinLight
from makeup_sdk.faces.smoothing import SmoothingOptions, Step
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.models.products.paint import LightSmoother, ProductsPainter, measured

ALL = dict.fromkeys(MAKEUP_REGIONS, 1.0)


@pytest.fixture(scope="module")
def painter():
    return ProductsPainter(Look.shipped("color-pop").makeup.products)


def still(seconds=0.03, news=0.0):
    return Step(seconds, np.eye(2, 3), 0.0, np.full((64, 64), news, np.float32))


def put(paint, face):
    crop = face.crop.copy()
    paint.put(crop, replace(face, matrix=np.eye(2, 3)), color="bgr", threads=1)
    return crop.astype(int)


def test_reads_no_photo(demo, analyzer):
    engine = MakeupEngine(model="products", analyzer=analyzer)
    with pytest.raises(InvalidInputError, match="model 'products' reads no photo; give it Look"):
        engine.look = demo("red-classic.jpg")
    engine.look = Look.shipped("smoky")
    photo = demo("light.jpg")
    assert (engine.process(photo) != photo).any()


def test_has_no_networks():
    with pytest.raises(InvalidInputError, match="the model 'products' has no networks"):
        MakeupEngine(model="products", backend="onnxruntime")


def test_a_still_face_is_painted_as_in_a_picture(painter, analysis):
    face = analysis("light.jpg")
    follower = painter.follow(SmoothingOptions())
    picture = put(painter.paint(face, ALL), face)
    for number in range(9):
        step = still() if number else None
        frame = put(follower.paint(face, step, ALL, 1.0), face)
        assert np.abs(frame - picture).max() <= 1


def test_paint_is_carried_by_the_landmarks(painter, analysis):
    """Between two paintings the patches are the same, moved with the face."""
    face = analysis("light.jpg")
    follower = painter.follow(SmoothingOptions())
    first = [follower.paint(face, step, ALL, 1.0) for step in (None, still(), still())][-1]
    moved = replace(face, landmarks=face.landmarks + np.float32([1.5, 0.75]))
    later = follower.paint(moved, still(), ALL, 1.0)
    shared = [
        (one, other)
        for one in first.patches
        for other in later.patches
        if one.change is other.change
    ]
    assert len(shared) >= 2
    shift = moved.crop_landmarks - face.crop_landmarks
    for one, other in shared:
        point = np.array([120.0, 130.0])
        there = other.matrix[:, :2] @ (point + shift.mean(axis=0)) + other.matrix[:, 2]
        np.testing.assert_allclose(there, one.matrix[:, :2] @ point + one.matrix[:, 2], atol=0.02)


@pytest.mark.parametrize("what", ["blink", "news", "strength", "light"])
def test_what_changes_is_painted_at_once(painter, analysis, what):
    face = analysis("light.jpg")
    follower = painter.follow(SmoothingOptions())
    for step in (None, still()):
        before = follower.paint(face, step, ALL, 1.0)
    strength, step = ALL, still()
    if what == "blink":
        landmarks = face.landmarks.copy()
        landmarks[[37, 38, 43, 44]] = landmarks[[41, 40, 47, 46]]
        face = replace(face, landmarks=landmarks)
    elif what == "news":
        step = still(news=1.0)
    elif what == "strength":
        strength = {**ALL, Region.EYES: 0.5}
    else:
        face = replace(face, crop=(face.crop * 0.6).astype(np.uint8))
    after = follower.paint(face, step, strength, 1.0)
    kept = {id(patch.change) for patch in before.patches}
    eyes = after.patches[1:3]
    assert not any(id(patch.change) in kept for patch in eyes)


def test_small_changes_are_painted_two_parts_a_frame(painter, analysis):
    face = analysis("light.jpg")
    follower = painter.follow(SmoothingOptions())
    before = [patch.change for patch in follower.paint(face, None, ALL, 1.0).patches]
    for left in (2, 0):
        paint = follower.paint(face, still(news=0.4), ALL, 1.0)
        kept = [any(patch.change is change for change in before) for patch in paint.patches]
        assert sum(kept) == left


def test_light_is_averaged_and_a_new_light_counts_at_once(analysis):
    light = measured(analysis("medium.jpg"))
    smooth = LightSmoother(1.0)
    rng = np.random.default_rng(0)
    seen, smoothed = [], []
    for _ in range(60):
        noisy = SkinLight.of(
            light.skin * np.float32(np.exp(0.03 * rng.standard_normal())), light.reflectance, 0.0
        )
        seen.append(float(np.log(noisy.skin[1])))
        smoothed.append(float(np.log(smooth(noisy, 1 / 30).skin[1])))
    assert np.std(np.diff(smoothed[10:])) < 0.2 * np.std(np.diff(seen[10:]))
    dark = SkinLight.of(light.skin * np.float32(0.4), light.reflectance, 0.0)
    np.testing.assert_allclose(smooth(dark, 1 / 30).skin, dark.skin, rtol=1e-5)
