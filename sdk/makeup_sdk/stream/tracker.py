"""Track faces from frame to frame."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from makeup_kernels import crop_face, crop_matrix
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces import Detection, FaceAnalysis, FaceAnalyzer, pupil_distance
from makeup_sdk.faces.memory import Memory
from makeup_sdk.stream.one_euro import LandmarkFilter
from makeup_sdk.stream.options import SmoothingOptions, TrackerOptions

Lap = Callable[[str], None]

_log = logging.getLogger("makeup_sdk")

_PROBE = 0.5
"""Seconds for which a lost face is searched at its last position."""
_DETECT_WHILE_LOST = 3
"""Frames between two detector runs while a face is lost."""
_SAME_FACE = 0.5
"""Intersection over union from which two sets of landmarks show the same face."""
_FOUND_BEFORE = 0.3
"""Intersection over union from which a detection matches a tracked face."""
_REACH = 2.0
"""Maximum distance from the predicted path to re-match a lost face, in pupil distances."""
_ALIKE, _CONFIRMED, _SURELY_ALIKE = 0.7, 0.87, 0.92
"""Similarity in [-1, 1] from which a returning face may match near its predicted path, counts as
confirmed, and matches anywhere. The first is low because the face may still be half covered.
Same person: 95 % of pairs lie above 0.90. Different persons: 95 % lie below 0.87, half below 0.66.
"""
_CONFIRM_WITHIN = 0.5
"""Seconds within which a match must be confirmed; otherwise the face gets a new id."""
_MIN_PUPIL_DISTANCE = 4.0
"""Pixels; smaller faces are not tracked."""
_LONGEST_AHEAD = 0.1
"""Seconds of motion by which the next crop is shifted at most, after a pause of the source."""
_VELOCITY_SHARE = 0.4
"""Weight of the newest frame in the running mean of a face's velocity."""
_CELLS = 20
"""Side of the thumbnail by which faces are re-identified, cells."""
_APPEARANCE = (_CELLS - 4) * (_CELLS - 6) * 3
"""Numbers of its middle."""
MOST_TRACKS = 64
"""Maximum faces in a memory, including lost ones."""
_MOST_IDS = 1 << 24
"""Maximum id in a memory."""
_AHEAD = 0.05
"""Motion per frame from which the next crop is shifted ahead, in pupil distances."""


@dataclass(frozen=True)
class TrackedFace:
    """One face of a frame.

    Attributes:
        track_id: stays with the face through the stream; counts from 0 in order of appearance.
        analysis: of this frame, landmarks smoothed.
        lost: the face was not found in this frame; `analysis` shows its last position.
    """

    track_id: int
    analysis: FaceAnalysis
    lost: bool

    @property
    def box(self) -> FloatArray:
        """float32 (4,): x0, y0, x1, y1 around the landmarks, frame pixels."""
        return _box(self.analysis.landmarks)


@dataclass
class _Track:
    track_id: int
    landmarks: FloatArray
    appearance: FloatArray
    seen: float
    frame_size: FloatArray
    smooth: LandmarkFilter | None
    velocity: FloatArray = field(default_factory=lambda: np.zeros(2, np.float32))
    lost: bool = False
    course: tuple[float, FloatArray, FloatArray] | None = None
    """Time, centre and velocity when the face was last seen uncovered."""
    doubt: "tuple[float, _Track] | None" = None
    """While a match is unconfirmed: its time, and the track of the lost face."""

    @property
    def box(self) -> FloatArray:
        """float32 (4,): x0, y0, x1, y1 around the landmarks, frame pixels."""
        return _box(self.landmarks)

    def remember(self, memory: Memory, time: float) -> None:
        """Store the track, ages relative to `time`. An unconfirmed match counts as confirmed."""
        memory.put("id", self.track_id)
        memory.put("landmarks", self.landmarks)
        memory.put("appearance", self.appearance)
        memory.put("age", time - self.seen)
        memory.put("frame size", self.frame_size)
        memory.put("velocity", self.velocity)
        memory.put("lost", self.lost)
        if self.course is not None:
            since, start, velocity = self.course
            memory.put("course", [time - since, *start, *velocity])
        if self.smooth is not None:
            self.smooth.remember(memory.below("smooth"))

    @classmethod
    def recalled(cls, memory: Memory, time: float, smooth: LandmarkFilter | None) -> "_Track":
        """Restore a track stored at a time; `smooth` is a new filter, restored too."""
        if smooth is not None:
            smooth.recall(memory.below("smooth"))
        track = cls(
            memory.take_count("id", _MOST_IDS),
            memory.take("landmarks", (68, 2)),
            memory.take("appearance", (_APPEARANCE,)),
            time - float(memory.take("age")),
            memory.take("frame size", (2,)),
            smooth,
            memory.take("velocity", (2,)),
            bool(memory.take("lost")),
        )
        if "course" in memory:
            since, *rest = memory.take("course", (5,))
            track.course = time - float(since), np.array(rest[:2]), np.array(rest[2:])
        return track

    def off_course(self, place: FloatArray, time: float) -> float:
        """Distance of a place from the predicted path, in pupil distances.

        The path follows the last velocity for up to a second and ends at the frame's border.
        """
        since, start, velocity = self.course or (self.seen, self.landmarks.mean(axis=0), 0)
        way = np.clip(start + velocity * np.float32(min(time - since, 1.0)), 0, self.frame_size)
        way = way - start
        share = float((place - start) @ way) / max(float(way @ way), 1e-6)
        away = np.hypot(*(place - start - np.clip(share, 0, 1) * way))
        return float(away) / max(pupil_distance(self.landmarks), 1.0)

    def next_landmarks(self, dt: float) -> FloatArray:
        """float32 (68, 2): the predicted landmarks of the next frame."""
        step = self.velocity * np.float32(min(dt, _LONGEST_AHEAD))
        if self.lost or np.hypot(*step) < _AHEAD * pupil_distance(self.landmarks):
            return self.landmarks
        return np.asarray(self.landmarks + step, np.float32)

    def surprise(self, find: "_Find", time: float) -> float:
        """Matching cost: distance from the predicted path plus dissimilarity."""
        return self.off_course(find.middle, time) + 1 - self.likeness(find)

    def likeness(self, find: "_Find") -> float:
        """Similarity in [-1, 1]: correlation of the two thumbnails."""
        return float(self.appearance @ find.appearance)


class _Find:
    """The analysis of one place of a frame, which may show no face."""

    def __init__(self, analysis: FaceAnalysis, frame: Image) -> None:
        self.analysis = analysis
        self.box = _box(analysis.landmarks)
        self.middle: FloatArray = analysis.landmarks.mean(axis=0)
        self.appearance = _appearance(analysis)
        self.frame_size = np.array(frame.shape[1::-1], np.float32)

    @property
    def whole(self) -> bool:
        """Whether it lies inside the frame as a whole."""
        return bool((self.box[:2] >= 0).all() and (self.box[2:] < self.frame_size).all())

    @property
    def inside(self) -> bool:
        """Whether its centre lies inside the frame."""
        return bool(((self.middle >= 0) & (self.middle < self.frame_size)).all())

    def overlap(self, box: FloatArray) -> float:
        """Intersection over union with a box."""
        return _overlap(self.box, box)


class Tracker:
    """Follows up to `max_faces` faces, each under a fixed id.

    The landmarks of the last frame give the crop of the next one. The detector runs while no face
    is tracked or one is lost, and every N frames to find new faces. When two tracks end on one face
    (the faces crossed), the track with the higher matching cost counts as lost. A lost face that
    returns is matched by its predicted path and its thumbnail, and keeps its id.

    Args:
        analyzer: finds and analyses faces.
        max_faces: track at most this many; more faces give one warning.
        options: see `TrackerOptions`.
        smoothing: smoothing of landmarks; None for none.
    """

    def __init__(
        self,
        analyzer: FaceAnalyzer,
        max_faces: int,
        options: TrackerOptions,
        smoothing: SmoothingOptions | None,
    ) -> None:
        self._analyzer = analyzer
        self._max_faces = max_faces
        self._options = options
        self._smoothing = smoothing
        self._tracks: list[_Track] = []
        self._next_id = 0
        self._last_time: float | None = None
        self._since_detect = 0
        self._places_are_known = True
        self._said_too_many = False

    def update(self, frame: Image, time: float, lap: Lap = lambda stage: None) -> list[TrackedFace]:
        """Find every tracked face in the next frame, and new ones.

        Args:
            frame: uint8 (H, W, 3), BGR.
            time: seconds, greater than at the last call.
            lap: called with "detect" or "analyze" after each part of the work.

        Returns:
            the faces in the order of their ids.
        """
        dt = time - self._last_time if self._last_time is not None else 0.0
        self._last_time = time
        looks = {
            track.track_id: self._look(frame, track.next_landmarks(dt))
            for track in self._tracks
            if self._places_are_known and (not track.lost or time - track.seen <= _PROBE)
        }
        found = self._follow(looks, time)
        lap("analyze")
        if self._detector_is_due():
            detections = self._analyzer.detect(frame, self._max_faces + 1)
            lap("detect")
            self._since_detect, self._places_are_known = 0, True
            strangers = self._strangers(frame, detections, list(found.values()))
            found |= self._enter(strangers, found, time)
        self._since_detect += 1
        faces = []
        for track in tuple(self._tracks):
            find = found.get(track.track_id)
            if find is not None:
                faces.append(self._settle(track, find, time, dt))
            else:
                track.lost = True
                look = looks.get(track.track_id)
                if look and not any(f.overlap(track.box) > _FOUND_BEFORE for f in found.values()):
                    held = replace(look.analysis, landmarks=track.landmarks)
                    faces.append(TrackedFace(track.track_id, held, lost=True))
        self._tracks = [
            track for track in self._tracks if time - track.seen <= self._options.memory
        ]
        lap("analyze")
        return sorted(faces, key=lambda face: face.track_id)

    def find(
        self, frame: Image, landmarks: FloatArray, taken: list[FloatArray]
    ) -> FaceAnalysis | None:
        """Search a past frame for a face that was found later.

        Args:
            frame: uint8 (H, W, 3), BGR.
            landmarks: float32 (68, 2), where to look.
            taken: boxes of the faces that were found in it.

        Returns:
            the face, or None if there is none, or one that was found before.
        """
        find = self._look(frame, landmarks)
        if not self._is_face(find) or any(find.overlap(box) > _SAME_FACE for box in taken):
            return None
        return find.analysis

    def remember(self, memory: Memory, time: float) -> None:
        """Store the tracks at a time."""
        tracks = self._tracks[-MOST_TRACKS:]
        memory.put("count", len(tracks))
        memory.put("next id", self._next_id)
        for number, track in enumerate(tracks):
            track.remember(memory.below(str(number)), time)

    def recall(self, memory: Memory, time: float) -> None:
        """Restore tracks stored at a time.

        Raises:
            InvalidInputError: not stored by this class.
        """
        self._next_id = memory.take_count("next id", _MOST_IDS)
        self._tracks = [
            _Track.recalled(memory.below(str(number)), time, self._filter())
            for number in range(memory.take_count("count", MOST_TRACKS))
        ]
        self._last_time, self._places_are_known = time, False  # they may have gone on meanwhile

    def _look(self, frame: Image, start: Detection | FloatArray) -> _Find:
        return _Find(self._analyzer.analyze(frame, start), frame)

    def _is_face(self, find: _Find) -> bool:
        large = pupil_distance(find.analysis.landmarks) >= _MIN_PUPIL_DISTANCE
        return find.analysis.score >= self._options.min_score and find.inside and large

    def _follow(self, looks: dict[int, _Find], time: float) -> dict[int, _Find]:
        """Matches of tracks and analyses, the best first; one analysis serves one track."""
        finds = [
            (track.lost, track.surprise(looks[track.track_id], time), track)
            for track in self._tracks
            if track.track_id in looks and self._is_face(looks[track.track_id])
        ]
        found: dict[int, _Find] = {}
        for lost, _, track in sorted(finds, key=lambda find: find[:2]):
            find = looks[track.track_id]
            taken = any(other.overlap(find.box) > _SAME_FACE for other in found.values())
            if lost and self._most_alike(find) is not track:
                continue
            if not taken and len(found) < self._max_faces:
                found[track.track_id] = find
        return found

    def _most_alike(self, find: _Find) -> _Track | None:
        """The lost track that is most similar to a face, or None."""
        likeness = {k: t.likeness(find) for k, t in enumerate(self._tracks) if t.lost}
        best = max(likeness, key=likeness.__getitem__)
        return self._tracks[best] if likeness[best] > _ALIKE else None

    def _detector_is_due(self) -> bool:
        if not self._tracks or not self._places_are_known:
            return True
        missing = any(track.lost for track in self._tracks)
        if not missing and len(self._tracks) >= self._max_faces:
            return False
        wait = _DETECT_WHILE_LOST if missing else self._options.detect_every
        return self._since_detect >= min(wait, self._options.detect_every)

    def _strangers(
        self, frame: Image, detections: list[Detection], known: list[_Find]
    ) -> list[_Find]:
        """Detected faces that no track follows yet."""
        strangers: list[_Find] = []
        for detection in detections:
            if any(find.overlap(detection.box) > _FOUND_BEFORE for find in known):
                continue
            stranger = self._look(frame, detection)
            others = (find.overlap(stranger.box) for find in [*known, *strangers])
            if self._is_face(stranger) and max(others, default=0.0) <= _SAME_FACE:
                strangers.append(stranger)
        return strangers

    def _enter(
        self, strangers: list[_Find], found: dict[int, _Find], time: float
    ) -> dict[int, _Find]:
        """New faces by id: the id of the lost face that returned, or a new one."""
        missing = [track for track in self._tracks if track.track_id not in found]
        pairs = [
            (track.surprise(stranger, time), k, track)
            for k, stranger in enumerate(strangers)
            for track in missing
            if _may_be(track, stranger, time)
        ]
        entered: dict[int, _Find] = {}
        known: set[int] = set()
        for _, k, track in sorted(pairs, key=lambda pair: pair[:2]):
            if k not in known and track.track_id not in entered:
                known.add(k)
                entered[track.track_id] = strangers[k]
        unclear = len(missing) > len(entered)
        for k, stranger in enumerate(strangers):
            waits = unclear and not stranger.whole  # it may be the missing one, half in the frame
            if k in known or waits:
                continue
            if len(found) + len(entered) < self._max_faces:
                entered[self._start(stranger, time)] = stranger
            else:
                self._say_too_many()
        return entered

    def _say_too_many(self) -> None:
        if not self._said_too_many:
            _log.warning(
                "more than %d faces in view: the others stay bare; raise max_faces",
                self._max_faces,
            )
        self._said_too_many = True

    def _start(self, find: _Find, time: float) -> int:
        landmarks = find.analysis.landmarks
        track = _Track(
            self._next_id, landmarks, find.appearance, time, find.frame_size, self._filter()
        )
        self._next_id += 1
        self._tracks.append(track)
        return track.track_id

    def _settle(self, track: _Track, find: _Find, time: float, dt: float) -> TrackedFace:
        """Bring a track up to date with what was found of it."""
        likeness = track.likeness(find)
        if track.lost:
            track.doubt = (time, replace(track, doubt=None))
            track.smooth, track.velocity = self._filter(), np.zeros(2, np.float32)
        if likeness > _CONFIRMED:
            track.doubt = None
        elif track.doubt is not None and time - track.doubt[0] > _CONFIRM_WITHIN:
            self._tracks.append(track.doubt[1])
            track.track_id, track.doubt, track.appearance = self._next_id, None, find.appearance
            self._next_id += 1
        landmarks = find.analysis.landmarks
        if track.smooth is not None:
            landmarks = track.smooth(landmarks, max(dt, 1e-3))
        if dt > 0 and not track.lost:
            step = (landmarks.mean(axis=0) - track.landmarks.mean(axis=0)) / np.float32(dt)
            track.velocity += np.float32(_VELOCITY_SHARE) * (step - track.velocity)
        track.landmarks, track.seen, track.lost = landmarks, time, False
        if find.whole and likeness > _SURELY_ALIKE:  # nothing covers it
            track.course = (time, landmarks.mean(axis=0), track.velocity.copy())
            track.appearance = _unit(0.9 * track.appearance + 0.1 * find.appearance)
        return TrackedFace(track.track_id, replace(find.analysis, landmarks=landmarks), lost=False)

    def _filter(self) -> LandmarkFilter | None:
        return LandmarkFilter(self._smoothing) if self._smoothing else None


def _may_be(track: _Track, find: _Find, time: float) -> bool:
    """Whether a lost face may be the detected one."""
    near = track.off_course(find.middle, time) < _REACH
    return track.likeness(find) > (_ALIKE if near else _SURELY_ALIKE)


def _box(landmarks: FloatArray) -> FloatArray:
    return np.concatenate([landmarks.min(axis=0), landmarks.max(axis=0)]).astype(np.float32)


def _overlap(a: FloatArray, b: FloatArray) -> float:
    """Intersection over union of two boxes x0, y0, x1, y1."""
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    shared = float(sides.prod())
    union = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - shared
    return shared / max(union, 1e-6)


def _appearance(face: FaceAnalysis) -> FloatArray:
    """float32 (720,), of length 1: the middle of the aligned face in cells, light taken out."""
    cells = crop_face(face.crop, crop_matrix(face.crop_landmarks, _CELLS), _CELLS)[4:, 3:-3]
    values = np.log(cells.astype(np.float32) + 8).reshape(-1, 3)
    return _unit((values - values.mean()).ravel())


def _unit(values: FloatArray) -> FloatArray:
    length = float(np.linalg.norm(values))
    unit: FloatArray = (values / max(length, 1e-6)).astype(np.float32)
    return unit
