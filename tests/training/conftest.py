"""Tiny data sets made of the shipped demo faces, with masks drawn from their landmarks."""

import importlib.resources
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

DEMO = Path(str(importlib.resources.files("makeup_sdk"))) / "assets" / "demo"
NAMES = ("light", "medium", "dark")
SIDE = 160


def demo_face(name):
    """Picture (160, 160, 3) and landmarks of a demo face."""
    listing = json.loads((DEMO / "demo.json").read_text())["pictures"]
    entry = next(e for e in listing if e["file"] == f"{name}.jpg")
    picture = cv2.imread(str(DEMO / entry["file"]))
    scale = SIDE / picture.shape[0]
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small, (np.array(entry["landmarks68"], np.float32) + 0.5) * scale - 0.5


def drawn_mask(landmarks):
    """The classes that both numberings share, 0 to 9, as polygons."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    forehead = landmarks[17:27][::-1] - [0, 0.18 * np.ptp(landmarks[:, 1])]
    for points, value in (
        (np.vstack([landmarks[:17], forehead]), 1),
        (landmarks[[27, 35, 33, 31]], 6),
        (landmarks[48:60], 9),
        (np.vstack([landmarks[48:55], landmarks[60:65][::-1]]), 7),
        (landmarks[60:68], 8),
        (landmarks[36:42], 4),
        (landmarks[42:48], 5),
    ):
        cv2.fillPoly(mask, [np.round(points).astype(np.int32)], value)
    for points, value in ((landmarks[17:22], 2), (landmarks[22:27], 3)):
        cv2.polylines(mask, [np.round(points).astype(np.int32)], False, value, 4)
    return mask


@pytest.fixture
def faces_layout(tmp_path):
    """A folder in our labels.json layout with six faces, each demo face twice."""
    return write_faces_layout(tmp_path / "faces")


@pytest.fixture(scope="module")
def faces_folder(tmp_path_factory):
    """The same for all tests of a module, which leave it as it is."""
    return write_faces_layout(tmp_path_factory.mktemp("data") / "faces")


def write_faces_layout(folder):
    labels = {}
    for sub in ("images", "masks"):
        (folder / sub).mkdir(parents=True)
    for index in range(6):
        picture, landmarks = demo_face(NAMES[index % 3])
        name = f"person_{index}"
        cv2.imwrite(str(folder / "images" / f"{name}.jpg"), picture)
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), drawn_mask(landmarks))
        labels[name] = {"landmarks68": landmarks.tolist()}
    (folder / "labels.json").write_text(json.dumps(labels))
    return folder


@pytest.fixture
def mt_layout(tmp_path):
    """A folder in the MT layout: two bare and two made-up faces, the second of each for testing."""
    folder = tmp_path / "mt"
    domains = {"non-makeup": ("light", "dark"), "makeup": ("medium", "light")}
    for domain, names in domains.items():
        for sub in ("images", "segs", "landmarks"):
            (folder / sub / domain).mkdir(parents=True)
        for index, name in enumerate(names):
            picture, landmarks = demo_face(name)
            file = f"{domain}/{index}.png"
            cv2.imwrite(str(folder / "images" / file), picture)
            cv2.imwrite(str(folder / "segs" / file), drawn_mask(landmarks))
            (folder / "landmarks" / file).write_bytes(pickle.dumps(landmarks[:, ::-1]))
        (folder / f"{domain}.txt").write_text(f"{domain}/0.png\n")
        (folder / f"{domain}_test.txt").write_text(f"{domain}/1.png\n")
    return folder
