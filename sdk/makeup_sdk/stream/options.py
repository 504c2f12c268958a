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
    """How faces are followed.

    Attributes:
        detect_every: frames from one run of the detector to the next while every face is tracked,
            so that newcomers are seen; it does not run for them while `max_faces` are tracked. It
            also runs as soon as a face is lost, and while there is none.
        memory: seconds for which the id of a face that was lost is kept for its return.
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
    """Seconds that makeup takes to come, to go, and to change from one look to the next.

    Attributes:
        appear: from bare to full, when a face appears, turns back or is uncovered.
        vanish: from full to bare, when a face turns away, is covered or lost.
        look: from one look to the next.
    """

    appear: float = 0.25
    vanish: float = 0.12
    look: float = 0.4

    def __post_init__(self) -> None:
        for name in ("appear", "vanish", "look"):
            at_least(name, getattr(self, name), 0)


@dataclass(frozen=True)
class ReconnectOptions:
    """When a lost network source is opened again.

    Attributes:
        first_wait: seconds before the first attempt.
        longest_wait: seconds; each wait is twice the last, up to this.
        attempts: how many in a row may fail before the stream ends; 0 never opens it again.
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
    """How a stream runs.

    Attributes:
        policy: "all" (no frame is lost, the source waits) or "latest" (the newest frame wins, older
            ones are dropped and counted); None: "latest" for cameras and network streams, else
            "all".
        queue: frames that may wait between two stages under "all".
        fps: frames per second of sources that do not tell: image folders and iterators.
        tracker, fade, reconnect: see there.
        smoothing: None leaves every frame to itself, as `MakeupEngine.process` does.
        look_back: in files and folders, people who come late wear makeup from the first frame that
            shows them, and after a cut nothing fades in; results then come
            `TrackerOptions.detect_every` frames after their frames. Cameras, networks and iterators
            cannot look ahead: makeup fades in.
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
