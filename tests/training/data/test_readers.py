"""Readers of data sets: their results, and their errors for bad data."""

import json
import os
import pickle

import cv2
import numpy as np
import pytest

from makeup_training.data.portraits import BadDataError, usable
from makeup_training.data.readers import open_celeba, open_collection


def test_faces_folder(faces_layout):
    collection = open_collection(faces_layout)
    faces = collection.bare + collection.held_bare
    assert sorted(f.name for f in faces) == [f"person_{i}" for i in range(6)]
    assert collection.made_up == []
    portrait = faces[0].load()
    assert portrait.image.shape == (160, 160, 3)
    assert portrait.landmarks.shape == (68, 2)
    assert set(np.unique(portrait.parsing)) >= {0, 1, 2, 3, 4, 5, 6, 7, 9}


def test_train_subfolder_is_found(faces_layout):
    root = faces_layout.parent / "root"
    root.mkdir()
    faces_layout.rename(root / "train")
    assert len(open_collection(root).bare) + len(open_collection(root).held_bare) == 6


def test_made_up_portraits_are_not_bare(faces_layout):
    path = faces_layout / "labels.json"
    labels = json.loads(path.read_text())
    labels["with_Makeup"] = labels.pop("person_0")
    path.write_text(json.dumps(labels))
    collection = open_collection(faces_layout)
    names = [f.name for f in collection.bare + collection.held_bare]
    assert "with_Makeup" not in names
    assert len(names) == 5


def test_mt_layout_and_its_lists(mt_layout):
    collection = open_collection(mt_layout)
    assert [f.name for f in collection.bare] == ["non-makeup/0.png"]
    assert [f.name for f in collection.held_made_up] == ["makeup/1.png"]
    portrait = collection.made_up[0].load()
    # landmarks are stored y then x: the chin lies below the nose
    assert portrait.landmarks[8, 1] > portrait.landmarks[30, 1] + 20


def test_mt_layout_without_lists_takes_all_pictures(mt_layout):
    for path in mt_layout.glob("*.txt"):
        path.unlink()
    collection = open_collection(mt_layout)
    assert len(collection.bare) + len(collection.held_bare) == 2


def break_mask(folder):
    (folder / "masks" / "person_2.png").unlink()
    return r"person_2\.png: no such file, expected the mask"


def break_size(folder):
    cv2.imwrite(str(folder / "masks" / "person_2.png"), np.zeros((80, 80), np.uint8))
    return r"person_2\.png: the mask is 80×80, expected the size of its picture, 160×160"


def break_classes(folder):
    cv2.imwrite(str(folder / "masks" / "person_2.png"), np.full((160, 160), 77, np.uint8))
    return r"person_2\.png: parsing: got class 77"


def break_picture(folder):
    (folder / "images" / "person_2.jpg").write_bytes(b"\xff\xd8 not a picture")
    return r"person_2\.jpg: not a readable picture"


def edit_landmarks(folder, change):
    path = folder / "labels.json"
    labels = json.loads(path.read_text())
    points = np.array(labels["person_2"]["landmarks68"])
    labels["person_2"]["landmarks68"] = change(points).tolist()
    path.write_text(json.dumps(labels))


def break_outside(folder):
    edit_landmarks(folder, lambda points: points + 100)
    return r"person_2\.jpg: landmarks lie outside the picture \(160×160\)"


def break_count(folder):
    edit_landmarks(folder, lambda points: points[:60])
    return r"person_2\.jpg: landmarks of shape \(60, 2\)"


def break_spread(folder):
    edit_landmarks(folder, lambda points: points * 0 + 50)
    return r"person_2\.jpg: landmarks: all 68 points coincide"


BREAKS = [
    break_mask,
    break_size,
    break_classes,
    break_picture,
    break_outside,
    break_count,
    break_spread,
]


@pytest.mark.parametrize("damage", BREAKS)
def test_bad_face_is_named(faces_layout, damage):
    message = damage(faces_layout)
    collection = open_collection(faces_layout)
    files = collection.bare + collection.held_bare
    with pytest.raises(BadDataError, match=message + r".*--skip-bad"):
        usable(files, skip_bad=False, advance=lambda: None)


@pytest.mark.parametrize("damage", BREAKS)
def test_bad_face_is_left_out(faces_layout, damage):
    damage(faces_layout)
    collection = open_collection(faces_layout)
    read = []
    good, problems = usable(
        collection.bare + collection.held_bare, skip_bad=True, advance=lambda: read.append(1)
    )
    assert len(good) == 5
    assert len(read) == 6
    assert len(problems) == 1
    assert "person_2" in problems[0]


def test_empty_folder(tmp_path):
    with pytest.raises(BadDataError, match=r"expected labels\.json .* or the MT layout"):
        open_collection(tmp_path)


def test_empty_labels(tmp_path):
    (tmp_path / "labels.json").write_text("{}")
    with pytest.raises(BadDataError, match=r"labels\.json: lists no faces"):
        open_collection(tmp_path)


def test_labels_that_are_not_json(tmp_path):
    (tmp_path / "labels.json").write_text("{")
    with pytest.raises(BadDataError, match=r"labels\.json: not JSON"):
        open_collection(tmp_path)


def test_labels_without_landmarks(tmp_path):
    (tmp_path / "labels.json").write_text('{"a": {}}')
    with pytest.raises(BadDataError, match="a has no landmarks68"):
        open_collection(tmp_path)


def test_empty_mt_folder(mt_layout):
    for path in [*mt_layout.glob("*.txt"), *(mt_layout / "images" / "makeup").glob("*")]:
        path.unlink()
    with pytest.raises(BadDataError, match=r"makeup: no pictures"):
        open_collection(mt_layout)


def test_missing_landmark_file(mt_layout):
    (mt_layout / "landmarks" / "makeup" / "0.png").unlink()
    with pytest.raises(BadDataError, match=r"0\.png: no such file, expected the landmarks"):
        open_collection(mt_layout).made_up[0].load()


class Attack:
    """Unpickling it would run a command."""

    def __reduce__(self):
        return os.system, ("echo attacked",)


def test_landmark_file_cannot_run_code(mt_layout, capfd):
    path = mt_layout / "landmarks" / "makeup" / "0.png"
    path.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(BadDataError, match=r"system is not allowed in a landmark file"):
        open_collection(mt_layout).made_up[0].load()
    assert "attacked" not in capfd.readouterr().out


@pytest.fixture
def celeba(tmp_path):
    (tmp_path / "img_align_celeba").mkdir()
    picture = np.zeros((218, 178, 3), np.uint8)
    picture[20:198] = 200
    cv2.imwrite(str(tmp_path / "img_align_celeba" / "000001.jpg"), picture)
    (tmp_path / "list_attr_celeba.txt").write_text("1\nSmiling Young Male\n000001.jpg  1 -1  1\n")
    return tmp_path


def test_celeba(celeba):
    (face,) = open_celeba(celeba, ["Male", "Young"])
    assert face.attributes == (1, 0)
    square = face.load(64)
    assert square.shape == (64, 64, 3)
    assert square.mean() > 195  # the black rows above and below are cut off


def test_celeba_errors(celeba):
    with pytest.raises(BadDataError, match="no column Bald; it has Smiling, Young, Male"):
        open_celeba(celeba, ["Bald"])
    path = celeba / "list_attr_celeba.txt"
    path.write_text("1\nSmiling\n000001.jpg 3\n")
    with pytest.raises(BadDataError, match="line 3: expected a file name and 1 values 1 or -1"):
        open_celeba(celeba, ["Smiling"])
    path.write_text("0\nSmiling\n")
    with pytest.raises(BadDataError, match="lists no pictures"):
        open_celeba(celeba, ["Smiling"])
    path.unlink()
    with pytest.raises(BadDataError, match="expected CelebA's attribute list"):
        open_celeba(celeba, ["Smiling"])


def test_celeba_missing_picture(celeba):
    (face,) = open_celeba(celeba, ["Male"])
    face.path.unlink()
    with pytest.raises(BadDataError, match=r"000001\.jpg: missing or not a readable picture"):
        face.load(64)
