"""A folder with the files that the pages use: photos, looks, a clip, a bundle."""

import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import pytest

from makeup_engines import Bundle, write_bundle
from makeup_sdk import Look, read_image

ROOT = Path(__file__).parents[2]
_PACKAGE = resources.files("makeup_sdk")


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; a test works on a copy."""
    folder = tmp_path_factory.mktemp("furnished")
    demo = _PACKAGE / "assets" / "demo"
    for name, picture in {
        "reference": "red-classic",
        "red": "red-classic",
        "photo": "medium",
    }.items():
        shutil.copy(str(demo / f"{picture}.jpg"), folder / f"{name}.jpg")
    Look.from_photo(folder / "red.jpg").save(folder / "red.look")
    Look.from_colors(eyes="#1f6f75", lips="#b3123a", title="teal").save(folder / "teal.look")
    face = cv2.resize(read_image(folder / "photo.jpg"), (256, 256))
    writer = cv2.VideoWriter(
        str(folder / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (256, 256)
    )
    assert writer.isOpened()
    for _ in range(4):
        writer.write(face)
    writer.release()
    _write_bundle(folder / "mine.bundle")
    return folder


def _write_bundle(path: Path) -> None:
    """The shipped landmark network under the name of a makeup graph."""
    shipped = Bundle.open(str(_PACKAGE / "weights" / "face_landmarks_regions"))
    fields: dict[str, Any] = json.loads(shipped.manifest_bytes)
    fields["graphs"] = {"source": fields["graphs"]["model"]}
    del fields["files"]
    write_bundle(path, fields, shipped.contents)


@pytest.fixture
def workplace(furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a test: a copy of the furnished one."""
    place = tmp_path / "workplace"
    shutil.copytree(furnished, place)
    monkeypatch.chdir(place)
    return place
