import asyncio
import io
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from makeup_sdk import (
    FaceAnalysis,
    FaceStatus,
    InvalidInputError,
    Look,
    MakeupEngine,
    NoFaceError,
    Region,
    read_image,
    write_image,
)
from makeup_sdk.faces import BundledFaceAnalyzer

Image = NDArray[np.uint8]
Demo = Callable[[str], Image]
SOURCES = ("light.jpg", "medium.jpg", "dark.jpg")


def changed(before: Image, after: Image) -> NDArray[np.bool_]:
    return (before != after).any(axis=2)


def region_in_frame(face: FaceAnalysis, frame: Image, regions: list[Region], margin: int) -> Image:
    """1 where a frame pixel lies in, or near, some regions of a face."""
    inside = np.isin(face.regions, regions).astype(np.uint8)
    inside = cv2.dilate(inside, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
    size = frame.shape[1::-1]
    return cv2.warpAffine(inside, cv2.invertAffineTransform(face.matrix), size)


@pytest.mark.parametrize("file", SOURCES)
def test_only_made_up_regions_change(
    engine: MakeupEngine, demo: Demo, analysis: Callable[[str], FaceAnalysis], file: str
) -> None:
    frame = demo(file)
    result = engine.process_detailed(frame)
    touched = changed(frame, result.image)
    face = region_in_frame(analysis(file), frame, [r for r in Region if r], margin=4)
    assert touched.mean() > 0.03
    assert not touched[face == 0].any()
    assert [f.status for f in result.faces] == [FaceStatus.OK]
    assert result.faces[0].painted


@pytest.mark.parametrize("file", SOURCES)
def test_lipstick_stays_on_the_lips(
    look: Look, analyzer: BundledFaceAnalyzer, demo: Demo, analysis: Callable, file: str
) -> None:
    frame = demo(file)
    engine = MakeupEngine(look, strength={Region.LIPS: 1.0}, analyzer=analyzer)
    touched = changed(frame, engine.process(frame))
    lips = region_in_frame(analysis(file), frame, [Region.LIPS], margin=4)
    assert touched.sum() > 500
    assert not touched[lips == 0].any()


@pytest.mark.parametrize("file", SOURCES)
def test_red_lips_become_red(
    engine: MakeupEngine, demo: Demo, analysis: Callable, file: str
) -> None:
    frame = demo(file)
    lips = region_in_frame(analysis(file), frame, [Region.LIPS], margin=0) > 0
    before, after = frame[lips].mean(axis=0), engine.process(frame)[lips].mean(axis=0)
    assert after[2] / after[1] > 1.25 * before[2] / before[1]


def test_strength_zero_is_bit_identical(
    look: Look, analyzer: BundledFaceAnalyzer, demo: Demo
) -> None:
    engine = MakeupEngine(look, strength=0, analyzer=analyzer)
    result = engine.process_detailed(demo("medium.jpg"))
    np.testing.assert_array_equal(result.image, demo("medium.jpg"))
    assert not result.faces[0].painted


def test_strength_scales_the_change(look: Look, analyzer: BundledFaceAnalyzer, demo: Demo) -> None:
    frame = demo("light.jpg")
    engine = MakeupEngine(look, analyzer=analyzer)
    amounts = []
    for strength in (0.25, 0.5, 1.0):
        engine.strength = strength
        amounts.append(np.abs(engine.process(frame).astype(int) - frame).mean())
    assert amounts[0] < 0.7 * amounts[1] < 0.7 * 0.7 * amounts[2]


def test_input_is_never_modified(engine: MakeupEngine, demo: Demo) -> None:
    frame = demo("light.jpg").copy()
    engine.process(frame)
    np.testing.assert_array_equal(frame, demo("light.jpg"))


def test_in_place_and_out(engine: MakeupEngine, demo: Demo) -> None:
    expected = engine.process(demo("light.jpg"))
    frame = demo("light.jpg").copy()
    assert engine.process(frame, out=frame) is frame
    np.testing.assert_array_equal(frame, expected)
    out = np.empty_like(frame)
    assert engine.process(demo("light.jpg"), out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_rgb_is_bgr_reversed(
    engine: MakeupEngine, look: Look, analyzer: BundledFaceAnalyzer, demo: Demo
) -> None:
    rgb = MakeupEngine(look, model="mobile", color="rgb", analyzer=analyzer)
    frame = demo("medium.jpg")
    np.testing.assert_array_equal(rgb.process(frame[..., ::-1])[..., ::-1], engine.process(frame))


def test_strided_frame(engine: MakeupEngine, demo: Demo) -> None:
    frame = demo("medium.jpg")
    wide = np.zeros((frame.shape[0], frame.shape[1] + 50, 3), np.uint8)
    wide[:, 20 : 20 + frame.shape[1]] = frame
    view = wide[:, 20 : 20 + frame.shape[1]]
    np.testing.assert_array_equal(engine.process(view), engine.process(frame))


def test_several_faces(engine: MakeupEngine, demo: Demo) -> None:
    frame = np.hstack([demo(file) for file in SOURCES])
    result = engine.process_detailed(frame)
    assert len(result.faces) == 3
    assert all(face.painted for face in result.faces)
    assert sorted(face.track_id for face in result.faces) == [0, 1, 2]
    width = frame.shape[1] // 3
    touched = changed(frame, result.image)
    assert all(touched[:, i * width : (i + 1) * width].mean() > 0.02 for i in range(3))


def test_max_faces(look: Look, analyzer: BundledFaceAnalyzer, demo: Demo) -> None:
    frame = np.hstack([demo("light.jpg"), demo("dark.jpg")])
    engine = MakeupEngine(look, max_faces=1, analyzer=analyzer)
    assert len(engine.process_detailed(frame).faces) == 1


def test_twelve_faces_are_made_up(look: Look, analyzer: BundledFaceAnalyzer, demo: Demo) -> None:
    row = np.hstack([demo("light.jpg"), demo("dark.jpg"), demo("medium.jpg")])
    frame = np.vstack([row] * 4)[::2, ::2]
    result = MakeupEngine(look, analyzer=analyzer).process_detailed(frame)
    assert sum(face.painted for face in result.faces) == 12


def test_no_face_comes_back_unchanged(engine: MakeupEngine) -> None:
    frame = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    result = engine.process_detailed(frame)
    np.testing.assert_array_equal(result.image, frame)
    assert not any(face.painted for face in result.faces)


@pytest.mark.parametrize("shape", [(1, 1), (1, 640), (640, 1), (7, 9)])
def test_tiny_frames(engine: MakeupEngine, shape: tuple[int, int]) -> None:
    frame = np.full((*shape, 3), 127, np.uint8)
    np.testing.assert_array_equal(engine.process(frame), frame)


def test_huge_frame(engine: MakeupEngine, demo: Demo) -> None:
    frame = np.full((9000, 12000, 3), 90, np.uint8)
    frame[4000:5536, 5000:6536] = cv2.resize(demo("light.jpg"), (1536, 1536))
    result = engine.process_detailed(frame, out=frame)
    assert result.image is frame
    assert (frame[:3000] == 90).all()


def test_small_face_is_left_bare(engine: MakeupEngine, demo: Demo) -> None:
    frame = np.full((240, 240, 3), 200, np.uint8)
    frame[100:140, 100:140] = cv2.resize(demo("light.jpg"), (40, 40), interpolation=cv2.INTER_AREA)
    result = engine.process_detailed(frame)
    np.testing.assert_array_equal(result.image, frame)
    assert all(face.status is not FaceStatus.OK for face in result.faces)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((8, 8, 2), np.uint8), "got shape (8, 8, 2), expected (H, W, 3)"),
        (np.zeros((0, 8), np.uint8), "got shape (0, 8, 3), expected (H, W, 3)"),
        (np.zeros((8, 8, 3), np.uint16), "got dtype uint16, shape (8, 8, 3), expected uint8"),
        (np.zeros((8, 8, 3), np.float32), "convert float frames in [0, 1] with"),
        (np.full((8, 8, 3), np.nan), "got dtype float64"),
        (np.zeros((0, 8, 3), np.uint8), "got shape (0, 8, 3), expected (H, W, 3)"),
        ("photo.jpg", "photo.jpg: no such file"),
        (b"photo", "got bytes, expected a NumPy array uint8 (H, W, 3)"),
        (None, "got None, expected a NumPy array uint8 (H, W, 3)"),
    ],
)
def test_wrong_frames(engine: MakeupEngine, frame: object, message: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        engine.process(frame)  # type: ignore[arg-type]
    assert message in str(error.value)


def test_files_pillow_images_grey_and_alpha(
    engine: MakeupEngine, demo: Demo, tmp_path: Path
) -> None:
    frame = demo("light.jpg")
    made = engine.process(frame)
    path = tmp_path / "light.png"
    write_image(path, frame)
    np.testing.assert_array_equal(engine.process(path), made)
    np.testing.assert_array_equal(engine.process(str(path)), made)
    np.testing.assert_array_equal(engine.process(Pillow.fromarray(frame[..., ::-1].copy())), made)
    alpha = np.arange(frame.size // 3, dtype=np.uint32).astype(np.uint8).reshape(frame.shape[:2])
    with_alpha = np.dstack([frame, alpha])
    np.testing.assert_array_equal(engine.process(with_alpha), np.dstack([made, alpha]))
    seen = Pillow.fromarray(np.dstack([frame[..., ::-1], alpha]))
    np.testing.assert_array_equal(engine.process(seen), np.dstack([made, alpha]))
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    wanted = engine.process(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
    for shape in (grey, grey[..., None]):
        np.testing.assert_array_equal(engine.process(shape), wanted)
    assert (wanted != grey[..., None]).any()
    for other in (path, grey, with_alpha):
        with pytest.raises(InvalidInputError, match="out: takes the result of frames"):
            engine.process(other, out=frame.copy())


def test_files_in_rgb_and_their_results(demo: Demo, tmp_path: Path) -> None:
    look = Look.shipped("red-classic")
    path = tmp_path / "light.png"
    write_image(path, demo("light.jpg"))
    bgr = MakeupEngine(look).process_detailed(path)
    rgb = MakeupEngine(look, color="rgb").process_detailed(path)
    np.testing.assert_array_equal(rgb.image, bgr.image[..., ::-1])
    np.testing.assert_array_equal(rgb.plot(), bgr.plot()[..., ::-1])
    drawn = (bgr.plot() != bgr.image).any(axis=2)
    x0, y0, x1, y1 = bgr.faces[0].box.astype(int)
    assert drawn[y0:y1, x0:x1].mean() > 0.02
    assert not drawn[-20:].any()
    for result in (bgr, rgb):
        result.save(tmp_path / "made.png")
        np.testing.assert_array_equal(read_image(tmp_path / "made.png"), bgr.image)
        shown = np.asarray(Pillow.open(io.BytesIO(result._repr_png_())))
        np.testing.assert_array_equal(shown, rgb.image)
    with_alpha = np.dstack([demo("light.jpg"), np.full((512, 512), 128, np.uint8)])
    MakeupEngine(look).process_detailed(with_alpha).save(tmp_path / "alpha.png")
    saved = np.asarray(Pillow.open(tmp_path / "alpha.png"))
    np.testing.assert_array_equal(saved, np.dstack([rgb.image, with_alpha[..., 3]]))


def test_batches_and_event_loops(engine: MakeupEngine, demo: Demo) -> None:
    frames = [demo(f"{name}.jpg") for name in ("light", "medium", "dark")]
    wanted = [engine.process(frame) for frame in frames]
    taken = []

    def endless() -> Iterator[np.ndarray]:
        for frame in itertools.cycle(frames):
            taken.append(frame)
            yield frame

    results = itertools.islice(engine.process_batch(endless()), 3)
    for result, image in zip(results, wanted, strict=True):
        np.testing.assert_array_equal(result.image, image)
    assert len(taken) < 3 + 2 * (os.cpu_count() or 1) + 2
    with pytest.raises(InvalidInputError, match="no such file"):
        list(engine.process_batch([frames[0], "none.jpg"]))
    np.testing.assert_array_equal(asyncio.run(engine.aprocess(frames[0])), wanted[0])


def test_wrong_out(engine: MakeupEngine, demo: Demo) -> None:
    frame = demo("light.jpg")
    with pytest.raises(InvalidInputError, match="out: the frame is read-only"):
        engine.process(frame, out=frame)
    with pytest.raises(InvalidInputError, match=r"expected a writeable array of the frame's shape"):
        engine.process(frame, out=np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "nope"}, "model: 'nope' is unknown; expected one of"),
        ({"model": "no/bundle"}, "or the path of a bundle"),
        ({"device": "gpu"}, "device: 'gpu' is unknown; expected one of ('cpu', 'cuda')"),
        ({"color": "yuv"}, "color: 'yuv' is unknown"),
        ({"strength": 1.6}, "strength: 1.6 for lips, expected a number in [0, 1.5]"),
        ({"strength": float("nan")}, "strength: nan"),
        ({"strength": {Region.NONE: 1}}, "is no makeup region"),
        ({"tone": 1.1}, "tone: got 1.1, expected a number in [0, 1]"),
        ({"tone": "all"}, "tone: got 'all', expected a number"),
        ({"max_faces": 0}, "max_faces: got 0"),
        ({"threads": 0}, "threads: got 0"),
        ({"look": 5}, "look: got int, expected a Look, a path or a frame"),
        ({"look": "missing.jpg"}, "missing.jpg: no such file"),
    ],
)
def test_wrong_arguments(analyzer: BundledFaceAnalyzer, arguments: dict, message: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        MakeupEngine(analyzer=analyzer, **arguments)
    assert message in str(error.value)


def test_tone_is_refused_where_nothing_knows_the_shade(
    analyzer: BundledFaceAnalyzer, look: Look
) -> None:
    products = Look.from_colors(lips="#b01030")
    with pytest.raises(InvalidInputError, match=r"tone: look .* has no shade of skin"):
        MakeupEngine(products, tone=0.5, analyzer=analyzer)
    engine = MakeupEngine(products, analyzer=analyzer)
    with pytest.raises(InvalidInputError, match="tone: look"):
        engine.tone = 0.5
    assert engine.tone == 0
    engine.look = look
    engine.tone = 0.5
    with pytest.raises(InvalidInputError, match="tone: look"):
        engine.wear(1, products)


def test_engines_may_share_a_model(
    engine: MakeupEngine, look: Look, analyzer: BundledFaceAnalyzer, demo: Demo
) -> None:
    other = MakeupEngine(look, model=engine.model, analyzer=analyzer)
    assert other.model is engine.model
    np.testing.assert_array_equal(
        other.process(demo("light.jpg")), engine.process(demo("light.jpg"))
    )


def test_no_look(analyzer: BundledFaceAnalyzer, demo: Demo) -> None:
    with pytest.raises(InvalidInputError, match="no look is set"):
        MakeupEngine(analyzer=analyzer).process(demo("light.jpg"))


def test_reference_without_face(analyzer: BundledFaceAnalyzer) -> None:
    with pytest.raises(NoFaceError, match="no face found in 64x64 pixels"):
        MakeupEngine(np.full((64, 64, 3), 128, np.uint8), analyzer=analyzer)


def test_profiles_are_not_smeared(engine: MakeupEngine, faces_folder: Path) -> None:
    """A face in profile is left bare, or fades with its turn; it never wears the whole look."""
    labels = json.loads((faces_folder / "detect" / "labels.json").read_text())
    turned = sorted(name for name, label in labels.items() if abs(label["yaw"]) > 60)[:12]
    assert turned
    for name in turned:
        frame = read_image(next((faces_folder / "detect" / "images").glob(f"{name}.*")))
        result = engine.process_detailed(frame)
        assert all(face.status is not FaceStatus.OK for face in result.faces), name


def test_results_are_shown_in_short(engine: MakeupEngine, demo: Callable[[str], Image]) -> None:
    result = engine.process_detailed(demo("medium.jpg"))
    assert re.fullmatch(r"Result\(512x512, 1 faces, 1 painted, [0-9.]+ ms\)", repr(result))
    assert re.fullmatch(
        r"Face\(0: ok, painted, box \(\d+, \d+, \d+, \d+\), [01]\.\d\d\)", repr(result.faces[0])
    )
    assert repr(engine).startswith("MakeupEngine(look=Look('")
    assert repr(engine).endswith("model='mobile')")


def test_looks_by_name(demo: Callable[[str], Image]) -> None:
    engine = MakeupEngine(look="soft-glam")
    assert engine.look is not None
    assert engine.look.title == "Soft glam"
    with pytest.raises(InvalidInputError, match="is called 'smokey'; did you mean 'smoky'"):
        engine.look = "smokey"
    with pytest.raises(InvalidInputError, match=r"none\.jpg: no such file"):
        engine.look = "none.jpg"


def test_a_batch_is_several_pictures(engine: MakeupEngine) -> None:
    with pytest.raises(InvalidInputError, match="frames: got one path, expected several pictures"):
        list(engine.process_batch("photo.jpg"))


def test_bytes_are_no_frame(engine: MakeupEngine) -> None:
    with pytest.raises(InvalidInputError, match=r"got bytes, .*PIL\.Image\.open\(io\.BytesIO"):
        engine.process(b"\xff\xd8")


def test_none_is_a_file_that_was_not_read(engine: MakeupEngine) -> None:
    with pytest.raises(InvalidInputError, match="OpenCV gives None for a file that it could not"):
        engine.process(None)
