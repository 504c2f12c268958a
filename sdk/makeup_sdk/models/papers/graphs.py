"""The opened graphs of a bundle, and the conversions between pixels and tensors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import cv2
import numpy as np

from makeup_engines import Bundle, Session, SessionOptions
from makeup_kernels import CROP_SIZE, BundleError, Region
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.planes import normalized_planes
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.models.base import FACES_AT_ONCE, CropPaint, ModelOptions, Strength
from makeup_sdk.models.papers.faces import NetworkFace, beyond, makeup_mask
from makeup_sdk.models.papers.views import LabView, LightView, View

Signature = Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
"""Names of the inputs and outputs of each graph that a model needs."""

_SIZES = range(32, 1025, 4)


@dataclass(frozen=True)
class Graphs:
    """Shared by all published models: sessions, and conversion of pixels to tensors and back.

    Attributes:
        where: names the bundle in messages.
        size: side S of the network's crop in pixels.
        sessions: sessions by graph.
        constants: constants of the manifest.
        threads: CPU threads; None: one per core.
        color: channel order of the network's images, "bgr" or "rgb".
        mean, scale: network input = (pixel - mean) * scale, per channel.
        output: scale and offset from the network's image to pixel values.
        view: input view of networks that read relative colours; None for those that read pictures.
        gains: of the same, by "transfer" and "removal": see `light_paint.LightPainter`.
    """

    where: str
    size: int
    sessions: Mapping[str, Session]
    constants: Mapping[str, Any]
    threads: int | None
    color: str
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    output: tuple[float, float]
    view: View | None = None
    gains: Mapping[str, Mapping[Region, float]] = field(default_factory=dict)

    @classmethod
    def open(cls, bundle: Bundle, signature: Signature, options: ModelOptions) -> "Graphs":
        """Open the graphs of a bundle that a model needs.

        Raises:
            BundleError: a graph, one of its inputs or outputs, or a constant is missing, or has an
                unsupported value.
            BackendUnavailableError: the backend cannot run here.
        """
        manifest, where = bundle.manifest, str(bundle.path)
        for name, (inputs, outputs) in signature.items():
            spec = manifest.graphs.get(name)
            if spec is None:
                raise _unfit(where, "the list of graphs", f"one named {name!r}", [*manifest.graphs])
            found = [tensor.name for tensor in spec.inputs]
            if set(found) != set(inputs):
                raise _unfit(where, f"the list of inputs of graph {name!r}", inputs, found)
            found = [tensor.name for tensor in spec.outputs]
            if not set(found) >= set(outputs):
                raise _unfit(where, f"the list of outputs of graph {name!r}", outputs, found)
        size, output = manifest.constants.get("size"), manifest.constants.get("output")
        if type(size) is not int or size not in _SIZES:
            raise _unfit(where, "constant 'size'", "a multiple of 4, 32 to 1024", size)
        if not isinstance(output, Mapping):
            raise _unfit(where, "constant 'output'", "scale and offset", output)
        on_gpu = options.device == "cuda"
        backend = "torch" if on_gpu and options.backend == "auto" else options.backend
        settings = SessionOptions(
            threads=options.threads, cuda_graph=on_gpu, batch=FACES_AT_ONCE if on_gpu else 1
        )
        sessions = {
            name: bundle.session(name, backend=backend, options=settings) for name in signature
        }
        return cls(
            where,
            size,
            sessions,
            manifest.constants,
            options.threads,
            manifest.color,
            manifest.normalization.mean,
            manifest.normalization.scale,
            (
                _number(where, "'output.scale'", output.get("scale")),
                _number(where, "'output.offset'", output.get("offset")),
            ),
            _view(where, manifest.constants.get("view")),
            _gains(where, manifest.constants.get("gains")),
        )

    def number(self, name: str) -> float:
        """A constant that must be a finite number.

        Raises:
            BundleError: missing, or not a finite number.
        """
        return _number(self.where, repr(name), self.constants.get(name))

    def count(self, name: str, least: int) -> int:
        """A constant that must be a whole number.

        Raises:
            BundleError: missing, not a whole number, or below `least`.
        """
        value = self.constants.get(name)
        if type(value) is not int or value < least:
            raise _unfit(self.where, f"constant {name!r}", f"a whole number from {least}", value)
        return value

    def run(self, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run a graph."""
        return self.sessions[name].run(inputs)

    def face(self, face: FaceAnalysis) -> NetworkFace:
        """A face on the network's crop.

        Raises:
            NoFaceError: the network works in log light, and too little skin is visible.
        """
        if self.view is not None:
            return self.view.reference(face, self.size)
        return NetworkFace.of(face, self.size)

    def image(self, result: FloatArray) -> FloatArray:
        """A network's image, float32 (3, S, S), as pixel values in BGR."""
        scale, offset = self.output
        planes = result if self.color == "bgr" else result[::-1]
        return np.asarray(planes * np.float32(scale) + np.float32(offset), np.float32)

    def pixels(self, image: Image | FloatArray) -> FloatArray:
        """Input of the graphs: BGR pixels (s, s, 3) to float32 (1, 3, s, s), normalised."""
        return normalized_planes(image, color=self.color, mean=self.mean, scale=self.scale)

    def paint(self, face: FaceAnalysis, result: FloatArray, strength: Strength) -> CropPaint:
        """A network's image, float32 (3, S, S), as paint for a face.

        If the network's crop is smaller than the face's, only the change is enlarged, which keeps
        the face's detail.
        """
        pixels = self.image(result).transpose(1, 2, 0)
        if self.size != CROP_SIZE:
            change = pixels - self.face(face).image
            side = (CROP_SIZE, CROP_SIZE)
            pixels = face.crop + cv2.resize(change, side, interpolation=cv2.INTER_LINEAR)
        times = beyond(face.regions, strength)
        if times is not None:
            pixels = face.crop + times[..., None] * (pixels - face.crop)
        crop = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        return CropPaint(np.ascontiguousarray(crop), makeup_mask(face.regions, strength))


def _view(where: str, value: object) -> View | None:
    """Parse a window of the crop and the scale of its colours from a manifest."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _unfit(where, "constant 'view'", "a window and a scale", value)
    kind = LabView if "lab" in value else LightView
    names = [part.name for part in fields(kind)]
    if set(value) != set(names):
        raise _unfit(where, "constant 'view'", ", ".join(names), value)
    scales = [_number(where, f"'view.{name}'", value[name]) for name in names[:-3]]
    left, top, side = (value[name] for name in names[-3:])
    whole = all(type(number) is int and number >= 0 for number in (left, top, side))
    if not whole or side < 32 or max(left, top) + side > CROP_SIZE or not scales[-1] > 0:
        raise _unfit(where, "constant 'view'", f"a window inside {CROP_SIZE} pixels", value)
    if len(scales) == 1:
        return LabView(scales[0], left, top, side)
    return LightView(scales[0], scales[1], left, top, side)


def _gains(where: str, value: object) -> dict[str, dict[Region, float]]:
    """Gains by direction and name of the region, as exports of ours write them."""
    regions = {region.name.lower(): region for region in MAKEUP_REGIONS}
    found: dict[str, dict[Region, float]] = {}
    if value is None:
        return found
    if not isinstance(value, Mapping):
        raise _unfit(where, "constant 'gains'", "gains by direction and region", value)
    for direction, gains in value.items():
        if not isinstance(gains, Mapping) or not set(gains) <= set(regions):
            raise _unfit(where, f"constant 'gains.{direction}'", ", ".join(regions), gains)
        found[direction] = {
            regions[name]: _number(where, f"'gains.{direction}.{name}'", gain)
            for name, gain in gains.items()
        }
    return found


def _number(where: str, name: str, value: object) -> float:
    if isinstance(value, (int, float)) and type(value) is not bool and math.isfinite(value):
        return float(value)
    raise _unfit(where, f"constant {name}", "a finite number", value)


def _unfit(where: str, what: str, expected: object, found: object) -> BundleError:
    return BundleError(
        f"{where}: {what} is {str(found)[:200]}, expected {expected}; export the bundle again with "
        "`makeup export`"
    )
