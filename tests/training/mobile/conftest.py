"""Two makeups on three faces each, and a face unlike the template."""

import json
import shutil

import cv2
import numpy as np
import pytest

from makeup_sdk.faces.layout import FaceLayout
from makeup_sdk.faces.template import template_landmarks, template_regions
from makeup_training.data.readers import open_collection
from makeup_training.mobile.samples import Samples, paint


@pytest.fixture(scope="module")
def everyday_faces(faces_folder, tmp_path_factory):
    """The faces in neutral light, with lighter eyes; theirs is warm and their eyes are dark."""
    folder = shutil.copytree(faces_folder, tmp_path_factory.mktemp("everyday") / "faces")
    for name, label in json.loads((folder / "labels.json").read_text()).items():
        path = str(folder / "images" / f"{name}.jpg")
        image, landmarks = cv2.imread(path), np.array(label["landmarks68"])
        eyes = np.zeros(image.shape[:2], np.float32)
        for points in (landmarks[36:42], landmarks[42:48]):
            middle, width = points.mean(axis=0), np.ptp(points[:, 0])
            cv2.circle(eyes, np.round(middle).astype(int).tolist(), int(0.8 * width), 0.2, -1)
        lighter = 1 + cv2.GaussianBlur(eyes, (0, 0), width / 4)[..., None]
        cv2.imwrite(path, np.clip(image * lighter * [1.15, 1, 1], 0, 255))
    return folder


@pytest.fixture(scope="module")
def samples_folder(everyday_faces, tmp_path_factory):
    """Two makeups on three faces each."""
    folder = tmp_path_factory.mktemp("samples")
    paint(open_collection(everyday_faces).bare, folder, makeups=2, faces=3, seed=0)
    return folder


@pytest.fixture(scope="module")
def samples(samples_folder):
    return Samples.open(samples_folder)


@pytest.fixture(scope="session")
def turned_face():
    """Another face than the template: wider, shifted and turned a little."""
    angle = 0.1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (template_landmarks() - 128) @ turn.T * [1.05, 0.97] + [131, 126]
    y, x = np.mgrid[:256, :256]
    back = ((np.stack([x, y], -1) - [131, 126]) / [1.05, 0.97]) @ turn + 128
    column, row = np.clip(np.round(back).astype(int), 0, 255).transpose(2, 0, 1)
    regions = np.ascontiguousarray(template_regions()[row, column])
    return FaceLayout(points.astype(np.float32), regions)
