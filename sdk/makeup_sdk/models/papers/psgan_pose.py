"""PSGAN with pose correction: the reference is warped onto each face.

The warp is a smoothing thin-plate spline through the landmarks (Bookstein, "Principal warps",
1989). Makeup is applied where the face and the warped reference show the same region.
"""

from functools import cache
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.references import References
from makeup_sdk.models.base import CropPaint, Painter, Strength
from makeup_sdk.models.papers.faces import NetworkFace
from makeup_sdk.models.papers.graphs import Graphs, Signature
from makeup_sdk.models.papers.psgan import PSGANPainter, decoder_inputs

_SMOOTHING = 1e-3
"""Weight of the bending energy in units of the crop, as in training."""
_SMALLEST_AREA = 0.15
"""Minimum reference pixels per pixel of the face; below, the warp is stretched too far."""
_NODES = 48
"""About as many evaluations of the spline along a side of large crops; cubic interpolation between
them."""
_CATMULL_ROM = np.array(
    [(0, 1, 0, 0), (-0.5, 0, 0.5, 0), (1, -2.5, 2, -0.5), (-0.5, 1.5, -1.5, 0.5)]
)
"""Shares of four nodes as polynomials of the place between the middle two, lowest power first."""
_BORDER = np.array(
    [(0, 0), (0.5, 0), (1, 0), (0, 0.5), (1, 0.5), (0, 1), (0.5, 1), (1, 1)], np.float32
)
"""Fixed points of the warp, in units of the crop."""


class PosePainter(Painter):
    """Runs the whole network per reference and frame; mixes the images of several references."""

    SIGNATURE: ClassVar[Signature] = {
        "whole": (("image", "reference", "grid", "mask"), ("result",)),
    }

    def __init__(self, graphs: Graphs, references: References) -> None:
        self._graphs = graphs
        self._weights = references.weights()
        faces = [graphs.face(face) for face in references.faces]
        self._references = [(face, graphs.pixels(face.image)) for face in faces]

    def paint(self, face: FaceAnalysis, strength: Strength) -> CropPaint:
        """See `Painter.paint`."""
        source = self._graphs.face(face)
        return self._graphs.paint(face, self._made_up(source, self._inputs(source)), strength)

    def both(self, source: NetworkFace, strength: Strength) -> tuple[FloatArray, FloatArray]:
        """See `PassPainter.both`; no look means an empty mask."""
        inputs = self._inputs(source)
        nowhere = {**inputs[0], "mask": np.zeros_like(inputs[0]["mask"])}
        bare = self._graphs.run("whole", nowhere)["result"][0]
        return self._graphs.image(self._made_up(source, inputs)), self._graphs.image(bare)

    def _made_up(self, source: NetworkFace, inputs: list[dict[str, FloatArray]]) -> FloatArray:
        result = np.zeros((3, *source.regions.shape), np.float32)
        for one, weights in zip(inputs, self._weights, strict=True):
            result += self._graphs.run("whole", one)["result"][0] * weights[source.regions]
        return result

    def _inputs(self, source: NetworkFace) -> list[dict[str, FloatArray]]:
        """The network's inputs for each reference."""
        image = self._graphs.pixels(source.image)
        inputs = []
        for reference, pixels in self._references:
            grid, mask = pose_correction(source, reference)
            inputs.append({"image": image, "reference": pixels, "grid": grid, "mask": mask})
        return inputs


class WarpedMapsPainter(Painter):
    """Reads each reference's maps once, warps them onto each face, and mixes several."""

    SIGNATURE: ClassVar[Signature] = PSGANPainter.SIGNATURE

    def __init__(self, graphs: Graphs, references: References) -> None:
        self._graphs = graphs
        self._stride = graphs.count("pixel_stride", 1)
        self._weights = references.weights()
        faces = [graphs.face(face) for face in references.faces]
        self._references = [(face, self._maps(face)) for face in faces]

    def paint(self, face: FaceAnalysis, strength: Strength) -> CropPaint:
        """See `Painter.paint`."""
        source = self._graphs.face(face)
        result = self._decode(self._features(source), self._laid(source))
        return self._graphs.paint(face, result, strength)

    def both(self, source: NetworkFace, strength: Strength) -> tuple[FloatArray, FloatArray]:
        """See `PassPainter.both`; no look means maps of zeros."""
        features, maps = self._features(source), self._laid(source)
        made_up, bare = (self._decode(features, m) for m in (maps, np.zeros_like(maps)))
        return self._graphs.image(made_up), self._graphs.image(bare)

    def _features(self, source: NetworkFace) -> FloatArray:
        inputs = {"image": self._graphs.pixels(source.image)}
        features: FloatArray = self._graphs.run("source", inputs)["features"]
        return features

    def _maps(self, face: NetworkFace) -> FloatArray:
        """float32 (h, w, 2·K): gamma and beta of a reference."""
        found = self._graphs.run("reference", {"image": self._graphs.pixels(face.image)})
        maps = np.concatenate([found["gamma"][0], found["beta"][0]])
        return np.ascontiguousarray(maps.transpose(1, 2, 0))

    def _laid(self, source: NetworkFace) -> FloatArray:
        """float32 (2·K, h, w): gamma and beta of the references, warped onto a face."""
        laid = (
            self._warped(source, reference, maps, weights)
            for (reference, maps), weights in zip(self._references, self._weights, strict=True)
        )
        return np.asarray(sum(laid), np.float32)

    def _warped(
        self, source: NetworkFace, reference: NetworkFace, maps: FloatArray, weights: FloatArray
    ) -> FloatArray:
        stride, side = self._stride, maps.shape[0]
        grid, mask = pose_correction(source, reference)
        cells = (_block_means(grid[0], stride) + 1) * np.float32(side / 2) - np.float32(0.5)
        planes = [
            cv2.remap(plane, cells, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for plane in cv2.split(maps)
        ]
        share = _block_means((mask[0, 0] * weights[source.regions])[..., None], stride)
        return np.stack(planes) * share[..., 0]

    def _decode(self, features: FloatArray, maps: FloatArray) -> FloatArray:
        result: FloatArray = self._graphs.run("decoder", decoder_inputs(features, maps))["result"]
        return np.asarray(result[0], np.float32)


def _block_means(values: FloatArray, stride: int) -> FloatArray:
    """(H, W, C) to (H/stride, W/stride, C)."""
    height, width, channels = values.shape
    blocks = values.reshape(height // stride, stride, width // stride, stride, channels)
    return np.ascontiguousarray(blocks.mean(axis=(1, 3)), np.float32)


def pose_correction(source: NetworkFace, reference: NetworkFace) -> tuple[FloatArray, FloatArray]:
    """The warp from reference to source, and where its makeup applies.

    Returns:
        float32 (1, S, S, 2), x then y of the position in the reference, from -1 to 1 over the crop
        (pixel i at (2i + 1)/S - 1); and float32 (1, 1, S, S), 1 where both show the same region
        and the warp is neither folded nor stretched too far, else 0.
    """
    size = source.regions.shape[0]
    places = thin_plate_places(source.landmarks, reference.landmarks, size)
    grid = (2 * places + 1) / np.float32(size) - 1
    x, y = np.rint(np.clip(((grid + 1) * np.float32(size) - 1) / 2, 0, size - 1)).astype(int).T
    warped = reference.regions[y, x].T
    by_row = np.asarray(np.gradient(places, axis=0))
    by_column = np.asarray(np.gradient(places, axis=1))
    area = by_column[..., 0] * by_row[..., 1] - by_column[..., 1] * by_row[..., 0]
    inside = ((places >= 0) & (places <= size - 1)).all(axis=2)
    same = (warped == source.regions) & (source.regions != Region.NONE)
    mask = same & inside & (area > _SMALLEST_AREA)
    return grid[None], mask[None, None].astype(np.float32)


def thin_plate_places(source: FloatArray, reference: FloatArray, size: int) -> FloatArray:
    """For each pixel of the source, the corresponding position in the reference.

    In crops of at least 96 pixels the spline is evaluated at every second pixel or more rarely;
    between them the error is less than a tenth of a pixel.

    Args:
        source: float32 (K, 2), landmarks x then y, crop pixels.
        reference: float32 (K, 2), the reference's landmarks.
        size: side S of both crops.

    Returns:
        float32 (S, S, 2), x then y, reference pixels; may lie outside the crop.
    """
    scale = np.float32(size - 1)
    points = np.concatenate([source / scale, _BORDER]).astype(np.float64)
    targets = np.concatenate([reference / scale, _BORDER]).astype(np.float64)
    count = len(points)
    affine = np.concatenate([np.ones((count, 1)), points], axis=1)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _bending(points, points) + _SMOOTHING * np.eye(count)
    system[:count, count:], system[count:, :count] = affine, affine.T
    right = np.concatenate([targets, np.zeros((3, 2))])
    coefficients = np.linalg.solve(system, right).astype(np.float32)
    step = max(size // _NODES, 1)
    shares = _node_shares(size, step)
    steps = (np.arange(shares.shape[1], dtype=np.float32) - 1) * (step / scale)
    nodes = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    bent = _bending(nodes, points.astype(np.float32)) @ coefficients[:count]
    bent += coefficients[count] + nodes @ coefficients[count + 1 :]
    across, down = (bent * scale).T.reshape(2, len(steps), len(steps))
    return np.dstack([shares @ across @ shares.T, shares @ down @ shares.T])


@cache
def _node_shares(size: int, step: int) -> FloatArray:
    """float32 (size, nodes): share of each node in each pixel of a line, by Catmull and Rom."""
    at = np.arange(size) / step + 1
    first = at.astype(int)
    t = (at - first)[:, None]
    shares = np.zeros((size, first[-1] + 3))
    curve = np.concatenate([t**0, t, t**2, t**3], axis=1) @ _CATMULL_ROM
    for offset in range(4):
        shares[np.arange(size), first - 1 + offset] = curve[:, offset]
    return shares.astype(np.float32)


def _bending(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """U(r) = r² ln r² / 2 of all pairs, (N, 2), (M, 2) to (N, M); U(0) = 0."""
    squared = np.square(a[:, :1] - b[:, 0]) + np.square(a[:, 1:] - b[:, 1])
    squared = np.maximum(squared, np.finfo(squared.dtype).tiny)
    return np.asarray(squared * np.log(squared) / 2)
