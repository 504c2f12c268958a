"""The published systems with the weights that ship: by name, in pictures, mixtures and streams."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from makeup_sdk import FaceAnalysis, Look, MakeupEngine, Region
from makeup_sdk.faces.light import from_log, to_log
from makeup_sdk.models.factors import GRIDS
from makeup_sdk.models.papers.light_paint import LightPainter
from makeup_sdk.models.papers.reference_model import PAINTERS
from makeup_sdk.models.registry import shipped_models

Image = NDArray[np.uint8]
Demo = Callable[[str], Image]
LENDERS = [name for name in shipped_models() if name in PAINTERS and name != "portrait-edit"]


@pytest.fixture(scope="module", params=LENDERS)
def engine(request: pytest.FixtureRequest) -> MakeupEngine:
    return MakeupEngine(model=request.param, threads=2)


def redness(image: Image, face: FaceAnalysis, region: Region) -> float:
    """Median a* of a region, above that of the skin."""
    crop = cv2.warpAffine(image, face.matrix, (256, 256))
    lab = cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)[..., 1]
    inside = np.median(lab[face.regions == region])
    return float(inside - np.median(lab[face.regions == Region.SKIN]))


def test_the_lips_of_a_reference_arrive_and_nothing_outside_changes(
    engine: MakeupEngine, demo: Demo, analysis: Callable[[str], FaceAnalysis]
) -> None:
    engine.look = Look.from_photo(demo("red-classic.jpg"), model=engine.model)
    source, face = demo("light.jpg"), analysis("light.jpg")
    result = engine.process(source)
    assert redness(result, face, Region.LIPS) > redness(source, face, Region.LIPS) + 3
    near = cv2.dilate((face.regions > 0).astype(np.uint8), np.ones((9, 9), np.uint8))
    inverse = cv2.invertAffineTransform(face.matrix)
    touched = cv2.warpAffine(near, inverse, source.shape[1::-1], flags=cv2.INTER_NEAREST)
    assert not (result != source)[touched == 0].any()


def test_another_light_changes_the_makeup_little(
    engine: MakeupEngine, demo: Demo, analysis: Callable[[str], FaceAnalysis]
) -> None:
    engine.look = Look.from_photo(demo("teal-smoky.jpg"), model=engine.model)
    outfit = engine.outfit(0)
    assert outfit is not None
    assert isinstance(outfit.painter, LightPainter)
    face = analysis("light.jpg")
    bright, dim = (  # half the light, and warmer
        outfit.painter.factors(replace(face, crop=from_log(to_log(face.crop) + np.float32(shift))))
        for shift in ((0, 0, 0), (-0.6, -0.4, -0.3))
    )
    for region in (Region.LIPS, Region.EYES):
        grid = GRIDS[region]
        inside = face.regions[grid.pixels] == region
        worn = np.abs(bright[region][:, inside])
        assert worn.mean() > 0.15
        other = np.abs(dim[region] - bright[region])[:, inside]
        assert other.mean() < 0.25 * worn.mean()


def test_strength_regions_and_mixtures(engine: MakeupEngine, demo: Demo) -> None:
    red, teal = (
        Look.from_photo(demo(f"{name}.jpg"), model=engine.model)
        for name in ("red-classic", "teal-smoky")
    )
    source = demo("medium.jpg").astype(int)

    def change(look: Look, strength: float = 1.0) -> NDArray[np.int64]:
        engine.look, engine.strength = look, strength
        return engine.process(demo("medium.jpg")) - source

    both = [change(look) for look in (red, teal)]
    mixed = change(Look.mix({red: 0.5, teal: 0.5}))
    apart = np.abs(both[0] - both[1]).mean()
    assert np.abs(mixed - (both[0] + both[1]) / 2).mean() < 0.4 * apart
    half = change(red, 0.5)
    assert 0.35 < np.abs(half).sum() / np.abs(both[0]).sum() < 0.65
    engine.strength = 1.0


def test_streams_wear_it(engine: MakeupEngine, demo: Demo) -> None:
    engine.look = Look.from_photo(demo("red-classic.jpg"), model=engine.model)
    frame = demo("light.jpg")
    still = engine.process(frame).astype(int) - frame
    results = [result.image for result in engine.stream([frame] * 4)]
    last = results[-1].astype(int) - frame
    assert len(results) == 4
    strong = np.abs(still).max(2) > 20
    np.testing.assert_allclose(last[strong].mean(0), still[strong].mean(0), atol=8)
