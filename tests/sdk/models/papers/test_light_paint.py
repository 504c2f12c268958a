"""Networks that work in the face's own light: what they see, and what is painted of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from makeup_sdk import FaceAnalysis, NoFaceError, Region
from makeup_sdk.faces.light import from_log, to_log
from makeup_sdk.faces.tone import SkinTone
from makeup_sdk.models.papers.faces import NetworkFace
from makeup_sdk.models.papers.light_paint import LightPainter, LightView

SIZE = 96
VIEW = LightView(1.0, 2.4, 32, 48, 192)
ALL = dict.fromkeys((Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS), 1.0)


@pytest.fixture
def face(analysis: Callable[[str], FaceAnalysis]) -> FaceAnalysis:
    return analysis("medium.jpg")


def fitted(face: FaceAnalysis) -> tuple[NDArray[np.float32], SkinTone]:
    light = to_log(face.crop)
    tone = SkinTone.fit(light, face.regions)
    assert tone is not None
    return light, tone


@dataclass
class Added:
    """A network that adds the same change of log light, B, G, R, wherever it is asked to.

    `mistake` is an error of reconstruction, which both passes make.
    """

    change: tuple[float, float, float]
    mistake: float = 0.0
    asked: list[Mapping[Region, float]] = field(default_factory=list)

    def both(
        self, source: NetworkFace, strength: Mapping[Region, float]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self.asked.append(strength)
        bare = source.image.transpose(2, 0, 1) + np.float32(self.mistake)
        step = np.float32(self.change)[:, None, None] * np.float32(127.5 / VIEW.range)
        return bare + step, bare


def test_bare_skin_is_seen_at_the_same_level_in_any_light(face: FaceAnalysis) -> None:
    level = 127.5 * (1 + VIEW.offset / VIEW.range)
    for crop in (face.crop, from_log(to_log(face.crop) - np.float32([0.9, 0.5, 0.2]))):
        lit = replace(face, crop=crop)
        seen = VIEW.reference(lit, SIZE)
        skin = seen.image[seen.regions == Region.SKIN]
        np.testing.assert_allclose(np.median(skin, axis=0), level, atol=8)


def test_the_window_moves_landmarks_and_regions_along(face: FaceAnalysis) -> None:
    seen = VIEW.reference(face, SIZE)
    assert seen.image.shape == (SIZE, SIZE, 3)
    assert seen.regions.shape == (SIZE, SIZE)
    back = (seen.landmarks + 0.5) * 2 - 0.5 + [32, 48]
    np.testing.assert_allclose(back, face.crop_landmarks, atol=1e-3)
    mouth = np.argwhere(seen.regions == Region.LIPS)[:, ::-1].mean(axis=0)
    np.testing.assert_allclose(mouth, seen.landmarks[48:68].mean(axis=0), atol=3)


def test_the_difference_of_the_passes_is_painted_and_mistakes_cancel(face: FaceAnalysis) -> None:
    light, tone = fitted(face)
    change = (-0.5, -0.4, 0.1)
    layers = []
    for mistake in (0.0, 30.0):
        painter = LightPainter(Added(change, mistake), VIEW, SIZE)
        layers.append(painter.layer(face, light, tone, ALL)[0])
    np.testing.assert_allclose(layers[0], layers[1], atol=1e-5)
    lips = (face.regions == Region.LIPS).astype(np.uint8)
    core = cv2.erode(lips, np.ones((7, 7), np.uint8)) > 0
    assert core.sum() > 50
    np.testing.assert_allclose(layers[0][core], np.broadcast_to(change, (core.sum(), 3)), atol=0.03)


def test_skin_keeps_its_lightness(face: FaceAnalysis) -> None:
    light, tone = fitted(face)
    painter = LightPainter(Added((-1.0, -1.0, -1.0)), VIEW, SIZE)
    layer, _ = painter.layer(face, light, tone, ALL)
    skin = (face.regions == Region.SKIN).astype(np.uint8)
    core = cv2.erode(skin, np.ones((21, 21), np.uint8)) > 0
    core[:70] = False  # towards the window's border paint fades out
    assert core.sum() > 500
    assert layer[core].min() > -0.085
    np.testing.assert_allclose(np.median(layer[core]), -0.08, atol=0.01)
    lips = cv2.erode((face.regions == Region.LIPS).astype(np.uint8), np.ones((7, 7))) > 0
    np.testing.assert_allclose(layer[lips], -1, atol=0.03)
    lids = cv2.erode((face.regions == Region.EYES).astype(np.uint8), np.ones((11, 11))) > 0
    np.testing.assert_allclose(layer[lids], -1, atol=0.05)


def test_strength_scales_a_region_and_leaves_the_others_bare(face: FaceAnalysis) -> None:
    light, tone = fitted(face)
    network = Added((-0.5, -0.5, 0.0))
    painter = LightPainter(network, VIEW, SIZE)
    full, mask = painter.layer(face, light, tone, {Region.LIPS: 1.0})
    half, _ = painter.layer(face, light, tone, {Region.LIPS: 0.5})
    np.testing.assert_allclose(half, full / 2, atol=1e-6)
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert not full[mask == 0].any()
    away = np.argwhere(mask > 0)[:, ::-1] - face.crop_landmarks[48:68].mean(axis=0)
    assert np.hypot(*away.T).max() < 60
    assert network.asked == [{Region.LIPS: 1.0}, {Region.LIPS: 0.5}]


def test_paint_is_the_layer_on_the_crop(face: FaceAnalysis) -> None:
    light, tone = fitted(face)
    painter = LightPainter(Added((-0.5, -0.4, 0.1)), VIEW, SIZE)
    layer, mask = painter.layer(face, light, tone, ALL)
    paint = painter.paint(face, ALL)
    np.testing.assert_array_equal(paint.crop, from_log(light + layer))
    np.testing.assert_array_equal(paint.mask, mask)


def test_without_skin_a_face_stays_bare_and_a_reference_is_refused(face: FaceAnalysis) -> None:
    covered = replace(face, regions=np.zeros_like(face.regions))
    paint = LightPainter(Added((-1.0, 0.0, 0.0)), VIEW, SIZE).paint(covered, ALL)
    assert not paint.mask.any()
    with pytest.raises(NoFaceError, match="too little of its skin is visible"):
        VIEW.reference(covered, SIZE)


def test_paint_fades_out_towards_the_border_of_the_window(face: FaceAnalysis) -> None:
    whole = replace(face, regions=np.full_like(face.regions, Region.SKIN))
    light, tone = fitted(face)
    layer, mask = LightPainter(Added((-0.15, 0.0, 0.15)), VIEW, SIZE).layer(whole, light, tone, ALL)
    profile = layer[:, 128, 2]
    assert not profile[: VIEW.top].any()
    assert np.abs(np.diff(profile)).max() < 0.02
    np.testing.assert_allclose(profile[VIEW.top + 24 : VIEW.top + 160], 0.15, atol=0.01)
    assert not mask[: VIEW.top].any()
