"""The examples that need neither a window nor a server."""

import csv
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from makeup_sdk import Look, MakeupEngine, NoFaceError, Region, read_image, write_image

Example = Callable[[str], ModuleType]
Demo = Callable[[str], str]

RED = {"lips": "#b3123a"}


def redness(image: NDArray[np.uint8]) -> float:
    """Mean of red minus green over the part of a picture that holds the mouths."""
    part = image[image.shape[0] * 5 // 8 : image.shape[0] * 7 // 8].astype(float)
    return float((part[..., 2] - part[..., 1]).mean())


def test_every_example_has_a_readme_and_is_listed(demo: Demo) -> None:
    folder = Path(__file__).parents[2] / "examples"
    listing = (folder / "README.md").read_text(encoding="utf-8")
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    for name in names:
        assert (folder / name / "README.md").is_file()
        assert f"({name})" in listing
    assert len(names) >= 7


def test_minimal(
    example: Example, demo: Demo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.png"
    example("minimal/minimal").main(demo("medium"), demo("red-classic"), str(out))
    assert capsys.readouterr().out.startswith("ok painted")
    expected = MakeupEngine(look=demo("red-classic")).process(read_image(demo("medium")))
    np.testing.assert_array_equal(read_image(out), expected)


def test_webcam_wears_one_look_after_the_other(
    example: Example, clip: Path, tmp_path: Path
) -> None:
    for name, color in (("red", "#d00010"), ("blue", "#1020d0")):
        Look.from_colors(lips=color, finish="matte").save(tmp_path / f"{name}.look")
    looks = [str(tmp_path / "red.look"), str(tmp_path / "blue.look")]
    frames = tmp_path / "frames"
    statistics = example("webcam/webcam").main(
        [*looks, "--source", str(clip), "--sink", str(frames), "--every", "1.0"]
    )
    assert statistics.frames == 20
    images = [read_image(path) for path in sorted(frames.iterdir())]
    assert len(images) == 20
    # blue from the frame of 1.0 s on; the stream may have painted six further ones by then
    assert redness(images[-1]) < redness(images[9]) - 0.5


def test_batch_folder(example: Example, demo: Demo, tmp_path: Path) -> None:
    photos, looks = tmp_path / "photos", tmp_path / "looks"
    (photos / "new").mkdir(parents=True)
    looks.mkdir()
    shutil.copy(demo("light"), photos / "light.jpg")
    shutil.copy(demo("dark"), photos / "new" / "dark.jpg")
    write_image(photos / "sky.png", np.full((90, 120, 3), 200, np.uint8))
    (photos / "torn.jpg").write_bytes(b"no picture")
    shutil.copy(demo("teal-smoky"), looks / "teal.jpg")
    Look.from_colors(**RED).save(looks / "red.look")
    out = tmp_path / "out"

    example("batch_folder/batch_folder").main(photos, looks, out)

    made = {str(path.relative_to(out)) for path in out.rglob("*.jpg")}
    assert made == {"light-red.jpg", "light-teal.jpg", "new/dark-red.jpg", "new/dark-teal.jpg"}
    with open(out / "report.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["note"] for row in rows if "sky" in row["photo"]] == ["no face", "no face"]
    torn = [row["note"] for row in rows if "torn" in row["photo"]]
    assert len(torn) == 1
    assert "not an image that can be read" in torn[0]


def test_look_shop(example: Example, demo: Demo, tmp_path: Path) -> None:
    shop = example("look_shop/look_shop")
    shop.SHADES = {"Red": ("#c01020", "matte"), "Deep plum": ("#3b1145", "gloss")}
    shop.main(Path(demo("light")), tmp_path)
    bare = read_image(demo("light"))
    red, plum = (read_image(tmp_path / f"{name}.jpg") for name in ("red", "deep-plum"))
    assert redness(red) > redness(bare) + 1
    assert plum[330:400, 200:310].mean() < bare[330:400, 200:310].mean() - 10
    assert read_image(tmp_path / "sheet.jpg").shape == (356, 640, 3)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'src="deep-plum.jpg"' in page
    assert "#c01020" in page


def test_look_shop_needs_a_face(example: Example, tmp_path: Path) -> None:
    write_image(tmp_path / "sky.png", np.full((90, 120, 3), 200, np.uint8))
    with pytest.raises(NoFaceError, match="no face that can be made up; use a frontal portrait"):
        example("look_shop/look_shop").main(tmp_path / "sky.png", tmp_path / "out")


def padded(image: NDArray[np.uint8], stride: int) -> bytearray:
    buffer = bytearray(b"\x07" * stride * image.shape[0])
    rows = np.frombuffer(buffer, np.uint8).reshape(image.shape[0], stride)
    rows[:, : image.shape[1] * 3] = image.reshape(image.shape[0], -1)
    return buffer


def test_custom_loop_paints_in_the_pipelines_own_buffer(
    example: Example, two_faces: NDArray[np.uint8]
) -> None:
    loop = example("custom_loop/custom_loop")
    engine = MakeupEngine(look=Look.from_colors(**RED))
    height, width = two_faces.shape[:2]
    stride = 1792
    buffer = padded(two_faces, stride)
    loop.in_place(engine)(buffer, width, height, stride, 0.0)
    rows = np.frombuffer(buffer, np.uint8).reshape(height, stride)
    image = rows[:, : 3 * width].reshape(height, width, 3)
    np.testing.assert_array_equal(image, engine.process(two_faces))
    assert (rows[:, 3 * width :] == 7).all()  # the padding stays as it was


def test_custom_loop_gives_each_face_its_look(
    example: Example, two_faces: NDArray[np.uint8]
) -> None:
    loop = example("custom_loop/custom_loop")
    looks = [Look.from_colors(lips=color) for color in ("#c00020", "#1010c0")]
    tracked = loop.Tracked(MakeupEngine(look=None), looks)
    height, width = two_faces.shape[:2]
    for number in range(12):  # a second: looks have faded in
        buffer = padded(two_faces, 1792)
        tracked(buffer, width, height, 1792, number / 10)
    assert [face.painted for face in tracked.faces] == [True, True]
    image = loop.view(buffer, width, height, 1792).astype(int)
    change = image - two_faces
    for face in tracked.faces:
        x0, _, x1, _ = face.box
        half = change[:, : width // 2] if (x0 + x1) / 2 < width / 2 else change[:, width // 2 :]
        toward_blue = half[..., 0].sum() > half[..., 2].sum()
        assert toward_blue == (looks[face.track_id % 2] is looks[1])


def test_custom_loop_from_a_clip(
    example: Example, clip: Path, demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    example("custom_loop/custom_loop").main(str(clip), demo("red-classic"), demo("teal-smoky"))
    assert "20 frames, faces at the end: [" in capsys.readouterr().out


def test_looks_of_the_shop_paint_lips_alone(example: Example) -> None:
    for color, finish in example("look_shop/look_shop").SHADES.values():
        assert Look.from_colors(lips=color, finish=finish).regions == {Region.LIPS}


@pytest.mark.parametrize(
    ("program", "made"),
    [("minimal/minimal", "out.jpg"), ("look_shop/look_shop", "shades/sheet.jpg")],
)
def test_without_arguments_a_shipped_face_is_made_up(
    program: str, made: str, tmp_path: Path
) -> None:
    path = Path(__file__).parents[2] / "examples" / f"{program}.py"
    subprocess.run([sys.executable, str(path)], cwd=tmp_path, check=True, capture_output=True)
    assert read_image(tmp_path / made).size > 0


@pytest.mark.parametrize("program", ["batch_folder/batch_folder", "custom_loop/custom_loop"])
def test_without_arguments_the_usage_is_printed(program: str, tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "examples" / f"{program}.py"
    done = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert f"python {path.name} " in done.stderr
    assert "Traceback" not in done.stderr
