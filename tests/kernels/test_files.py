"""Files are written atomically, and to the given path."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from makeup_kernels import InvalidInputError, MakeupError, OutputError
from makeup_kernels.files import as_path, check_writable, make_folder, write_atomically


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"1")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == 0o640


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o604)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o604


@pytest.mark.parametrize("old_mode", [None, 0o644])
def test_a_private_file_is_never_open_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old_mode: int | None
) -> None:
    path = tmp_path / "key"
    if old_mode is not None:
        path.write_bytes(b"old")
        path.chmod(old_mode)
    seen = []
    real_sync = os.fsync

    def sync(handle: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        real_sync(handle)

    monkeypatch.setattr(os, "fsync", sync)
    write_atomically(path, b"secret", private=True)
    assert path.read_bytes() == b"secret"
    assert (seen, mode(path)) == ([0o600], 0o600)


def test_a_folder_without_permission(closed_folder: Path) -> None:
    for write in (lambda path: write_atomically(path, b"x"), check_writable, make_folder):
        with pytest.raises(OutputError) as error:
            write(closed_folder / "a")
        assert str(error.value) == (
            f"{closed_folder / 'a'}: cannot be written (Permission denied); change the permissions "
            "there, or choose another place"
        )


def test_a_place_is_checked_before_long_work(tmp_path: Path) -> None:
    check_writable(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    for path, message in (
        (tmp_path, "give the name of a file, not of a folder"),
        (tmp_path / "none" / "a", "create the folder first"),
    ):
        with pytest.raises(OutputError, match=message):
            check_writable(path)


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_its_target_changes(tmp_path: Path, exists: bool) -> None:
    (tmp_path / "kept").mkdir()
    target, link = tmp_path / "kept" / "real", tmp_path / "link"
    if exists:
        target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert [path.name for path in target.parent.iterdir()] == ["real"]


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = subprocess.Popen(["cat", path], stdout=subprocess.PIPE)
    write_atomically(path, b"through")
    assert reader.communicate(timeout=60)[0] == b"through"
    assert path.is_fifo()


def test_a_device_stays_and_tells_of_a_full_disk() -> None:
    path = Path("/dev/full")
    if not path.is_char_device():
        pytest.skip("no /dev/full here")
    with pytest.raises(OutputError, match=r"/dev/full: cannot be written .*; free some space"):
        write_atomically(path, b"x")
    assert path.is_char_device()


def test_a_limit_on_sizes_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    code = """
import resource, sys
from pathlib import Path
from makeup_kernels.files import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    write_atomically(Path(sys.argv[1]), bytes(1000))
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("OutputError")
    assert "raise the limit on file sizes" in done.stdout
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "give the name of a file, not of a folder"),
        ("none/a", "create the folder first"),
        ("file/a", "a part of this path is a file, not a folder; choose another path"),
    ],
)
def test_places_where_nothing_can_be_written(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(OutputError, match=message) as error:
        write_atomically(tmp_path / name, b"x")
    assert isinstance(error.value, MakeupError)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(OutputError, match="something else has this name; choose another"):
        make_folder(tmp_path / "file")
    with pytest.raises(OutputError, match="a part of this path is a file, not a folder"):
        make_folder(tmp_path / "file" / "a")


def test_long_names_have_room_for_what_is_written_aside(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_atomically(path, b"x")
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_runs_left_is_removed_and_what_lives_is_not(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f".a.partial-{dead.pid}-0"
    theirs = tmp_path / f".a.partial-{os.getppid()}-3"
    other = tmp_path / f".ab.partial-{dead.pid}-0"
    for path in (left, theirs, other):
        path.write_bytes(b"half")
    write_atomically(tmp_path / "a", b"x")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "a", theirs, other])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "look: got int, expected a path"),
        (None, "look: got NoneType, expected a path"),
        (b"a", "look: got bytes, expected a path"),
        ("a\0b", r"no file can be named 'a\\x00b'"),
        ("\ud800", r"no file can be named '\\ud800'"),
        ("x" * 5000, "no file can be named 'x{80}…' .File name too long"),
        ("/".join(["xy"] * 3000), "File name too long"),
    ],
)
def test_names_that_no_file_can_have(value: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as error:
        as_path(value, "look")
    str(error.value).encode()


def test_messages_can_be_printed_anywhere() -> None:
    error = MakeupError("a\x1b[31m\udcff\u202eb\n\u00e9\U0001f484")
    assert str(error) == "a\\x1b[31m\\udcff\\u202eb\n\u00e9\U0001f484"
