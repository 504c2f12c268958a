"""Video files as sources: damage is skipped; times, colours and any file name are preserved."""

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import Image, number_in, ramp, turn, write_clip
from fakes import process
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from makeup_sdk import InvalidInputError
from makeup_sdk.stream import Ending, ReconnectOptions, Stream, StreamOptions
from makeup_sdk.stream.sources import Source, open_source

BOUNDED = settings(max_examples=30, deadline=None, derandomize=True, database=None)
NOISE = np.random.default_rng(0).integers(0, 40, (90, 48, 64, 3)).astype(np.uint8)
RAMP = [ramp(k) + noise for k, noise in enumerate(NOISE)]


def opened(source: object) -> Source:
    return open_source(source, 25.0, ReconnectOptions(), lambda seconds: False)


def read_all(source: Source) -> list[tuple[Image, float]]:
    frames = list(iter(source.read, None))
    source.close()
    return frames


def run(path: Path) -> Stream:
    stream = Stream(opened(path), process, StreamOptions())
    stream.run()
    return stream


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one ramp of 90 frames in several containers, a key frame each 10."""
    folder = tmp_path_factory.mktemp("whole")
    gop = {"g": "10", "bf": "2"}
    front = {"movflags": "+faststart"}
    write_clip(folder / "x.mp4", RAMP, options=gop, container=front)
    write_clip(folder / "x.mkv", RAMP, options=gop)
    write_clip(folder / "x.ts", RAMP, options=gop)
    write_clip(folder / "x.avi", RAMP, codec="mjpeg", pixel_format="yuvj420p")
    return folder


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_a_whole_file(whole: Path, suffix: str) -> None:
    stream = run(whole / f"x.{suffix}")
    assert (stream.ending, stream.statistics.captured) == (Ending.FINISHED, 90)
    frames = read_all(opened(whole / f"x.{suffix}"))
    assert [number_in(image) for image, _ in frames] == list(range(90))
    times = np.array([at for _, at in frames])
    np.testing.assert_allclose(times - times[0], np.arange(90) / 30, atol=1.1e-3)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_a_damaged_stretch_is_passed_over(whole: Path, tmp_path: Path, suffix: str) -> None:
    data = bytearray((whole / f"x.{suffix}").read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 12] = b"\xa5" * (len(data) // 12)
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(data)
    frames = read_all(opened(path))
    numbers = [number_in(image) for image, _ in frames]
    assert numbers[:20] == list(range(20))
    assert numbers[-20:] == list(range(70, 90))
    assert len(numbers) >= 60


def test_lost_frames_are_told(whole: Path, tmp_path: Path) -> None:
    data = bytearray((whole / "x.avi").read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 6] = bytes(len(data) // 6)
    path = tmp_path / "x.avi"
    path.write_bytes(data)
    stream = run(path)
    lost = 90 - stream.statistics.captured
    assert lost > 5
    assert stream.ending is Ending.INCOMPLETE
    assert stream.message == (
        f"{path}: {lost} frames could not be read; the other {90 - lost} were"
    )


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_half_a_file(whole: Path, tmp_path: Path, suffix: str) -> None:
    data = (whole / f"x.{suffix}").read_bytes()
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(data[: len(data) * 6 // 10])
    stream = run(path)
    assert stream.ending is Ending.INCOMPLETE
    captured = stream.statistics.captured
    assert 30 < captured < 80
    assert f"{90 - captured} frames could not be read" in stream.message or suffix == "mkv"


def test_a_file_without_one_frame_is_refused(whole: Path, tmp_path: Path) -> None:
    data = (whole / "x.mp4").read_bytes()
    path = tmp_path / "x.mp4"
    path.write_bytes(data[: data.index(b"mdat") + 4])
    with pytest.raises(InvalidInputError, match=r"none of its frames can be read|not a video"):
        opened(path)


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif"])
def test_animations(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    first, *others = [Pillow.fromarray(ramp(k)) for k in range(12)]
    durations = [100] * 6 + [50] * 6
    first.save(path, save_all=True, append_images=others, duration=durations, lossless=True)
    frames = read_all(opened(path))
    assert [number_in(image) for image, _ in frames] == list(range(12))
    expected = [*np.arange(6) * 0.1, *(0.6 + np.arange(6) * 0.05)]
    np.testing.assert_allclose([at for _, at in frames], expected, atol=1e-3)
    stream = run(path)
    assert (stream.ending, stream.statistics.captured) == (Ending.FINISHED, 12)


@BOUNDED
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=20), st.integers(0, 100_000))
def test_any_timestamps_are_the_file_s_own(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], start: int
) -> None:
    times = (start + np.concatenate([[0], np.cumsum(steps)])) / 1000
    images = [ramp(k) for k in range(len(times))]
    path = tmp_path_factory.mktemp("times") / "x.mkv"
    write_clip(path, images, times=times, codec="mjpeg", pixel_format="yuvj420p",
               stream={"time_base": Fraction(1, 1000)})  # fmt: skip
    source = opened(path)
    read = read_all(source)
    np.testing.assert_allclose([at for _, at in read], times, atol=1.1e-3)
    assert source.info.start == pytest.approx(times[0], abs=1.1e-3)


ARROW = np.full((48, 64, 3), 60, np.uint8)
ARROW[:16, :20] = 230  # a bright corner at the top left
ARROW[32:, :20] = 150
TURNS = {
    "none": ((1, 0, 0, 1), lambda image: image),
    "90": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "180": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "270": ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
    "mirrored": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
}


@pytest.mark.parametrize("name", TURNS)
def test_rotation(tmp_path: Path, name: str) -> None:
    matrix, expected = TURNS[name]
    path = turn(write_clip(tmp_path / "x.mp4", [ARROW] * 3), matrix)
    image, _ = read_all(opened(path))[0]
    np.testing.assert_allclose(image.astype(int), expected(ARROW), atol=12)


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full", [1, 2])
def test_colours(tmp_path: Path, matrix: int, full: int) -> None:
    """BGR in, BGR out, whatever matrix and range the file stores."""
    image = np.zeros((48, 64, 3), np.uint8)
    colors = np.random.default_rng(4).integers(25, 230, (3, 4, 3))
    for row in range(3):
        for column in range(4):
            image[16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = colors[row, column]
    path = write_clip(
        tmp_path / "x.mp4", [image], stream={"colorspace": matrix, "color_range": full}
    )
    source = opened(path)
    assert source.info.video is not None
    assert (source.info.video.matrix, source.info.video.full_range) == (matrix, full == 2)
    read, _ = read_all(source)[0]
    for row in range(3):
        for column in range(4):
            cell = read[16 * row + 4 : 16 * row + 12, 16 * column + 4 : 16 * column + 12]
            np.testing.assert_allclose(cell.mean(axis=(0, 1)), colors[row, column], atol=3.5)


@pytest.mark.parametrize(
    "name",
    ["12:30:15.mp4", "Wow ! me.mp4", "rtsp:x.mp4", "http:__x.mp4", "100%d.mp4", "ü \udcff.mp4"],
)
def test_names_are_names(
    whole: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(whole / "x.mp4", name)
    for given_name in (name, Path(name)):
        source = opened(given_name)
        assert source.info.frames == 90
        source.close()
