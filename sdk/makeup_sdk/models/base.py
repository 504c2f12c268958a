"""Protocols of models: read makeup from a reference, and paint it on faces.

A `Model` reads a face into a `Makeup`, which a `Look` stores, and creates a `Painter` from a
`Makeup`. A painter paints analysed faces, one `Paint` each, and a paint is put into the frame. The
engine, streams and look files use only these protocols.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from makeup_kernels import Region, composite
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.memory import Memory
from makeup_sdk.faces.smoothing import SmoothingOptions, Step
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.base import Makeup, Part

FACES_AT_ONCE = 8
"""Batch size of graphs on a GPU."""

Strength: TypeAlias = Mapping[Part, float]
"""Strength by part, in [0, 1.5]; other parts stay bare. Makeups without a shade of the whole face
ignore `TONE`."""


class Paint(Protocol):
    """The makeup of one face, painted."""

    def put(self, image: Image, face: FaceAnalysis, *, color: str, threads: int | None) -> None:
        """Put it into a frame, in place. Pixels outside the makeup stay bit-identical.

        Several paints may be put on one face; their changes add up.

        Args:
            image: uint8 (H, W, 3), the frame that `face` was found in.
            face: the face that was painted.
            color: channel order of the frame, "bgr" or "rgb".
            threads: CPU threads; None: one per core.
        """
        ...


class Follower(Protocol):
    """One look on one face of a stream; may keep state between frames. Not thread-safe."""

    def paint(
        self, face: FaceAnalysis, step: Step | None, strength: Strength, opacity: float
    ) -> Paint:
        """Paint the face of the next frame.

        Args:
            face: the analysed face, with smoothed landmarks and regions.
            step: motion and change since the last frame; None for the first frame.
            strength: see `Strength`.
            opacity: in (0, 1]: how far the look is faded in. It changes from frame to frame, so it
                must be applied after temporal averaging.
        """
        ...


@runtime_checkable
class Remembering(Protocol):
    """A `Follower` whose state can move to another process; others start fresh there."""

    def remember(self, memory: Memory) -> None:
        """Store the temporal averages."""
        ...

    def recall(self, memory: Memory) -> None:
        """Restore stored averages, before the first frame.

        Raises:
            InvalidInputError: not stored by this class.
        """
        ...


class Painter(Protocol):
    """A makeup, prepared for painting on faces. Immutable; may be shared by threads.

    Models' painters inherit it to get `follow`.
    """

    def paint(self, face: FaceAnalysis, strength: Strength) -> Paint:
        """Paint one face.

        Args:
            face: the analysed face.
            strength: see `Strength`.
        """
        ...

    def follow(self, options: SmoothingOptions) -> Follower:
        """Start following one face of a stream: the hook for temporal smoothing of the paint.

        By default each frame is painted independently.
        """
        return FrameByFrame(self)


@dataclass(frozen=True)
class FrameByFrame:
    """A `Follower` without state."""

    painter: Painter

    def paint(
        self, face: FaceAnalysis, step: Step | None, strength: Strength, opacity: float
    ) -> Paint:
        """See `Follower.paint`."""
        return self.painter.paint(face, scaled(strength, opacity))


def scaled(strength: Strength, opacity: float) -> dict[Part, float]:
    """A strength times a number."""
    return {part: amount * opacity for part, amount in strength.items()}


class Model(Protocol):
    """A way to put makeup on. Immutable; may be shared by threads and engines.

    Attributes:
        name: name of the model, for messages.
        kind: kind of the `Makeup` that it reads and paints.
        wears: kinds of makeup that it can paint, including its own.
        regions: regions that it can paint.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def wears(self) -> frozenset[str]: ...

    @property
    def regions(self) -> frozenset[Region]: ...

    def encode(self, face: FaceAnalysis) -> Makeup:
        """Read the makeup of a reference face.

        Raises:
            NoFaceError: too little of the face is visible.
            InvalidInputError: the model takes no reference.
        """
        ...

    def painter(self, makeup: Any) -> Painter:
        """Prepare a makeup, of a kind in `wears`, for painting."""
        ...


class CropPaint(NamedTuple):
    """A painted crop; its difference from the face's crop is added to the frame.

    Attributes:
        crop: uint8 (256, 256, 3), BGR.
        mask: float32 (256, 256) in [0, 1]: weight of the change.
    """

    crop: Image
    mask: FloatArray

    def put(self, image: Image, face: FaceAnalysis, *, color: str, threads: int | None) -> None:
        """See `Paint.put`; the frame's fine detail is kept."""
        source, result = face.crop, self.crop
        if color == "rgb":
            source, result = source[..., ::-1], result[..., ::-1]
        composite(image, source, result, self.mask, face.matrix, out=image, threads=threads)


@dataclass(frozen=True)
class ModelOptions:
    """Options for running a model.

    Attributes:
        backend: of the model's graphs: "auto", or one of `makeup_engines.BACKENDS`.
        threads: CPU threads; None: one per core.
        device: processes the frames: "cpu" or "cuda".
    """

    backend: str = "auto"
    threads: int | None = None
    device: str = "cpu"
