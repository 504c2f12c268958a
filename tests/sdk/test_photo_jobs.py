"""Input photos of `makeup apply`; no result overwrites an input."""

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makeup_sdk import InvalidInputError
from makeup_sdk.cli.photo_jobs import photo_jobs


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())


def test_a_folder_is_walked_without_hidden_names(tmp_path: Path) -> None:
    names = ["b.jpg", "a.PNG", "deep/c.heic", "d.avif", "e.gif", "f.cr2", "g.jfif", "h.jxl"]
    source = tmp_path / "in"
    touch(*(source / name for name in names))
    touch(source / "._a.jpg", source / ".thumbnails/a.jpg", source / "notes.txt")
    jobs = photo_jobs([source], tmp_path / "out")
    found = {str(path.relative_to(source)): str(target.relative_to(tmp_path / "out"))
             for path, target in jobs}  # fmt: skip
    assert found == {
        **{name: name for name in names},
        "e.gif": "e.png",  # a type that is only read
        "f.cr2": "f.png",  # a type that will be listed as unread
    }


def test_results_of_a_first_run_are_no_photos_of_the_second(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "deep/b.jpg")
    first = photo_jobs([tmp_path], tmp_path / "out")
    touch(*(target for _, target in first))
    assert photo_jobs([tmp_path], tmp_path / "out") == first


@pytest.mark.parametrize("link", ["same", "hard", "symbolic", "folder", "dots"])
def test_no_result_lands_on_a_source_or_look(tmp_path: Path, link: str) -> None:
    source, look = tmp_path / "in" / "a.png", tmp_path / "in" / "look.png"
    touch(source, look)
    for kept in (source, look):
        output = tmp_path / f"{link}-{kept.name}"
        if link == "same":
            output = kept
        elif link == "hard":
            os.link(kept, output)
        elif link == "symbolic":
            output.symlink_to(kept)
        elif link == "folder":
            (tmp_path / f"link-{kept.stem}").symlink_to(tmp_path / "in")
            output = tmp_path / f"link-{kept.stem}" / kept.name
        else:
            output = tmp_path / "in" / ".." / "in" / kept.name
        with pytest.raises(InvalidInputError, match="would be overwritten by a result; choose"):
            photo_jobs([source], output, [look])
        assert kept.read_bytes() == kept.name.encode()


def test_no_result_of_a_folder_lands_on_a_source(tmp_path: Path) -> None:
    touch(tmp_path / "in/a.jpg", tmp_path / "in/b.jpg", tmp_path / "out/b.jpg")
    with pytest.raises(InvalidInputError, match=r"a\.jpg would be overwritten by a result"):
        photo_jobs([tmp_path / "in"], tmp_path / "in")
    (tmp_path / "out/b.jpg").unlink()
    os.link(tmp_path / "in/a.jpg", tmp_path / "out/b.jpg")
    with pytest.raises(InvalidInputError, match=r"out/b\.jpg \(the same file as .*in/a\.jpg\)"):
        photo_jobs([tmp_path / "in"], tmp_path / "out")


def test_two_photos_of_one_name(tmp_path: Path) -> None:
    touch(tmp_path / "x/a.jpg", tmp_path / "y/a.jpg")
    with pytest.raises(InvalidInputError, match="several photos would be written to"):
        photo_jobs([tmp_path / "x" / "a.jpg", tmp_path / "y" / "a.jpg"], tmp_path / "out")
    touch(tmp_path / "z/a.gif", tmp_path / "z/a.png")
    with pytest.raises(InvalidInputError, match=r"several photos would be written to .*a\.png"):
        photo_jobs([tmp_path / "z"], tmp_path / "out")


def test_a_folder_whose_name_ends_like_an_image(tmp_path: Path) -> None:
    touch(tmp_path / "in/a.jpg")
    (tmp_path / "out.png").mkdir()
    assert photo_jobs([tmp_path / "in"], tmp_path / "out.png") == [
        (tmp_path / "in/a.jpg", tmp_path / "out.png/a.jpg")
    ]


def test_the_work_grows_with_the_photos_alone(tmp_path: Path) -> None:
    """Lines of ours that run: about ten times as many for ten times the photos."""
    counts = []

    def count(frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.endswith(("photo_jobs.py", "pathlib.py")):
            return None
        counts[-1] += 1
        return count

    for number in (40, 400):
        source = tmp_path / str(number)
        touch(*(source / f"{k}.jpg" for k in range(number)))
        counts.append(0)
        before = sys.gettrace()
        sys.settrace(count)
        try:
            jobs = photo_jobs([source], tmp_path / "out")
        finally:
            sys.settrace(before)
        assert len(jobs) == number
    assert counts[1] < 12 * counts[0]


NAMES = st.lists(
    st.tuples(
        st.sampled_from(["a", ".b", "c d", "ü", "12:30"]),
        st.sampled_from([".jpg", ".PNG", ".txt", "", ".gif", ".png"]),
        st.booleans(),
    ),
    unique=True,
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(NAMES)
def test_any_folder(tmp_path_factory: pytest.TempPathFactory, names: list) -> None:
    """Each photo has one result, outside the folder that is read; nothing hidden is read."""
    folder = tmp_path_factory.mktemp("any")
    source = folder / "in"
    source.mkdir()
    for stem, suffix, deep in names:
        touch(source / ("deep" if deep else "") / f"{stem}{suffix}")
    readable = {(s, x, d) for s, x, d in names if not s.startswith(".") and x not in ("", ".txt")}
    results = {(s, ".png" if x == ".gif" else x, d) for s, x, d in readable}
    if not readable or len(results) < len(readable):
        with pytest.raises(InvalidInputError, match=r"no photos in|several photos would"):
            photo_jobs([source], folder / "out")
        return
    jobs = photo_jobs([source], folder / "out")
    targets = [target for _, target in jobs]
    assert len(set(targets)) == len(targets)
    assert all((folder / "out") in target.parents for target in targets)
    assert not any(path.name.startswith(".") for path, _ in jobs)
    assert len(jobs) == len(readable)
