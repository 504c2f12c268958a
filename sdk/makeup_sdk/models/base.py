"""Models: how the makeup of a reference is read, kept in a look, and put on faces.

A `Model` reads a face into a `Makeup`, which a `Look` holds, and makes a `Painter` of a look; a
painter paints analysed faces, one `Paint` each, and a paint is put into the frame. The engine, the
streams and the look files know nothing else of a model.
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
"""Faces that graphs on a GPU take in one batch."""

Strength: TypeAlias = Mapping[Part, float]
"""How much arrives per part, in [0, 1.5]; a part that is not named stays bare. What has no shade of
the whole face pays no heed to `TONE`."""


class Paint(Protocol):
    """The makeup of one face, painted."""

    def put(self, image: Image, face: FaceAnalysis, *, color: str, threads: int | None) -> None:
        """Put it into a frame, in place. Pixels outside the makeup stay as they are, bit for bit.

        Paints of one face may be put on one after another; their changes add up.

        Args:
            image: uint8 (H, W, 3), the frame that `face` was found in.
            face: the face that was painted.
            color: channel order of the frame, "bgr" or "rgb".
            threads: CPU threads; None: one per core.
        """
        ...


class Follower(Protocol):
    """One look on one face of a stream; may remember the frames before. For one thread."""

    def paint(
        self, face: FaceAnalysis, step: Step | None, strength: Strength, opacity: float
    ) -> Paint:
        """Paint the face of the next frame.

        Args:
            face: the analysed face; its landmarks and regions are smoothed already.
            step: what happened to the face since the last frame; None at first.
            strength: see `Strength`.
            opacity: in (0, 1]: how far the look is faded in. It changes from frame to frame, so
                that averages are taken before it.
        """
        ...


@runtime_checkable
class Remembering(Protocol):
    """What a `Follower` is, too, if it can go on in another process; others begin anew there."""

    def remember(self, memory: Memory) -> None:
        """Keep the averages over the frames before."""
        ...

    def recall(self, memory: Memory) -> None:
        """Go on from them, before the first frame.

        Raises:
            InvalidInputError: they are not of this kind.
        """
        ...


class Painter(Protocol):
    """A makeup, prepared to be painted on faces. Immutable; may be shared by threads.

    Painters of models inherit it, for `follow`.
    """

    def paint(self, face: FaceAnalysis, strength: Strength) -> Paint:
        """Paint one face.

        Args:
            face: the analysed face.
            strength: see `Strength`.
        """
        ...

    def follow(self, options: SmoothingOptions) -> Follower:
        """Start to follow one face of a stream: the hook for temporal smoothing of the paint.

        By default each frame is painted for itself.
        """
        return FrameByFrame(self)


@dataclass(frozen=True)
class FrameByFrame:
    """A `Follower` that remembers nothing."""

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
        name: for messages.
        kind: of the `Makeup` that it reads, and wears.
        wears: kinds that it can put on without reading a photo, its own among them.
        regions: those that it can make up.
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
        """Prepare a makeup, of a kind that the model wears, to be painted."""
        ...


class CropPaint(NamedTuple):
    """A painted crop: what sets it apart from the face's own crop comes into the frame.

    Attributes:
        crop: uint8 (256, 256, 3), BGR.
        mask: float32 (256, 256) in [0, 1]: how much of the change arrives.
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
    """How a model runs.

    Attributes:
        backend: of the model's graphs: "auto", or a name of `makeup_engines.BACKENDS`.
        threads: CPU threads; None: one per core.
        device: where frames are worked on: "cpu" or "cuda".
    """

    backend: str = "auto"
    threads: int | None = None
    device: str = "cpu"
