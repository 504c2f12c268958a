"""Portrait editing with the weights that ship: parts of others, redrawn labels, the command."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from makeup_kernels import BundleError, InvalidInputError, NoFaceError
from makeup_sdk import (
    BundledFaceAnalyzer,
    FaceAnalysis,
    MakeupEngine,
    PortraitEditor,
    Region,
    read_image,
    write_image,
)
from makeup_sdk.cli import app
from makeup_sdk.weights import FOLDER

Image = NDArray[np.uint8]
Demo = Callable[[str], Image]
Analysis = Callable[[str], FaceAnalysis]


@pytest.fixture(scope="module")
def editor() -> PortraitEditor:
    return PortraitEditor(threads=2)


def redness(image: Image, face: FaceAnalysis, region: Region = Region.LIPS) -> float:
    """Median a* of a region above that of the skin."""
    crop = cv2.warpAffine(image, face.matrix, (256, 256))
    lab = cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)[..., 1]
    skin = np.median(lab[face.regions == Region.SKIN])
    return float(np.median(lab[face.regions == region]) - skin)


def around(label: Image, classes: tuple[int, ...], reach: int) -> NDArray[np.bool_]:
    size = 2 * reach + 1
    mask = np.isin(label, classes).astype(np.uint8)
    return np.asarray(cv2.dilate(mask, np.ones((size, size), np.uint8)) > 0)


def test_a_mouth_is_swapped_and_all_else_stays(
    editor: PortraitEditor, demo: Demo, analysis: Analysis
) -> None:
    source, face = demo("light.jpg"), analysis("light.jpg")
    before = source.copy()
    result = editor.edit(source, {"mouth": demo("red-classic.jpg")})
    np.testing.assert_array_equal(source, before)
    assert result.shape == source.shape
    own = redness(source, face)
    wanted = redness(demo("red-classic.jpg"), analysis("red-classic.jpg"))
    assert redness(result, face) - own > 0.5 * (wanted - own) > 2
    far = ~around(editor.label(source), (7, 8, 9), 20)
    np.testing.assert_array_equal(result[far], source[far])


def test_a_face_in_another_light_stays_in_its_own(
    editor: PortraitEditor, demo: Demo, analysis: Analysis
) -> None:
    """Skin of a reference in half the light becomes as bright as the source's."""
    source, face = demo("light.jpg"), analysis("light.jpg")
    dim = np.uint8(np.rint(demo("medium.jpg") * 0.7))
    skin = face.regions == Region.SKIN

    def lightness(image: Image) -> float:
        crop = cv2.warpAffine(image, face.matrix, (256, 256))
        return float(np.median(cv2.cvtColor(crop, cv2.COLOR_BGR2LAB)[skin][:, 0]))

    result = editor.edit(source, {"face": dim})
    assert abs(lightness(result) - lightness(source)) < 6
    assert np.abs(result.astype(int) - source)[editor.label(source) == 1].mean() > 2


@pytest.mark.parametrize("part", ["skin", "eyes", "mouth"])
def test_each_part_changes_its_own_place(editor: PortraitEditor, demo: Demo, part: str) -> None:
    source = demo("medium.jpg")
    result = editor.edit(source, {part: demo("teal-smoky.jpg")})
    changed = np.abs(result.astype(int) - source).max(2) > 12
    label = editor.label(source)
    classes = {"skin": (1, 2, 3, 6), "eyes": (4, 5), "mouth": (7, 8, 9)}[part]
    assert changed.any()
    assert changed[np.isin(label, classes)].mean() > 0.02
    inside = around(label, classes, 28)
    assert not changed[~inside].any()


def test_fuller_lips_are_drawn(editor: PortraitEditor, demo: Demo) -> None:
    source = demo("light.jpg")
    label = editor.label(source)
    assert set(np.unique(label)) >= {0, 1, 2, 3, 4, 5, 6, 7, 9, 10}
    np.testing.assert_array_equal(editor.edit(source, label=label), source)
    lips = np.isin(label, (7, 9))
    wide = around(label, (7, 8, 9), 4)
    middle = int(np.mean(np.nonzero(lips)[0]))
    fuller = label.copy()
    upper = np.arange(len(label))[:, None] < middle
    fuller[wide & (label == 1) & upper] = 7
    fuller[wide & (label == 1) & ~upper] = 9
    result = editor.edit(source, label=fuller)
    found = np.isin(editor.label(result), (7, 8, 9))
    wanted = np.isin(fuller, (7, 8, 9))
    before = np.isin(label, (7, 8, 9))
    overlap = (found & wanted).sum() / (found | wanted).sum()
    assert overlap > 0.8
    assert overlap > (before & wanted).sum() / (before | wanted).sum() + 0.05
    far = ~around(fuller, (7, 8, 9), 30)
    np.testing.assert_array_equal(result[far], source[far])


def test_streams_wear_the_face_of_a_reference(demo: Demo, analysis: Analysis) -> None:
    engine = MakeupEngine(demo("red-classic.jpg"), model="portrait-edit", threads=2)
    frame, face = demo("light.jpg"), analysis("light.jpg")
    results = [result.image for result in engine.stream([frame] * 3)]
    assert len(results) == 3
    assert redness(results[-1], face) > redness(frame, face) + 3
    engine.strength = {"lips": 1.0}
    lips = engine.process(frame)
    far = cv2.warpAffine(lips, face.matrix, (256, 256)) != cv2.warpAffine(
        frame, face.matrix, (256, 256)
    )
    assert not far[:120].any()


def test_messages(editor: PortraitEditor, demo: Demo, tmp_path: Path) -> None:
    source = demo("light.jpg")
    with pytest.raises(InvalidInputError, match="parts: 'ears' is unknown; expected skin, eyes"):
        editor.edit(source, {"ears": source})
    with pytest.raises(NoFaceError, match="mouth: no face found"):
        editor.edit(source, {"mouth": np.zeros((64, 64, 3), np.uint8)})
    for wrong in (np.zeros((4, 4), np.uint8), np.full(source.shape[:2], 99, np.uint8)):
        with pytest.raises(InvalidInputError, match=r"label: expected uint8 .* classes 0 to 10"):
            editor.edit(source, label=wrong)
    shaved = editor.label(source)
    shaved[shaved == 10] = 1
    with pytest.raises(InvalidInputError, match="label: hair was drawn or erased where"):
        editor.edit(source, label=shaved)
    with pytest.raises(BundleError, match=r"holds the graphs .*, expected parser"):
        PortraitEditor(FOLDER / "psgan")


def test_the_command(demo: Demo, tmp_path: Path) -> None:
    run = CliRunner().invoke
    photo, other = tmp_path / "me.png", tmp_path / "other.png"
    write_image(photo, demo("light.jpg"))
    write_image(other, demo("red-classic.jpg"))
    label, out = tmp_path / "label.png", tmp_path / "out.png"
    done = run(app, ["edit", str(photo), "--write-label", str(label), "-o", str(out),
                     "--mouth", str(other)])  # fmt: skip
    assert done.exit_code == 0, done.output
    expected = PortraitEditor().edit(photo, {"mouth": other})
    np.testing.assert_array_equal(read_image(out), expected)
    done = run(app, ["edit", str(photo), "--hair", str(other), "-o", str(out)])
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(read_image(out), PortraitEditor().edit(photo, {"hair": other}))
    done = run(app, ["edit", str(photo), "--label", str(label), "--json"])
    assert done.exit_code == 0, done.output
    again = json.loads(done.output)["output"]
    assert Path(again) == photo.with_stem(f"{photo.stem}-edited")
    np.testing.assert_array_equal(read_image(again), read_image(photo))
    for arguments, message in (
        ([str(photo)], "nothing to edit"),
        ([str(photo), "-o", str(out)], "nothing to edit"),
        ([str(photo), "--write-label", "label.jpg"], "expected a .png"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            run(app, ["edit", *arguments], catch_exceptions=False)


def test_the_largest_face_is_edited(editor: PortraitEditor, demo: Demo) -> None:
    face = demo("light.jpg")
    small = cv2.resize(face, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    picture = np.full((face.shape[0], face.shape[1] + small.shape[1], 3), 128, np.uint8)
    picture[: small.shape[0], : small.shape[1]] = small
    picture[:, small.shape[1] :] = face
    assert len(BundledFaceAnalyzer().detect(picture, 9)) == 2
    result = editor.edit(picture, {"mouth": demo("red-classic.jpg")})
    changed = (result != picture).any(2)
    assert changed[:, small.shape[1] :].any()
    assert not changed[:, : small.shape[1]].any()
    at = small.shape[1] / 2, small.shape[0] / 2
    result = editor.edit(picture, {"mouth": demo("red-classic.jpg")}, at=at)
    changed = (result != picture).any(2)
    assert changed[:, : small.shape[1]].any()
    assert not changed[:, small.shape[1] :].any()
    assert not editor.label(picture, at=at)[:, small.shape[1] :].any()
