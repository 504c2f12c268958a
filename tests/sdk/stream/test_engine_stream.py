"""Whole streams: the shipped networks on films made from portraits, and on a clip."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import FPS, HEIGHT, WIDTH, Actor, film, still

from makeup_sdk import Detection, FaceAnalysis, FaceStatus, Look, MakeupEngine, read_image
from makeup_sdk.faces import BundledFaceAnalyzer, yaw_degrees
from makeup_sdk.stream import (
    Ending,
    FadeOptions,
    FrameProcessor,
    SmoothingOptions,
    Stream,
    StreamOptions,
    VideoFileSink,
    VideoOptions,
)
from makeup_sdk.stream.processor import faded

Image = NDArray[np.uint8]
Filmed = Callable[[Iterable[Image]], Path]
AS_FOUND = StreamOptions(smoothing=None)


def change(before: Image, after: Image) -> float:
    """Mean absolute change per pixel value, grey steps."""
    return float(np.abs(before.astype(np.int16) - after).mean())


@pytest.fixture
def filmed(tmp_path: Path) -> Callable[[Iterable[Image]], Path]:
    """Write frames to a video file, losslessly compressed, at 30 frames per second."""

    def write(frames: Iterable[Image]) -> Path:
        path = tmp_path / "film.mkv"
        code = cv2.VideoWriter.fourcc(*"FFV1")
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, FPS, (WIDTH, HEIGHT))
        for frame in frames:
            writer.write(frame)
        writer.release()
        return path

    return write


@pytest.fixture
def own_engine(look: Look, analyzer: BundledFaceAnalyzer) -> MakeupEngine:
    """One whose settings the test may change."""
    return MakeupEngine(look, analyzer=analyzer)


def test_the_first_frame_is_that_of_process(engine: MakeupEngine) -> None:
    (frame,) = film([Actor("light.jpg", still())], 1)
    (result,) = engine.stream([frame], options=AS_FOUND)
    alone = engine.process_detailed(frame)
    np.testing.assert_array_equal(result.image, alone.image)
    assert result.faces[0].status is FaceStatus.OK
    assert (result.index, result.timestamp) == (0, 0.0)
    assert set(result.timings) == set(alone.timings)


def test_file_to_file(engine: MakeupEngine, tmp_path: Path, filmed: Filmed) -> None:
    """Losslessly compressed, the file holds what a stream of the same frames in memory gives."""
    frames = list(film([Actor("light.jpg", still())], 20, noise=2))
    sink = VideoFileSink(tmp_path / "out.mkv", VideoOptions("ffv1", pixel_format="bgr0"))
    stream = engine.stream(filmed(frames), sink)
    statistics = stream.run()
    assert stream.ending is Ending.FINISHED
    assert (statistics.frames, statistics.captured, statistics.dropped) == (20, 20, 0)
    assert set(statistics.stages) == {
        "capture", "detect", "analyze", "generate", "composite", "process", "write",
    }  # fmt: skip
    capture = cv2.VideoCapture(str(tmp_path / "out.mkv"), cv2.CAP_FFMPEG)
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(FPS)
    expected = [result.image for result in engine.stream(frames)]
    for image in expected:
        assert change(capture.read()[1], image) < 0.02
    assert not capture.read()[0]
    assert change(frames[-1], expected[-1]) > 0.2


def test_clip_to_folder(engine: MakeupEngine, faces_folder: Path, tmp_path: Path) -> None:
    clip = faces_folder / "video" / "intel_head-pose-face-detection-female.gif"
    statistics = engine.stream(clip, tmp_path / "frames").run()
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert len(names) == statistics.frames == 23
    assert names[-1] == "frame-000022.png"
    assert read_image(tmp_path / "frames" / names[0]).shape == (270, 480, 3)


def test_each_face_its_own_look(own_engine: MakeupEngine) -> None:
    actors = [Actor("light.jpg", still(160)), Actor("dark.jpg", still(480))]
    frames = list(film(actors, 3))
    (first, *_) = own_engine.stream(frames[:1])
    left, right = sorted(first.faces, key=lambda face: face.box[0])

    def painted() -> tuple[float, float]:
        (result,) = own_engine.stream(frames[:1])
        half = 320
        return (
            change(frames[0][:, :half], result.image[:, :half]),
            change(frames[0][:, half:], result.image[:, half:]),
        )

    both = painted()
    own_engine.wear(left.track_id, None)
    assert painted() == (0, both[1])
    own_engine.wear(right.track_id, Look.from_colors(lips="#2030c0"))
    bare, other = painted()
    assert bare == 0
    assert 0 < other != both[1]
    own_engine.wear_default(left.track_id)
    own_engine.wear_default(right.track_id)
    assert painted() == both


def test_a_new_look_fades_in(own_engine: MakeupEngine) -> None:
    """0.4 s from red to bare to blue: every frame goes a little further."""
    (frame,) = film([Actor("light.jpg", still())], 1)
    processor = FrameProcessor(own_engine, AS_FOUND)
    process = [processor.process(frame, number / FPS).image for number in range(3)]
    own_engine.look = Look.from_colors(lips="#2030c0")
    process += [processor.process(frame, number / FPS).image for number in range(3, 20)]
    start, end = process[2].astype(np.float64), process[-1].astype(np.float64)
    way = (end - start).ravel()
    places = np.array([(image - start).ravel() @ way / (way @ way) for image in process[2:]])
    assert np.diff(places[:13]).min() > 0.02
    assert np.diff(places).max() < 0.2
    np.testing.assert_allclose(places[13:], 1, atol=0.02)  # the next crop follows the landmarks


def test_the_same_look_in_every_frame_is_no_change(own_engine: MakeupEngine) -> None:
    """As a loop sets it that chooses a look by time."""
    (frame,) = film([Actor("light.jpg", still())], 1)

    def images(looks: list[Look]) -> list[NDArray[np.uint8]]:
        own_engine.look = looks[0]
        processor = FrameProcessor(own_engine, AS_FOUND)
        made = []
        for number, look in enumerate(looks):
            own_engine.look = look
            own_engine.wear(7, look)
            made.append(processor.process(frame, number / FPS).image)
        return made

    red, blue = (Look.from_colors(lips=color) for color in ("#b02030", "#2030c0"))
    outfit = own_engine.outfit(7)
    first = images([red] * 6)
    assert own_engine.outfit(7) is not outfit
    processor = FrameProcessor(own_engine, AS_FOUND)
    for number, image in enumerate(first):
        np.testing.assert_array_equal(image, processor.process(frame, number / FPS).image)
    changed = images([red, red, blue, blue, blue])
    assert change(changed[1], changed[2]) > 0
    assert change(changed[3], changed[4]) > 0


def test_many_new_looks_at_once(own_engine: MakeupEngine) -> None:
    """A colour slider: a new look every frame. The makeup never gets thinner or jumps."""
    (frame,) = film([Actor("light.jpg", still())], 1)
    processor = FrameProcessor(own_engine, AS_FOUND)
    images = []
    for number in range(10):
        own_engine.look = Look.from_colors(lips=f"#b0{20 + number:02x}40")
        images.append(processor.process(frame, number / FPS).image)
    amounts = [change(frame, image) for image in images]
    assert min(amounts) > 0.9 * amounts[0]
    assert max(change(a, b) for a, b in pairwise(images)) < 0.02


def test_times_that_stand_still(engine: MakeupEngine) -> None:
    (frame,) = film([Actor("light.jpg", still())], 1)
    processor = FrameProcessor(engine, StreamOptions())
    for time in (1.0, 1.0, 0.5):
        result = processor.process(frame, time)
    assert result.faces[0].painted
    assert change(result.image, engine.process(frame)) < 0.05


def test_switching_off_and_on_fades(own_engine: MakeupEngine) -> None:
    (frame,) = film([Actor("light.jpg", still())], 1)
    worn = own_engine.look
    processor = FrameProcessor(own_engine, AS_FOUND)
    amounts = []
    for number in range(40):
        if number in (3, 22):
            own_engine.look = None if number == 3 else worn
        amounts.append(change(frame, processor.process(frame, number / FPS).image))
    full = amounts[2]
    assert 0.8 * full < amounts[4] < full
    assert amounts[18] == amounts[21] == 0
    assert 0 < amounts[23] < 0.3 * full
    assert amounts[39] == pytest.approx(full, rel=0.02)


def test_a_face_that_appears_fades_in_where_nobody_can_look_ahead(engine: MakeupEngine) -> None:
    def later(t: float) -> tuple[float, float] | None:
        return (320, 180) if number_of(t) >= 5 else None

    frames = list(film([Actor("light.jpg", later)], 20))
    amounts = [
        change(frame, result.image)
        for frame, result in zip(frames, engine.stream(frames), strict=True)
    ]
    assert amounts[:5] == [0] * 5
    assert amounts[5] < 0.3 * amounts[-1]
    assert np.diff(amounts[5:13]).min() > 0


def number_of(t: float) -> int:
    return round(t * FPS)


def test_lights_out_and_on(engine: MakeupEngine, filmed: Filmed) -> None:
    """In the dark nothing is painted; with the light, id and makeup come back."""
    frames = [
        frame if number < 8 or number >= 16 else (frame * 0.02).astype(np.uint8)
        for number, frame in enumerate(film([Actor("medium.jpg", still())], 32, noise=2))
    ]
    results = list(engine.stream(filmed(frames)))
    dark = [change(frames[k], results[k].image) for k in range(8, 16)]
    assert max(dark) < 0.1
    assert dark[-1] == 0
    assert {face.track_id for result in results for face in result.faces} == {0}
    assert results[-1].faces[0].painted
    assert change(frames[-1], results[-1].image) == pytest.approx(
        change(frames[7], results[7].image), rel=0.15
    )


def test_what_covers_a_face_is_not_painted(engine: MakeupEngine, filmed: Filmed) -> None:
    """A blue board passes; its pixels stay as they are, but for the first frames at its edge."""
    board = (160, 90, 30)
    frames = []
    for number, frame in enumerate(film([Actor("medium.jpg", still())], 36, noise=2)):
        frames.append(cv2.rectangle(frame, (20 * number - 150, 0), (20 * number, 360), board, -1))
    for number, result in enumerate(engine.stream(filmed(frames))):
        inside = np.zeros((360, 640), bool)
        inside[:, max(20 * number - 140, 0) : max(20 * number - 10, 0)] = True
        touched = (frames[number] != result.image).any(axis=2) & inside
        assert touched.sum() < 60, number


def test_looks_stay_with_their_faces(own_engine: MakeupEngine, filmed: Filmed) -> None:
    """Two faces cross, then one leaves and returns; only the other wears makeup all the while."""

    def leaves(t: float) -> tuple[float, float]:
        return (520 - 240 * t if t < 1.6 else 136 - 400 * np.sin(1.8 * (t - 1.6)), 170)

    actors = [
        Actor("light.jpg", lambda t: (120 + 240 * t if t < 1.6 else 504, 190)),
        Actor("dark.jpg", leaves),
    ]
    frames = list(film(actors, 108, noise=2))
    (first,) = own_engine.stream(frames[:1], options=AS_FOUND)
    worn, bare = (face.track_id for face in sorted(first.faces, key=lambda face: face.box[0]))
    own_engine.wear(bare, None)
    ids, crossed = set(), False
    for number, result in enumerate(own_engine.stream(filmed(frames))):
        ids |= {face.track_id for face in result.faces}
        light = actors[0].path(number / FPS)
        for face in result.faces:
            assert face.painted is (face.track_id == worn) or face.status is not FaceStatus.OK
            if face.track_id == worn:
                assert abs(face.landmarks[:, 0].mean() - light[0]) < 40
        crossed |= len(result.faces) == 1
    assert ids == {worn, bare}
    assert crossed
    assert {face.track_id for face in result.faces} == ids


class TurningAnalyzer:
    """A still face, whose nose says that it turns away, then back."""

    def __init__(self, analysis: FaceAnalysis, degrees: list[float]) -> None:
        self._analysis = analysis
        self._degrees = iter(degrees)

    def detect(self, frame: Image, max_faces: int) -> list[Detection]:
        low, high = self._analysis.landmarks.min(axis=0), self._analysis.landmarks.max(axis=0)
        return [Detection(np.concatenate([low, high]), 0.9)]

    def analyze(self, frame: Image, start: object) -> FaceAnalysis:
        wanted = next(self._degrees)
        landmarks = self._analysis.landmarks.copy()
        while yaw_degrees(landmarks) < wanted:
            landmarks[27:36, 0] += 0.25
        return replace(self._analysis, landmarks=landmarks)


def test_side_faces_fade(look: Look, analyzer: BundledFaceAnalyzer) -> None:
    (frame,) = film([Actor("light.jpg", still())], 1)
    found = analyzer.analyze(frame, analyzer.detect(frame, 1)[0])
    turn = [0.0] * 5 + [60.0] * 10 + [0.0] * 10
    engine = MakeupEngine(look, analyzer=TurningAnalyzer(found, turn))
    processor = FrameProcessor(engine, StreamOptions(smoothing=None))
    results = [processor.process(frame, number / FPS) for number in range(len(turn))]
    amounts = [change(frame, result.image) for result in results]
    statuses = [result.faces[0].status for result in results]
    assert statuses == [FaceStatus.OK if d == 0 else FaceStatus.SIDE_VIEW for d in turn]
    assert amounts[4] > amounts[5] > amounts[6] > amounts[7] > 0
    assert amounts[9:15] == [0] * 6
    assert 0 < amounts[15] < amounts[16] < amounts[17]
    assert amounts[24] == pytest.approx(amounts[4], rel=0.02)


@pytest.mark.parametrize(
    ("opacity", "target", "expected"),
    [(0.0, 1.0, 0.2), (1.0, 0.0, 0.6), (0.5, 0.55, 0.55), (0.5, 0.3, 0.3), (1.0, 1.0, 1.0)],
)
def test_pace_of_fading(opacity: float, target: float, expected: float) -> None:
    fade = FadeOptions(appear=0.5, vanish=0.25)
    assert faded(opacity, target, 0.1, fade) == pytest.approx(expected)
    assert faded(opacity, target, 0.1, FadeOptions(appear=0, vanish=0)) == target


def test_without_a_look_faces_are_tracked_and_frames_stay(analyzer: BundledFaceAnalyzer) -> None:
    frames = list(film([Actor("light.jpg", still())], 3, noise=2))
    for frame, result in zip(frames, MakeupEngine(analyzer=analyzer).stream(frames), strict=True):
        np.testing.assert_array_equal(result.image, frame)
        assert [(face.track_id, face.painted) for face in result.faces] == [(0, False)]


def test_rgb_engines(look: Look, analyzer: BundledFaceAnalyzer) -> None:
    frames = list(film([Actor("light.jpg", lambda t: (300 + 60 * t, 180))], 5, noise=2))
    bgr = MakeupEngine(look, analyzer=analyzer).stream(frames)
    turned = [np.ascontiguousarray(frame[..., ::-1]) for frame in frames]
    rgb = MakeupEngine(look, analyzer=analyzer, color="rgb").stream(turned)
    for a, b in zip(bgr, rgb, strict=True):
        np.testing.assert_array_equal(a.image, b.image[..., ::-1])


def test_frames_are_not_modified(engine: MakeupEngine) -> None:
    def read_only() -> Iterator[Image]:
        for frame in film([Actor("light.jpg", still())], 3):
            frame.setflags(write=False)
            yield frame

    assert [result.faces[0].painted for result in engine.stream(read_only())] == [True] * 3


def test_stillness_stays_within_the_regions(engine: MakeupEngine) -> None:
    """Paint averaged over time does not stay behind where a moving face has been."""
    frames = list(film([Actor("light.jpg", lambda t: (200 + 240 * t, 180))], 24, noise=2))
    for number, result in enumerate(engine.stream(frames)):
        plain = engine.process(frames[number])
        allowed = (plain != frames[number]).any(axis=2).astype(np.uint8)
        allowed = cv2.dilate(allowed, np.ones((15, 15), np.uint8))
        touched = (result.image != frames[number]).any(axis=2)
        assert touched[allowed == 0].sum() == 0, number


def test_stillness_is_on_by_default() -> None:
    assert StreamOptions().smoothing == SmoothingOptions()


def painted_shares(stream: Stream, frames: list[Image], engine: MakeupEngine) -> list[float]:
    """Change of each result, as a share of the change that the same frame alone gets."""
    shares = []
    for result in stream:
        alone = engine.process(frames[result.index])
        shares.append(
            change(frames[result.index], result.image)
            / max(change(frames[result.index], alone), 1e-6)
        )
    return shares


def test_who_comes_late_into_a_file_wears_makeup_from_the_first_frame(
    engine: MakeupEngine, filmed: Filmed
) -> None:
    """From frame 9 on there is a second face; the detector runs at frames 0, 24 and 48."""
    late = Actor("dark.jpg", lambda t: (470 - 60 * t, 180.0) if t >= 9 / FPS else None)
    actors = [Actor("light.jpg", still(160)), late]
    frames = list(film(actors, 30))
    results = list(engine.stream(filmed(frames)))
    assert [result.index for result in results] == list(range(30))
    np.testing.assert_allclose([r.timestamp for r in results], np.arange(30) / FPS, atol=1e-3)
    right = [change(f[:, 320:], r.image[:, 320:]) for f, r in zip(frames, results, strict=True)]
    assert max(right[:9]) < 0.02
    assert min(right[9:]) > 0.8 * right[25]
    ids = [[face.track_id for face in result.faces] for result in results]
    assert ids == [[0]] * 9 + [[0, 1]] * 21
    live = list(engine.stream(frames))  # an iterator cannot look ahead
    assert change(frames[12][:, 320:], live[12].image[:, 320:]) < 0.02


def test_a_hard_cut_does_not_fade_in(engine: MakeupEngine, filmed: Filmed) -> None:
    before = list(film([Actor("light.jpg", still(160))], 12))
    after = list(film([Actor("dark.jpg", still(480))], 12))
    frames = [*before, *after]
    shares = painted_shares(engine.stream(filmed(frames)), frames, engine)
    assert min(shares) > 0.85
    live = painted_shares(engine.stream(frames), frames, engine)
    assert live[12] < 0.3


def test_looking_back_can_be_switched_off(engine: MakeupEngine, filmed: Filmed) -> None:
    late = Actor("dark.jpg", lambda t: (320.0, 180.0) if t >= 4 / FPS else None)
    frames = list(film([late], 8))
    (*_, last) = engine.stream(filmed(frames), options=StreamOptions(look_back=False))
    share = change(frames[7], last.image) / change(frames[7], engine.process(frames[7]))
    assert 0.2 < share < 0.8  # a part of the quarter of a second that it takes to come
