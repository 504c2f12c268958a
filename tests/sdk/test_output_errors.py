"""Commands that cannot write: the message names the place, the reason and the mend."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import makeup_sdk
from makeup_kernels import files, terminal
from makeup_sdk import MakeupError, OutputError, read_image, write_image
from makeup_sdk.cli import app

PHOTO = Path(makeup_sdk.__file__).parent / "assets" / "demo" / "light.jpg"
Run = Callable[..., str]
PERMISSION = "cannot be written (Permission denied); change the permissions there"
COMMANDS: dict[str, tuple[object, ...]] = {
    "apply": ("apply", PHOTO, "--look", "soft-glam", "-o", "OUT.jpg"),
    "look": ("look", "colors", "--lips", "red", "-o", "OUT.look"),
    "picture of a look": ("look", "show", "soft-glam", "--picture", "OUT.png"),
    "label": ("edit", PHOTO, "--write-label", "OUT.png"),
    "build": ("build", "mobile", "--server", "triton", "-o", "OUT"),
    "catalogue": ("catalogue", PHOTO, "soft-glam", "-o", "OUT", "--workers", "0"),
    "video": ("stream", "--source", "PHOTOS", "--look", "soft-glam", "--sink", "OUT.mp4"),
    "frames": ("stream", "--source", "PHOTOS", "--look", "soft-glam", "--sink", "OUT"),
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command that must fail; returns what it says."""
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(PHOTO, photos)

    def run(name: str, folder: Path) -> str:
        words = [str(word).replace("PHOTOS", str(photos)) for word in COMMANDS[name]]
        words = [word.replace("OUT", str(folder / "out")) for word in words]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 1
        error = done.exception
        if isinstance(error, SystemExit):
            return done.output
        assert isinstance(error, (MakeupError, OSError))
        return terminal.in_words(error)

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_no_permission(name: str, run: Run, closed_folder: Path) -> None:
    assert PERMISSION in run(name, closed_folder)
    assert list(closed_folder.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "video"])
def test_a_full_disk(name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write_synced", full)
    monkeypatch.setattr("makeup_sdk.serving.repository.write_synced", full)
    (tmp_path / "made").mkdir()
    assert "(No space left on device); free some space" in run(name, tmp_path / "made")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_in_the_place_of_a_folder(name: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(b"x")
    said = run(name, tmp_path / "made")
    assert any(
        mend in said
        for mend in (
            "something else has this name; choose another",
            "a part of this path is a file, not a folder; choose another path",
            "made: no such folder; create it first",
        )
    )


def test_a_folder_in_the_place_of_a_picture(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="this is a folder; give the name of an image file"):
        write_image(tmp_path, read_image(PHOTO))
