"""Options of a benchmark: the engine, and the sizes and numbers of faces of its frames."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from makeup_kernels import InvalidInputError

PATHS = ("image", "stream")
"""How frames are processed: `image` detects the faces of each frame (`MakeupEngine.process`);
`stream` tracks and smooths them (`MakeupEngine.stream`)."""

MAX_FACES = 16
_SIZE = re.compile(r"(\d{2,5})x(\d{2,5})")
_NAMED_SIZES = {
    "480p": (640, 480),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "4k": (3840, 2160),
}
_SIDES = (64, 8192)


@dataclass(frozen=True)
class Scenario:
    """One measurement: frames of one size and number of faces, on one path (see `PATHS`)."""

    path: str
    width: int
    height: int
    faces: int

    @property
    def label(self) -> str:
        """For example "stream 1280x720, 2 faces"."""
        noun = "face" if self.faces == 1 else "faces"
        return f"{self.path} {self.width}x{self.height}, {self.faces} {noun}"


@dataclass(frozen=True)
class BenchOptions:
    """Options of `run_bench`.

    Attributes:
        model: as in `MakeupEngine`: a name or the path of a bundle; None: the default.
        backend: runs the model's networks: "auto", or one of `makeup_engines.BACKENDS`.
        device: processes the frames, as in `MakeupEngine`: "cpu" or "cuda".
        sizes: (width, height) of the frames, 64..8192 pixels per side.
        faces: numbers of faces per frame, 1..16.
        paths: see `PATHS`.
        threads: CPU threads; None: one per core.
        frames: timed frames per scenario, at least 2.
        warmup: untimed frames before them.
        cold_starts: number of fresh processes that time start to first frame; 0 for none.
    """

    model: str | None = None
    backend: str = "auto"
    device: str = "cpu"
    sizes: tuple[tuple[int, int], ...] = ((1280, 720),)
    faces: tuple[int, ...] = (1,)
    paths: tuple[str, ...] = PATHS
    threads: int | None = None
    frames: int = 200
    warmup: int = 20
    cold_starts: int = 3

    def __post_init__(self) -> None:
        for width, height in self.sizes:
            if not all(_SIDES[0] <= side <= _SIDES[1] for side in (width, height)):
                raise InvalidInputError(
                    f"size: {width}x{height}, expected {_SIDES[0]} to {_SIDES[1]} pixels a side"
                )
        if not all(1 <= count <= MAX_FACES for count in self.faces):
            raise InvalidInputError(f"faces: {self.faces}, expected numbers from 1 to {MAX_FACES}")
        if not self.sizes or not self.faces or not self.paths or set(self.paths) - set(PATHS):
            raise InvalidInputError(
                f"nothing to measure: expected sizes, faces and paths of {', '.join(PATHS)}"
            )
        if self.device == "cuda" and "stream" in self.paths:
            raise InvalidInputError(
                "path: streams run on the CPU; with device 'cuda' measure the path 'image' alone"
            )
        for name, least in (("frames", 2), ("warmup", 0), ("cold_starts", 0)):
            if getattr(self, name) < least:
                raise InvalidInputError(f"{name}: {getattr(self, name)}, expected at least {least}")

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """All combinations of path, size and number of faces, in display order."""
        return tuple(
            Scenario(path, width, height, count)
            for path in self.paths
            for width, height in self.sizes
            for count in self.faces
        )


PRESETS: Mapping[str, BenchOptions] = MappingProxyType(
    {
        "desktop": BenchOptions(sizes=((1280, 720), (1920, 1080), (3840, 2160)), faces=(1, 3)),
        "jetson": BenchOptions(
            backend="tensorrt",
            sizes=((640, 480), (1280, 720), (1920, 1080)),
            paths=("stream",),
            frames=600,
            warmup=120,  # until the clocks settle
        ),
    }
)
"""Options by kind of machine."""


def parse_size(text: str) -> tuple[int, int]:
    """Parse `1280x720`, or one of 480p, 720p, 1080p, 4k, to (width, height).

    Raises:
        InvalidInputError: neither.
    """
    named = _NAMED_SIZES.get(text.lower())
    if named:
        return named
    match = _SIZE.fullmatch(text.lower())
    if match is None:
        raise InvalidInputError(
            f"--size {text}: expected WIDTHxHEIGHT, for example 1280x720, or one of "
            + ", ".join(_NAMED_SIZES)
        )
    return int(match[1]), int(match[2])
