"""Models: how the makeup of a reference is read, kept in a look, and put on faces.

A `Model` reads a face into a `Makeup`, which a `Look` holds, and makes a `Painter` of a look; a
painter paints analysed faces, one `Paint` each, and a paint is put into the frame. The engine, the
streams and the look files know nothing else of a model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeAlias, runtime_checkable

from numpy.typing import NDArray

from makeup_engines.files import as_path
from makeup_kernels import InvalidInputError, Region, composite
from makeup_sdk.faces.types import FaceAnalysis, FloatArray, Image

if TYPE_CHECKING:
    from makeup_sdk.classic.tone import SkinTone
    from makeup_sdk.look import Look

MAKEUP_REGIONS = (Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS)

MODELS = ("mobile", "classic")
"""Names of the models that need no bundle."""
DEFAULT_MODEL = "mobile"

FACES_AT_ONCE = 8
"""Faces that graphs on a GPU take in one batch."""

Strength: TypeAlias = Mapping[Region, float]
"""How much arrives per region, in [0, 1]; a region that is not named stays bare."""


class Makeup(Protocol):
    """What a look consists of, for the models of one kind. Immutable.

    Attributes:
        kind: models that wear the same kind can exchange looks.
    """

    kind: ClassVar[str]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What a look file keeps: arrays without objects, by name."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Makeup":
        """The inverse of `to_arrays`, on arrays of unknown origin.

        Raises:
            ValueError, KeyError: an array is missing, or has another dtype, shape or range.
        """
        ...

    @classmethod
    def mix(cls, shares: Mapping[Region, list[tuple[Any, float]]]) -> "Makeup":
        """Average makeups region by region; the shares of a region are normalised to sum 1."""
        ...

    def swatch(self) -> Image:
        """uint8 (H, W, 3), BGR: a picture of it, for people to see."""
        ...


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


class Painter(Protocol):
    """A look, prepared to be painted on faces. Immutable; may be shared by threads."""

    def paint(self, face: FaceAnalysis, strength: Strength) -> Paint:
        """Paint one face. In streams its landmarks and regions are steady over time.

        Args:
            face: the analysed face.
            strength: see `Strength`.
        """
        ...


@runtime_checkable
class LayerPainter(Painter, Protocol):
    """A painter whose makeup is a layer of log light (`classic.light`), linear in strength.

    Streams add the layers of several looks up and average them over time.
    """

    def layer(
        self, face: FaceAnalysis, light: FloatArray, tone: "SkinTone", strength: Strength
    ) -> tuple[FloatArray, FloatArray]:
        """The makeup alone.

        Args:
            face: the analysed face.
            light: float32 (256, 256, 3), the log light of its crop.
            tone: its bare skin, steady over time.
            strength: see `Strength`.

        Returns:
            float32 (256, 256, 3), the change of log light, and float32 (256, 256), 1 where it is
            not 0, else 0.
        """
        ...


@runtime_checkable
class ChangePainter(Painter, Protocol):
    """A painter whose makeup is a change of colours on coarse grids (`mobile.paint`).

    Streams average it over time.
    """

    def change(self, face: FaceAnalysis) -> Mapping[str, FloatArray]:
        """The full change, before strength; see `makeup_sdk.mobile.paint.Change`."""
        ...


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

    def painter(self, look: "Look") -> Painter:
        """Prepare a look, whose makeup is of the model's kind, to be painted."""
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


def open_model(model: "str | Path | Model", options: ModelOptions | None = None) -> Model:
    """A model by name or bundle; one that is open already is returned as it is.

    Args:
        model: one of `MODELS`, the path of a bundle (a directory or a zip), or a model.
        options: see there; a model that is open keeps its own.

    Raises:
        InvalidInputError: no model of this name, and no such bundle; or a backend for a model
            without networks.
        BundleError: the bundle is damaged, or not one of a makeup model.
        BackendUnavailableError: the backend cannot run here.
    """
    if not isinstance(model, (str, Path)):
        if not hasattr(model, "painter"):
            raise InvalidInputError(
                f"model: got {type(model).__name__}, expected one of {MODELS}, the path of a "
                "bundle, or a Model"
            )
        return model
    options = options or ModelOptions()
    if model == "mobile":
        from makeup_sdk.mobile.model import MobileModel

        return MobileModel(options)
    if model == "classic":
        from makeup_sdk.classic.model import ClassicModel

        if options.backend != "auto":
            raise InvalidInputError(
                f"backend {options.backend!r}: the model 'classic' has no networks that it could "
                "run; choose another model, or leave the backend out"
            )
        return ClassicModel(options)
    if as_path(model, "model").exists():
        from makeup_sdk.published.open import open_bundle

        return open_bundle(model, options)
    raise InvalidInputError(
        f"model: {str(model)!r} is unknown; expected one of {MODELS}, or the path of a bundle"
    )
