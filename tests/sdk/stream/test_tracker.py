"""The tracker on films made from portraits, and on the clips of real people."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import FPS, WIDTH, Actor, film, still

from makeup_sdk import Detection, FaceAnalysis
from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_sdk.stream import SmoothingOptions, TrackerOptions
from makeup_sdk.stream.sources import VideoFileSource
from makeup_sdk.stream.tracker import TrackedFace, Tracker

Image = NDArray[np.uint8]


class CountingAnalyzer:
    """Counts the detector's runs."""

    def __init__(self, analyzer: BundledFaceAnalyzer) -> None:
        self._analyzer = analyzer
        self.detected_at: list[int] = []
        self.frame = 0

    def detect(self, frame: Image, max_faces: int) -> list[Detection]:
        self.detected_at.append(self.frame)
        return self._analyzer.detect(frame, max_faces)

    def analyze(self, frame: Image, start: Detection | NDArray[np.float32]) -> FaceAnalysis:
        return self._analyzer.analyze(frame, start)


@pytest.fixture
def counting(analyzer: BundledFaceAnalyzer) -> CountingAnalyzer:
    return CountingAnalyzer(analyzer)


def follow(
    analyzer: CountingAnalyzer,
    frames: Iterable[Image],
    *,
    max_faces: int = 8,
    options: TrackerOptions | None = None,
    fps: float = FPS,
) -> list[list[TrackedFace]]:
    tracker = Tracker(analyzer, max_faces, options or TrackerOptions(), SmoothingOptions())
    history = []
    for number, frame in enumerate(frames):
        analyzer.frame = number
        history.append(tracker.update(frame, number / fps))
    return history


def seen(faces: list[TrackedFace]) -> dict[int, float]:
    """Where the faces are, by id: x of their middle."""
    return {f.track_id: float(f.analysis.landmarks[:, 0].mean()) for f in faces if not f.lost}


def test_the_detector_runs_every_n_frames(counting: CountingAnalyzer) -> None:
    films = film([Actor("light.jpg", still())], 25, noise=2)
    history = follow(counting, films, options=TrackerOptions(detect_every=10))
    assert counting.detected_at == [0, 10, 20]
    assert [list(seen(faces)) for faces in history] == [[0]] * 25


def test_the_detector_rests_while_as_many_faces_are_tracked_as_may_be(
    counting: CountingAnalyzer,
) -> None:
    films = film([Actor("light.jpg", still())], 8, noise=2)
    options = TrackerOptions(detect_every=2)
    history = follow(counting, films, options=options, max_faces=1)
    assert [list(seen(faces)) for faces in history] == [[0]] * 8
    assert counting.detected_at == [0]


def test_the_detector_runs_while_there_is_no_face(counting: CountingAnalyzer) -> None:
    history = follow(counting, film([], 6))
    assert counting.detected_at == list(range(6))
    assert history == [[]] * 6


def test_a_face_that_enters_gets_the_next_id(counting: CountingAnalyzer) -> None:
    def later(t: float) -> tuple[float, float] | None:
        return (480, 180) if t >= 0.2 else None

    actors = [Actor("light.jpg", still(160)), Actor("dark.jpg", later)]
    history = follow(counting, film(actors, 16), options=TrackerOptions(detect_every=5))
    ids = [list(seen(faces)) for faces in history]
    assert ids[:6] == [[0]] * 6
    assert ids[10:] == [[0, 1]] * 6  # seen by the detector's next run
    assert seen(history[-1])[1] == pytest.approx(480, abs=25)


def test_crossing_faces_keep_their_ids(counting: CountingAnalyzer) -> None:
    actors = [
        Actor("light.jpg", lambda t: (120 + 240 * t, 190)),
        Actor("dark.jpg", lambda t: (520 - 240 * t, 170)),
    ]
    history = follow(counting, film(actors, 54, noise=2))
    (left, _), (right, _) = sorted(seen(history[0]).items(), key=lambda item: item[1])
    assert set().union(*(seen(faces) for faces in history)) == {0, 1}
    assert any(len(seen(faces)) == 1 for faces in history)  # one did cover the other
    end = seen(history[-1])
    assert end[left] > end[right] + 100


def test_a_face_that_returns_keeps_its_id(counting: CountingAnalyzer) -> None:
    """It leaves to the right and comes back, then leaves to the left and comes back."""
    actor = Actor("light.jpg", lambda t: (320 + 400 * np.sin(2.6 * t), 180))
    history = follow(counting, film([actor], 74, noise=2))
    away = [number for number, faces in enumerate(history) if not seen(faces)]
    assert len(away) > 12
    assert set().union(*(seen(faces) for faces in history)) == {0}
    assert seen(history[-1]) != {}


def test_another_face_in_the_same_place_gets_an_id_of_its_own(
    counting: CountingAnalyzer,
) -> None:
    actors = [
        Actor("light.jpg", lambda t: (320, 180) if t < 0.3 else None),
        Actor("dark.jpg", lambda t: (320, 180) if 0.6 < t < 1.6 else None),
        Actor("light.jpg", lambda t: (320, 180) if t > 1.9 else None),
    ]
    history = follow(counting, film(actors, 62))
    assert list(seen(history[8])) == [0]
    assert list(seen(history[46])) == [1]
    assert list(seen(history[61])) == [0]


def test_a_lost_face_is_forgotten_after_its_time(counting: CountingAnalyzer) -> None:
    actor = Actor("light.jpg", lambda t: (320, 180) if t < 0.2 or t > 1 else None)
    history = follow(counting, film([actor], 36), options=TrackerOptions(memory=0.5))
    assert list(seen(history[-1])) == [1]


def occluded(frames: Iterable[Image]) -> Iterator[Image]:
    """A brown board passes before the scene, once."""
    for number, frame in enumerate(frames):
        left = 20 * number - 150
        yield cv2.rectangle(frame, (left, 0), (left + 150, 360), (90, 120, 160), -1)


def test_a_face_that_was_covered_keeps_its_id(counting: CountingAnalyzer) -> None:
    history = follow(counting, occluded(film([Actor("medium.jpg", still())], 42, noise=2)))
    covered = [number for number, faces in enumerate(history) if not seen(faces)]
    assert covered
    assert set().union(*(seen(faces) for faces in history)) == {0}
    assert all(seen(faces) for faces in history[30:])


def test_at_most_max_faces(counting: CountingAnalyzer, caplog: pytest.LogCaptureFixture) -> None:
    actors = [Actor("light.jpg", still(110)), Actor("dark.jpg", still(320)),
              Actor("medium.jpg", still(530))]  # fmt: skip
    history = follow(counting, film(actors, 12), max_faces=2, options=TrackerOptions(3))
    assert [len(seen(faces)) for faces in history] == [2] * 12
    assert len(set().union(*(seen(faces) for faces in history))) == 2
    (record,) = caplog.records
    assert record.getMessage() == (
        "more than 2 faces in view: the others stay bare; raise max_faces"
    )


def test_a_fast_face_is_followed(counting: CountingAnalyzer) -> None:
    """A face's width in four frames, faster than people walk past a camera."""
    actor = Actor("light.jpg", lambda t: (90 + 700 * t, 180))
    history = follow(counting, film([actor], 20), options=TrackerOptions(detect_every=100))
    where = [seen(faces)[0] for faces in history]
    expected = [90 + 700 * number / FPS for number in range(20)]
    assert expected[-1] < WIDTH
    assert np.abs(np.subtract(where, expected) - (where[0] - expected[0])).max() < 6
    assert counting.detected_at == [0]


@pytest.mark.parametrize(
    ("clip", "faces"),
    [
        ("intel_head-pose-face-detection-female.gif", 1),
        ("intel_head-pose-face-detection-male.gif", 1),
        ("intel_head-pose-face-detection-female-and-male.gif", 2),
        ("intel_face-demographics-walking-and-pause.gif", 3),
    ],
)
def test_clips_of_real_people(
    counting: CountingAnalyzer, faces_folder: Path, clip: str, faces: int
) -> None:
    """As many ids as people, each in an unbroken run, its face never jumping."""
    source = VideoFileSource(faces_folder / "video" / clip)
    frames = [frame for frame, _ in iter(source.read, None)]
    source.close()
    history = [seen(found) for found in follow(counting, frames, fps=source.info.fps)]
    assert set().union(*history) == set(range(faces))
    for face in range(faces):
        places = [where.get(face) for where in history]
        first = next(k for k, x in enumerate(places) if x is not None)
        assert None not in places[first:]
        assert np.abs(np.diff(np.array(places[first:], float))).max() < 20
