"""Networks that work in the face's own light: their inputs and their paint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from makeup_sdk import FaceAnalysis, NoFaceError, Region
from makeup_sdk.faces.light import decode_srgb, from_log, to_log
from makeup_sdk.faces.skin_light import CheekLight
from makeup_sdk.models.factors import GRIDS
from makeup_sdk.models.papers.faces import NetworkFace
from makeup_sdk.models.papers.light_paint import LightPainter
from makeup_sdk.models.papers.views import LabView, LightView

SIZE = 96
VIEW = LightView(1.0, 2.4, 32, 48, 192)
ALL = dict.fromkeys((Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS), 1.0)


@pytest.fixture
def face(analysis: Callable[[str], FaceAnalysis]) -> FaceAnalysis:
    return analysis("medium.jpg")


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


def core(face: FaceAnalysis, region: Region, margin: int) -> NDArray[np.bool_]:
    """Pixels of a region's grid well inside the region."""
    inside = cv2.erode((face.regions == region).astype(np.uint8), np.ones((margin, margin)))
    grid = GRIDS[region]
    return inside[grid.pixels][:: grid.cell, :: grid.cell] > 0


def test_the_difference_of_the_passes_is_painted_and_mistakes_cancel(face: FaceAnalysis) -> None:
    change = (-0.5, -0.4, 0.1)
    first, second = (
        LightPainter(Added(change, mistake), VIEW, SIZE).factors(face) for mistake in (0.0, 30.0)
    )
    for region in ALL:
        np.testing.assert_allclose(first[region], second[region], atol=1e-5)
    inside = core(face, Region.LIPS, 7)
    assert inside.sum() > 50
    for found, wanted in zip(first[Region.LIPS][:, inside], change, strict=True):
        np.testing.assert_allclose(found, wanted, atol=0.03)


def test_skin_keeps_its_lightness(face: FaceAnalysis) -> None:
    factors = LightPainter(Added((-1.0, -1.0, -1.0)), VIEW, SIZE).factors(face)
    inside = core(face, Region.SKIN, 21)
    inside[:35] = False  # towards the window's border paint fades out
    assert inside.sum() > 125
    np.testing.assert_allclose(factors[Region.SKIN][:, inside], -0.15, atol=0.01)
    np.testing.assert_allclose(factors[Region.LIPS][:, core(face, Region.LIPS, 7)], -1, atol=0.03)
    np.testing.assert_allclose(factors[Region.EYES][:, core(face, Region.EYES, 11)], -1, atol=0.05)


def test_the_change_is_what_the_frame_is_multiplied_with(face: FaceAnalysis) -> None:
    painter = LightPainter(Added((-0.5, -0.5, -0.5)), VIEW, SIZE)
    frame = face.crop.copy()
    whole = replace(face, matrix=np.eye(2, 3), landmarks=face.crop_landmarks)
    painter.paint(whole, {Region.LIPS: 1.0}).put(frame, whole, color="bgr", threads=1)
    inside = cv2.erode((face.regions == Region.LIPS).astype(np.uint8), np.ones((9, 9))) > 0
    before, after = (decode_srgb(image[inside] / 255.0).mean() for image in (face.crop, frame))
    np.testing.assert_allclose(after / before, np.exp(-0.5), rtol=0.04)


def test_strength_scales_a_region_and_leaves_the_others_bare(face: FaceAnalysis) -> None:
    network = Added((-0.5, -0.5, 0.0))
    painter = LightPainter(network, VIEW, SIZE)
    full, half = (painter.paint(face, {Region.LIPS: amount}).gains for amount in (1.0, 0.5))
    assert set(full) == {GRIDS[Region.LIPS]}
    logs, half_logs = (np.log1p(gains[GRIDS[Region.LIPS]]) for gains in (full, half))
    np.testing.assert_allclose(half_logs, logs / 2, atol=1e-6)
    assert np.abs(logs).max() > 0.15
    assert network.asked == [ALL, ALL]


def test_without_skin_a_face_stays_bare_and_a_reference_is_refused(face: FaceAnalysis) -> None:
    covered = replace(face, regions=np.zeros_like(face.regions))
    paint = LightPainter(Added((-1.0, 0.0, 0.0)), VIEW, SIZE).paint(covered, ALL)
    assert not paint.gains
    with pytest.raises(NoFaceError, match="too little of its skin is visible"):
        VIEW.reference(covered, SIZE)


def test_paint_fades_out_towards_the_border_of_the_window(face: FaceAnalysis) -> None:
    whole = replace(face, regions=np.full_like(face.regions, Region.SKIN))
    factors = LightPainter(Added((-0.15, 0.0, 0.15)), VIEW, SIZE).factors(whole)
    profile = factors[Region.SKIN][2, :, 64]  # a cell is two pixels of the crop
    assert not profile[: VIEW.top // 2].any()
    assert np.abs(np.diff(profile)).max() < 0.04
    np.testing.assert_allclose(profile[VIEW.top // 2 + 12 : VIEW.top // 2 + 80], 0.15, atol=0.01)


def test_skin_takes_nothing_from_beside_the_lips(face: FaceAnalysis) -> None:
    class Haloed(Added):
        """A network that smears a change of the lips onto the skin around them."""

        def both(
            self, source: NetworkFace, strength: Mapping[Region, float]
        ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            result, bare = super().both(source, strength)
            lips = (source.regions == Region.LIPS).astype(np.uint8)
            near = cv2.dilate(lips, np.ones((7, 7), np.uint8)) > 0
            return np.where(near, result, bare), bare

    factors = LightPainter(Haloed((-0.5, -0.5, 0.2)), VIEW, SIZE).factors(face)
    assert np.abs(factors[Region.SKIN]).max() < 0.02
    np.testing.assert_allclose(factors[Region.LIPS][2, core(face, Region.LIPS, 7)], 0.2, atol=0.03)


def test_gains_scale_a_region_alone(face: FaceAnalysis) -> None:
    network = Added((-0.4, -0.3, 0.1))
    plain = LightPainter(network, VIEW, SIZE).factors(face)
    more = LightPainter(network, VIEW, SIZE, {Region.EYES: 1.5}).factors(face)
    np.testing.assert_allclose(more[Region.EYES], 1.5 * plain[Region.EYES], atol=1e-5)
    np.testing.assert_array_equal(more[Region.LIPS], plain[Region.LIPS])


def test_a_change_of_cielab_is_painted_as_such_whatever_the_skin(
    analysis: Callable[[str], FaceAnalysis],
) -> None:
    view, step = LabView(60.0, 32, 48, 192), np.float32([5.0, 15.0, -10.0])  # b*, a*, L*
    scaled = Added(tuple(step / 60.0 * VIEW.range))
    for name in ("light.jpg", "dark.jpg"):
        face = analysis(name)
        frame = face.crop.copy()
        whole = replace(face, matrix=np.eye(2, 3), landmarks=face.crop_landmarks)
        painter = LightPainter(scaled, view, SIZE)
        painter.paint(whole, {Region.LIPS: 1.0}).put(frame, whole, color="bgr", threads=1)
        inside = cv2.erode((face.regions == Region.LIPS).astype(np.uint8), np.ones((9, 9))) > 0
        light = CheekLight.measure(face.crop, face.regions)
        before, after = (light.relative(light.lab(image))[inside] for image in (face.crop, frame))
        np.testing.assert_allclose((after - before).mean(axis=0), step[::-1], atol=3)
        skin = view.reference(face, SIZE)
        np.testing.assert_allclose(
            np.median(skin.image[skin.regions == Region.SKIN], axis=0), 127.5, atol=5
        )
