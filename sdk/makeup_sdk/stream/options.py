"""Options of streams, in small immutable groups."""

from dataclasses import dataclass, field

from makeup_kernels import InvalidInputError
from makeup_sdk.arguments import above, at_least, share
from makeup_sdk.faces.smoothing import SmoothingOptions

__all__ = [
    "POLICIES",
    "FadeOptions",
    "ReconnectOptions",
    "SmoothingOptions",
    "StreamOptions",
    "TrackerOptions",
]

POLICIES = ("latest", "all")


@dataclass(frozen=True)
class TrackerOptions:
    """Options of face tracking.

    Attributes:
        detect_every: frames between detector runs while every face is tracked, to find new faces;
            not needed while `max_faces` are tracked. The detector also runs when a face is lost,
            and while there is none.
        memory: seconds for which a lost face's id is kept for its return.
        min_score: confidence in [0, 1] of the landmark network below which a face counts as lost.
    """

    detect_every: int = 24
    memory: float = 3.0
    min_score: float = 0.5

    def __post_init__(self) -> None:
        at_least("detect_every", self.detect_every, 1)
        at_least("memory", self.memory, 0)
        share("min_score", self.min_score)


@dataclass(frozen=True)
class FadeOptions:
    """Durations of fades, in seconds.

    Attributes:
        appear: from bare to full, when a face appears, turns back or is uncovered.
        vanish: from full to bare, when a face turns away, is covered or lost.
        look: cross-fade from one look to the next.
    """

    appear: float = 0.25
    vanish: float = 0.12
    look: float = 0.4

    def __post_init__(self) -> None:
        for name in ("appear", "vanish", "look"):
            at_least(name, getattr(self, name), 0)


@dataclass(frozen=True)
class ReconnectOptions:
    """Options for reconnecting a lost network source.

    Attributes:
        first_wait: seconds before the first attempt.
        longest_wait: seconds; each wait is twice the last, up to this.
        attempts: failed attempts in a row before the stream ends; 0: never reconnect.
        timeout: seconds without a frame after which the source counts as lost.
    """

    first_wait: float = 0.5
    longest_wait: float = 8.0
    attempts: int = 12
    timeout: float = 5.0

    def __post_init__(self) -> None:
        above("first_wait", self.first_wait, 0)
        at_least("longest_wait", self.longest_wait, self.first_wait)
        at_least("attempts", self.attempts, 0)
        above("timeout", self.timeout, 0)


@dataclass(frozen=True)
class StreamOptions:
    """Options of a stream.

    Attributes:
        policy: "all" (no frame is lost, the source waits) or "latest" (older frames are dropped in
            favour of the newest, and counted); None: "latest" for cameras and network streams,
            else "all".
        queue: frames that may wait between two stages with "all".
        fps: frames per second of image folders and iterators.
        tracker, fade, reconnect: see the classes.
        smoothing: None processes every frame independently, like `MakeupEngine.process`.
        look_back: in files and folders, faces that appear later have makeup from the first frame
            that shows them, and nothing fades in after a cut; results are
            `TrackerOptions.detect_every` frames late. Cameras, networks and iterators cannot look
            ahead: there makeup fades in.
    """

    policy: str | None = None
    queue: int = 4
    fps: float = 30.0
    tracker: TrackerOptions = field(default_factory=TrackerOptions)
    smoothing: SmoothingOptions | None = field(default_factory=SmoothingOptions)
    fade: FadeOptions = field(default_factory=FadeOptions)
    reconnect: ReconnectOptions = field(default_factory=ReconnectOptions)
    look_back: bool = True

    def __post_init__(self) -> None:
        if self.policy is not None and self.policy not in POLICIES:
            raise InvalidInputError(
                f"policy: {self.policy!r} is unknown; expected one of {POLICIES}, or None"
            )
        at_least("queue", self.queue, 1)
        above("fps", self.fps, 0)
