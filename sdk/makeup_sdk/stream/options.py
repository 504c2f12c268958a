"""Options of streams, in small immutable groups."""

from dataclasses import dataclass, field
from typing import Any

from makeup_kernels import InvalidInputError

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
        _at_least("detect_every", self.detect_every, 1)
        _at_least("memory", self.memory, 0)
        _share("min_score", self.min_score)


@dataclass(frozen=True)
class StillnessOptions:
    """How much a stream is steadied. The defaults keep lag below one frame at normal motion.

    Attributes:
        rest_cutoff: Hz; landmarks at rest are low-passed at this frequency.
        speed_gain: Hz per pupil distance per second; how fast that frequency rises with motion.
        regions: seconds over which region maps are averaged where the picture stands still.
        colors: seconds over which the bare skin's colour is averaged while the light is steady.
        layer: seconds over which the paint itself is averaged where the picture stands still.
    """

    rest_cutoff: float = 0.35
    speed_gain: float = 12.0
    regions: float = 0.5
    colors: float = 1.5
    layer: float = 0.3

    def __post_init__(self) -> None:
        _above("rest_cutoff", self.rest_cutoff, 0)
        _at_least("speed_gain", self.speed_gain, 0)
        _at_least("regions", self.regions, 0)
        _at_least("colors", self.colors, 0)
        _at_least("layer", self.layer, 0)


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
            _at_least(name, getattr(self, name), 0)


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
        _above("first_wait", self.first_wait, 0)
        _at_least("longest_wait", self.longest_wait, self.first_wait)
        _at_least("attempts", self.attempts, 0)
        _above("timeout", self.timeout, 0)


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
        stillness: None leaves every frame to itself, as `MakeupEngine.process` does.
    """

    policy: str | None = None
    queue: int = 4
    fps: float = 30.0
    tracker: TrackerOptions = field(default_factory=TrackerOptions)
    stillness: StillnessOptions | None = field(default_factory=StillnessOptions)
    fade: FadeOptions = field(default_factory=FadeOptions)
    reconnect: ReconnectOptions = field(default_factory=ReconnectOptions)

    def __post_init__(self) -> None:
        if self.policy is not None and self.policy not in POLICIES:
            raise InvalidInputError(
                f"policy: {self.policy!r} is unknown; expected one of {POLICIES}, or None"
            )
        _at_least("queue", self.queue, 1)
        _above("fps", self.fps, 0)


def _at_least(name: str, value: Any, least: float) -> None:
    if not value >= least:
        raise InvalidInputError(f"{name}: got {value}, expected at least {least}")


def _above(name: str, value: Any, bound: float) -> None:
    if not value > bound:
        raise InvalidInputError(f"{name}: got {value}, expected more than {bound}")


def _share(name: str, value: Any) -> None:
    if not 0 <= value <= 1:
        raise InvalidInputError(f"{name}: got {value}, expected a number in [0, 1]")
