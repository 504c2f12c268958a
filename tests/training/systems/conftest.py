"""A small store of faces, made of the shipped pictures."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import makeup_sdk
from makeup_training.systems.faces import FaceStore, build
from makeup_training.systems.portrait_edit import Portraits
from makeup_training.systems.styles import StyleFaces

PICTURES = Path(makeup_sdk.__file__).parent / "assets" / "demo"
BARE = ("light", "medium", "dark")
WORN = ("red-classic", "teal-smoky")
MEASURED = "berry-evening"


@pytest.fixture(scope="session")
def faces_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lay-out of the faces folder."""
    root = tmp_path_factory.mktemp("faces")
    for part in ("train/images", "train/masks", "more/images"):
        (root / part).mkdir(parents=True)
    for name in (*BARE, *WORN, MEASURED):
        shutil.copy(PICTURES / f"{name}.jpg", root / "train" / "images" / f"{name}.jpg")
    names: dict[str, dict[str, int]] = {name: {} for name in (*BARE[:2], *WORN, MEASURED)}
    (root / "train" / "labels.json").write_text(json.dumps(names))
    for name in BARE[:2]:
        side = cv2.imread(str(PICTURES / f"{name}.jpg")).shape[:2]
        cv2.imwrite(str(root / "train" / "masks" / f"{name}.png"), np.ones(side, np.uint8))
    rows = ["name,lips_or_skin,eyes,use"]
    rows += [f"{name},1,1,train" for name in WORN] + [f"{MEASURED},1,1,measure"]
    (root / "train" / "makeup.csv").write_text("\n".join(rows) + "\n")
    shutil.copy(PICTURES / "dark.jpg", root / "more" / "images" / "dark.jpg")
    manifest = "file,source,licence,wears\ndark.jpg,x,MIT,natural or bare\n"
    (root / "more" / "manifest.csv").write_text(manifest)
    return root


@pytest.fixture(scope="session")
def store(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> FaceStore:
    folder = tmp_path_factory.mktemp("store")
    build(faces_folder, folder)
    return FaceStore.open(folder)


@pytest.fixture(scope="session")
def styled(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> StyleFaces:
    folder = tmp_path_factory.mktemp("styles")
    StyleFaces.build(faces_folder, folder)
    return StyleFaces.open(folder)


@pytest.fixture(scope="session")
def portraits(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Portraits:
    folder = tmp_path_factory.mktemp("portraits")
    Portraits.build(faces_folder, folder)
    return Portraits.open(folder)
