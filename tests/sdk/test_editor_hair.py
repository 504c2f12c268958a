"""Hair of other people, and hairlines redrawn in the label, with the weights that ship."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError
from makeup_sdk import FaceAnalysis, PortraitEditor
from makeup_sdk.models.registry import open_model
from makeup_sdk.weights import FOLDER

Image = NDArray[np.uint8]
Demo = Callable[[str], Image]
Analysis = Callable[[str], FaceAnalysis]

HAIR, SKIN = 10, 1


@pytest.fixture(scope="module")
def editor() -> PortraitEditor:
    return PortraitEditor(threads=2)


def hair_color(editor: PortraitEditor, image: Image) -> NDArray[np.float32]:
    """Mean CIELAB of the hair."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    return np.asarray(lab[editor.label(image) == HAIR].mean(axis=0))


def inner_face(image: Image, face: FaceAnalysis) -> NDArray[np.bool_]:
    """Eyes, nose and mouth."""
    mask = np.zeros(image.shape[:2], np.uint8)
    outline = cv2.convexHull(np.rint(face.landmarks[36:60]).astype(np.int32))
    return np.asarray(cv2.fillConvexPoly(mask, outline, 1) > 0)


def grown(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    size = 2 * reach + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)) > 0)


def test_the_hair_of_a_reference_arrives_and_the_face_stays(
    editor: PortraitEditor, demo: Demo, analysis: Analysis
) -> None:
    source, reference = demo("light.jpg"), demo("coral-natural.jpg")
    before = source.copy()
    result = editor.edit(source, {"hair": reference})
    np.testing.assert_array_equal(source, before)
    assert result.shape == source.shape
    own, wanted, got = (hair_color(editor, one) for one in (source, reference, result))
    assert np.linalg.norm(own - wanted) > 8
    assert np.linalg.norm(got - wanted) < 0.5 * np.linalg.norm(own - wanted)
    inside = inner_face(source, analysis("light.jpg"))
    np.testing.assert_array_equal(result[inside], source[inside])
    changed = (result != source).any(axis=2)
    hair = (editor.label(source) == HAIR) | (editor.label(result) == HAIR)
    assert changed[hair].mean() > 0.9
    side = source.shape[1] // 12
    np.testing.assert_array_equal(result[: 2 * side, :side], source[: 2 * side, :side])


def test_other_parts_are_put_on_under_the_hair(
    editor: PortraitEditor, demo: Demo, analysis: Analysis
) -> None:
    source = demo("light.jpg")
    parts = {"mouth": demo("red-classic.jpg")}
    mouth = editor.edit(source, parts)
    both = editor.edit(source, {"hair": demo("coral-natural.jpg"), **parts})
    inside = inner_face(source, analysis("light.jpg"))
    np.testing.assert_array_equal(both[inside], mouth[inside])
    assert (both != mouth).any()


def test_a_face_turned_the_other_way_lends_its_hair_mirrored(
    editor: PortraitEditor, demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, reference = demo("light.jpg"), demo("coral-natural.jpg")
    mirrored = np.ascontiguousarray(reference[:, ::-1])
    expected = editor.edit(source, {"hair": mirrored})
    assert (expected != editor.edit(source, {"hair": reference})).any()
    yaws = iter((20.0, -20.0))  # of the source, then of the reference
    monkeypatch.setattr("makeup_sdk.editor.yaw_degrees", lambda _: next(yaws))
    np.testing.assert_array_equal(editor.edit(source, {"hair": reference}), expected)


@pytest.mark.parametrize("by", [20, -14])
def test_a_hairline_follows_its_label(editor: PortraitEditor, demo: Demo, by: int) -> None:
    source = demo("light.jpg")
    label = editor.label(source)
    hair, skin = label == HAIR, label == SKIN
    drawn = label.copy()
    moved = np.zeros_like(hair)
    if by > 0:
        moved[by:] = hair[:-by]
        drawn[moved & skin] = HAIR
    else:
        moved[:by] = skin[-by:]
        drawn[moved & hair] = SKIN
    redrawn = drawn != label
    assert redrawn.sum() > 800
    result = editor.edit(source, label=drawn)
    near = grown(redrawn, 10)
    wanted, found = (one[near] == HAIR for one in (drawn, editor.label(result)))
    overlap = (wanted & found).sum() / (wanted | found).sum()
    was = (wanted & hair[near]).sum() / (wanted | hair[near]).sum()
    assert overlap > 0.75
    assert overlap > was + 0.1
    far = ~grown(redrawn, 120)
    np.testing.assert_array_equal(result[far], source[far])
    eyes = grown(np.isin(label, (4, 5)), 3)
    assert np.abs(result[eyes].astype(int) - source[eyes]).max() <= 3


def test_hair_drawn_where_there_is_none_is_refused(editor: PortraitEditor, demo: Demo) -> None:
    source = demo("light.jpg")
    drawn = editor.label(source)
    y, x = (int(np.mean(axis)) for axis in np.nonzero(drawn == 6))
    drawn[y - 15 : y + 15, x - 40 : x + 40] = HAIR
    with pytest.raises(InvalidInputError, match="label: hair was drawn or erased where"):
        editor.edit(source, label=drawn)


def test_bundles_that_find_no_heads_edit_all_but_hair(demo: Demo, tmp_path: Path) -> None:
    folder = tmp_path / "old.bundle"
    shutil.copytree(FOLDER / "portrait-edit", folder)
    (folder / "head.onnx").unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["graphs"]["head"], manifest["files"]["head.onnx"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    old, source = PortraitEditor(folder, threads=1), demo("light.jpg")
    parts = {"mouth": demo("red-classic.jpg")}
    np.testing.assert_array_equal(
        old.edit(source, parts), PortraitEditor(threads=1).edit(source, parts)
    )
    with pytest.raises(InvalidInputError, match="hair: the bundle has no graph 'head'"):
        old.edit(source, {"hair": source})
    assert open_model(folder).name == "portrait-edit"
