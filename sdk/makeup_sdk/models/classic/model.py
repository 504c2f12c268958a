"""`classic` as a `Model`."""

from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.makeup.fields import MakeupFields
from makeup_sdk.models.base import ModelOptions
from makeup_sdk.models.classic.encode import encode
from makeup_sdk.models.classic.paint import ClassicPainter


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

    def painter(self, makeup: MakeupFields) -> ClassicPainter:
        """Prepare a makeup to be painted."""
        return ClassicPainter(makeup, self._threads)
