"""`classic` as a `Model`."""

from makeup_sdk.classic.encode import encode
from makeup_sdk.classic.fields import MakeupFields
from makeup_sdk.classic.paint import ClassicPainter
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.look import Look
from makeup_sdk.model import MAKEUP_REGIONS, ModelOptions


class ClassicModel:
    """Makeup without a network: the two kernels alone. See `Model`.

    Args:
        options: how many threads it may take.
    """

    name = "classic"
    kind = MakeupFields.kind
    wears = frozenset({kind})
    regions = frozenset(MAKEUP_REGIONS)

    def __init__(self, options: ModelOptions | None = None) -> None:
        self._threads = (options or ModelOptions()).threads

    def encode(self, face: FaceAnalysis) -> MakeupFields:
        """Read the makeup of a reference face.

        Raises:
            NoFaceError: too little skin is visible.
        """
        return encode(face, self._threads)

    def painter(self, look: Look) -> ClassicPainter:
        """Prepare a look to be painted."""
        assert isinstance(look.makeup, MakeupFields)
        return ClassicPainter(look.makeup, self._threads)
