"""The region-sensitive GAN: a named style on chosen regions; no reference."""

from typing import ClassVar

import numpy as np

from makeup_kernels import BundleError, InvalidInputError, Region
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.style import STYLE_REGIONS, Style
from makeup_sdk.models.base import CropPaint, Painter, Strength
from makeup_sdk.models.papers.faces import NetworkFace
from makeup_sdk.models.papers.graphs import Graphs, Signature
from makeup_sdk.models.papers.light_paint import LightPainter

_BITS = (Region.EYES, Region.LIPS, Region.SKIN)
"""The region of each bit of a label."""
_NO_BITS = (False,) * len(_BITS)


class StyleModel:
    """`region-gan` as a `Model`. Brows stay bare."""

    SIGNATURE: ClassVar[Signature] = {
        "style": (("label",), ("style",)),
        "whole": (("image", "style"), ("result",)),
    }
    name = "region-gan"
    kind = Style.kind
    wears = frozenset({kind})
    regions = STYLE_REGIONS

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs
        count = graphs.count("styles", 1)
        names = graphs.constants.get("style_names", [str(i) for i in range(count)])
        if (
            not isinstance(names, list)
            or len(names) != count
            or not all(isinstance(name, str) for name in names)
        ):
            raise BundleError(
                f"{graphs.where}: constant 'style_names' is {str(names)[:200]}, expected {count} "
                "names; export the bundle again"
            )
        self.styles: tuple[str, ...] = tuple(names)
        """Valid names for `Look.from_style`; numbers from 0 if the bundle has no names."""

    def parts(self, face: FaceAnalysis, style: str) -> FloatArray:
        """The network's segmentation of a face, in a style.

        Returns:
            float32 (4, S, S), probabilities on the network's crop: unchanged, eye shadow, base,
            lips.

        Raises:
            InvalidInputError: the bundle has no style of this name.
            NoFaceError: too little of the skin is visible.
        """
        painter = StylePainter(self._graphs, self._number(style), len(self.styles))
        return painter.parts(self._graphs.face(face))

    def encode(self, face: FaceAnalysis) -> Style:
        """Always raises: the model takes no reference.

        Raises:
            InvalidInputError: always.
        """
        raise InvalidInputError(
            "model 'region-gan' takes no reference; give it Look.from_style(name), or --look "
            f"style:NAME, with a name of {', '.join(self.styles)}"
        )

    def painter(self, makeup: Style) -> Painter:
        """Prepare a style for painting.

        Raises:
            InvalidInputError: the bundle has no style of this name.
        """
        painter = StylePainter(self._graphs, self._number(makeup.name), len(self.styles))
        if self._graphs.view is not None:
            return LightPainter(painter, self._graphs.view, self._graphs.size)
        return painter

    def _number(self, style: str) -> int:
        if style not in self.styles:
            raise InvalidInputError(
                f"style: {style!r} is unknown to {self._graphs.where}; expected one of "
                + ", ".join(self.styles)
            )
        return self.styles.index(style)


class StylePainter(Painter):
    """Paints a style; its style graph runs once for each set of regions."""

    def __init__(self, graphs: Graphs, style: int, styles: int) -> None:
        self._graphs = graphs
        self._style, self._styles = style, styles
        self._attributes = graphs.count("attributes", 0)
        self._adds_change = graphs.constants.get("adds_change") is True
        self._planes: dict[tuple[bool, ...], FloatArray] = {}

    def paint(self, face: FaceAnalysis, strength: Strength) -> CropPaint:
        """See `Painter.paint`."""
        result = self._run(self._graphs.face(face), _bits(strength))
        return self._graphs.paint(face, result, strength)

    def both(self, source: NetworkFace, strength: Strength) -> tuple[FloatArray, FloatArray]:
        """See `PassPainter.both`; no look means no region.

        For a network that adds a change to the face, that pass is the face itself and need not run.
        """
        made_up = self._graphs.image(self._run(source, _bits(strength)))
        if self._adds_change:
            return made_up, np.asarray(source.image.transpose(2, 0, 1), np.float32)
        return made_up, self._graphs.image(self._run(source, _NO_BITS))

    def parts(self, source: NetworkFace) -> FloatArray:
        """See `StyleModel.parts`."""
        masks: FloatArray = self._outputs(source, (True,) * len(_BITS))["masks"][0]
        return masks

    def _run(self, source: NetworkFace, bits: tuple[bool, ...]) -> FloatArray:
        result: FloatArray = self._outputs(source, bits)["result"][0]
        return result

    def _outputs(self, source: NetworkFace, bits: tuple[bool, ...]) -> dict[str, FloatArray]:
        if bits not in self._planes:
            inputs = {"label": self._label(bits)}
            self._planes[bits] = self._graphs.run("style", inputs)["style"]
        inputs = {"image": self._graphs.pixels(source.image), "style": self._planes[bits]}
        return self._graphs.run("whole", inputs)

    def _label(self, bits: tuple[bool, ...]) -> FloatArray:
        """float32 (1, L): style | region bits | attributes and data set, if any."""
        style = np.arange(self._styles) == self._style
        tail = [np.zeros(self._attributes), (1, 0)] if self._attributes else []
        return np.concatenate([style, bits, *tail])[None].astype(np.float32)


def _bits(strength: Strength) -> tuple[bool, ...]:
    return tuple(strength.get(region, 0) > 0 for region in _BITS)
