"""`region-gan` with the weights that ship: six styles by name, on chosen regions, and off again."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from makeup_sdk import FaceAnalysis, InvalidInputError, Look, MakeupEngine, Region
from makeup_sdk.cosmetics import Lipstick

Image = NDArray[np.uint8]
Demo = Callable[[str], Image]
Analysis = Callable[[str], FaceAnalysis]
STYLES = ("bare", "retro", "korean", "japanese", "smoky", "colourful")


@pytest.fixture(scope="module")
def engine() -> MakeupEngine:
    return MakeupEngine(model="region-gan", threads=2)


def lab(image: Image, face: FaceAnalysis, region: Region) -> NDArray[np.float32]:
    """Median CIELAB of a region."""
    crop = cv2.warpAffine(image, face.matrix, (256, 256)).astype(np.float32) / 255
    found = cv2.cvtColor(crop, cv2.COLOR_BGR2LAB)[face.regions == region]
    return np.median(found, axis=0)


def test_styles_by_name(engine: MakeupEngine, demo: Demo, analysis: Analysis) -> None:
    assert engine.model.styles == STYLES
    for name in ("light.jpg", "dark.jpg"):
        source, face = demo(name), analysis(name)
        eyes, lips = (lab(source, face, region) for region in (Region.EYES, Region.LIPS))
        made: dict[str, dict[Region, NDArray[np.float32]]] = {}
        for style in STYLES:
            engine.look = Look.from_style(style)
            result = engine.process(source)
            made[style] = {r: lab(result, face, r) for r in (Region.EYES, Region.LIPS)}
        assert np.abs(made["bare"][Region.LIPS] - lips).max() < 8
        assert made["retro"][Region.LIPS][1] > lips[1] + 10  # redder lips
        assert made["smoky"][Region.EYES][0] < eyes[0] - 3  # darker lids
        assert made["colourful"][Region.EYES][2] < eyes[2] - 4  # bluer lids
        assert made["colourful"][Region.LIPS][2] < made["japanese"][Region.LIPS][2] - 5


def test_a_region_that_is_off_stays(engine: MakeupEngine, demo: Demo, analysis: Analysis) -> None:
    source, face = demo("medium.jpg"), analysis("medium.jpg")
    engine.look, engine.strength = Look.from_style("colourful"), {"lips": 1.0}
    result = engine.process(source)
    engine.strength = 1.0
    changed = cv2.warpAffine((result != source).any(2).astype(np.uint8), face.matrix, (256, 256))
    near = cv2.dilate((face.regions == Region.LIPS).astype(np.uint8), np.ones((9, 9), np.uint8))
    assert changed.any()
    assert not changed[near == 0].any()


def test_bare_takes_lipstick_off(engine: MakeupEngine, demo: Demo, analysis: Analysis) -> None:
    source, face = demo("light.jpg"), analysis("light.jpg")
    lipstick = Look.from_products([Lipstick("#a8101f", finish="matte", opacity=0.92)])
    red = MakeupEngine(lipstick, model="products").process(source)
    engine.look = Look.from_style("bare")
    cleaned = engine.process(red)
    lips = [lab(image, face, Region.LIPS) for image in (source, red, cleaned)]
    assert np.linalg.norm(lips[2] - lips[0]) < 0.85 * np.linalg.norm(lips[1] - lips[0])


def test_the_mask_network_sees_the_parts(engine: MakeupEngine, analysis: Analysis) -> None:
    face = analysis("light.jpg")
    parts = engine.model.parts(face, "retro")
    assert parts.shape == (4, 96, 96)
    np.testing.assert_allclose(parts.sum(0), 1, atol=1e-4)
    regions = face.regions[48:240, 32:224][::2, ::2]
    for number, region in ((1, Region.EYES), (2, Region.SKIN), (3, Region.LIPS)):
        found, wanted = parts.argmax(0) == number, regions == region
        assert (found & wanted).sum() > 0.5 * (found | wanted).sum()
    with pytest.raises(InvalidInputError, match=r"'gothic' is unknown to .*; expected one of bare"):
        engine.model.parts(face, "gothic")


def test_streams_wear_a_style(engine: MakeupEngine, demo: Demo, analysis: Analysis) -> None:
    engine.look = Look.from_style("retro")
    frame, face = demo("light.jpg"), analysis("light.jpg")
    last = [result.image for result in engine.stream([frame] * 3)][-1]
    assert lab(last, face, Region.LIPS)[1] > lab(frame, face, Region.LIPS)[1] + 8
