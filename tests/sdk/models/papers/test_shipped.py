"""The published systems with the weights that ship: by name, in pictures, mixtures and streams."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from makeup_sdk import FaceAnalysis, InvalidInputError, Look, MakeupEngine, Region
from makeup_sdk.faces.light import from_log, to_log
from makeup_sdk.models.factors import GRIDS
from makeup_sdk.models.papers.light_paint import LightPainter
from makeup_sdk.models.papers.reference_model import PAINTERS, ReferenceModel
from makeup_sdk.models.registry import open_model, shipped_models

Image = NDArray[np.uint8]
Demo = Callable[[str], Image]
TRANSFERRING = [name for name in shipped_models() if name in PAINTERS and name != "portrait-edit"]


@pytest.fixture(scope="module", params=TRANSFERRING)
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
        assert worn.mean() > 0.12
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


def test_ssat_takes_red_lips_off_again(demo: Demo, analysis: Callable[[str], FaceAnalysis]) -> None:
    source, face = demo("light.jpg"), analysis("light.jpg")
    made_up = MakeupEngine(Look.from_colors(lips="#a01020"), threads=2).process(source)
    remover = MakeupEngine(Look.bare(), model="ssat", threads=2)
    bare = remover.process(made_up)
    before, after = (redness(image, face, Region.LIPS) for image in (made_up, bare))
    own = redness(source, face, Region.LIPS)
    assert before > own + 10
    assert abs(after - own) < 0.6 * (before - own)
    remover.strength = 0.5
    half = redness(remover.process(made_up), face, Region.LIPS)
    assert min(before, after) < half < max(before, after)
    stream = [result.image for result in remover.stream([made_up] * 3)]
    assert redness(stream[-1], face, Region.LIPS) < before


def test_ssat_shows_where_a_place_gathers_from(analysis: Callable[[str], FaceAnalysis]) -> None:
    model = open_model("ssat")
    assert isinstance(model, ReferenceModel)
    face, reference = analysis("light.jpg"), analysis("red-classic.jpg")
    for points in (slice(48, 60), slice(36, 42)):  # mouth and left eye
        x, y = map(float, face.crop_landmarks[points].mean(axis=0))
        heat = model.gathered_from(face, (x, y), reference)
        assert heat.shape == (256, 256)
        np.testing.assert_allclose(heat.sum(), 1, rtol=1e-4)
        rows, columns = np.mgrid[:256, :256]
        middle = float((heat * columns).sum()), float((heat * rows).sum())
        np.testing.assert_allclose(middle, reference.crop_landmarks[points].mean(axis=0), atol=14)
    with pytest.raises(InvalidInputError, match="lies outside what the network sees"):
        model.gathered_from(face, (2.0, 128.0), reference)
    psgan = open_model("psgan")
    assert isinstance(psgan, ReferenceModel)
    with pytest.raises(InvalidInputError, match="'psgan' has no correspondence of places"):
        psgan.gathered_from(face, (128.0, 128.0), reference)
