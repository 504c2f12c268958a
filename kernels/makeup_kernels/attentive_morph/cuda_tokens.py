"""Source or reference of the attentive morph on the GPU: arrays, and cells packed as tokens."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from makeup_kernels.attentive_morph.cuda_arguments import (
    IndexArguments,
    PackArguments,
    RegionIndex,
)
from makeup_kernels.cuda.arrays import DeviceArray, on_device
from makeup_kernels.cuda.driver import Gpu
from makeup_kernels.errors import InvalidInputError

OPERATION = "attentive_morph"

WIDTHS = (2, 4, 8)
"""Numbers of planes that the kernels can mix at once."""

Place = Callable[[str, int], int]
"""Allocator: takes a name and a number of bytes, returns an address."""

_PADDING = 32


@dataclass(frozen=True)
class MorphOptions:
    """The options of `attentive_morph`.

    Attributes:
        visual_weight: weight of the features against the positions.
        temperature: factor of the logits.
        pixel_stride: crop pixels per cell.
        half: whether the visual product runs in fp16 on the tensor cores.
    """

    visual_weight: float
    temperature: float
    pixel_stride: float
    half: bool

    @property
    def visual_scale(self) -> float:
        """Factor of the visual product."""
        return self.temperature * self.visual_weight**2

    def depth(self, channels: int) -> int:
        """Length of a token."""
        step = 32 if self.half else 4
        return -(-channels // step) * step

    @property
    def token_bytes(self) -> int:
        """Bytes of one channel of a token."""
        return 2 if self.half else 4


@dataclass(frozen=True)
class Side:
    """The caller's arrays of source or reference, checked.

    Attributes:
        features: float32 or float16 (N, C, H, W).
        landmarks: float32 (N, K, 2).
        regions: uint8 (N, H, W).
    """

    features: DeviceArray
    landmarks: DeviceArray
    regions: DeviceArray

    @property
    def faces(self) -> int:
        return self.regions.shape[0]

    @property
    def cells(self) -> int:
        return self.regions.shape[1] * self.regions.shape[2]

    @property
    def channels(self) -> int:
        return self.features.shape[1]

    @property
    def points(self) -> int:
        return self.landmarks.shape[1]

    def kept(self, landmarks: int) -> "Side":
        """A copy that keeps the shapes and the landmarks, not the caller's other arrays."""
        none = replace(self.features, pointer=0, owner=None)
        marks = replace(self.landmarks, pointer=landmarks, owner=None)
        return Side(none, marks, replace(self.regions, pointer=0, owner=None))

    @property
    def rows(self) -> int:
        """Maximum number of token rows: each region is padded to a multiple of 32."""
        rows = self.cells + min(self.cells, 255) * (_PADDING - 1)
        return -(-rows // _PADDING) * _PADDING


@dataclass(frozen=True)
class Tokens:
    """Addresses of one side's tokens, region by region; see `cuda_tokens.cuh`."""

    index: int
    cells_of_rows: int
    tokens: int
    positions: int
    planes: int
    plane_stride: int


def check_side(gpu: Gpu, name: str, features: Any, landmarks: Any, regions: Any) -> Side:
    """Check the arrays of source or reference; `name` is "source" or "reference"."""
    region_map = on_device(gpu, f"{name}_regions", regions, "uint8", ("N", "H", "W"))
    height, width = region_map.shape[1:]
    shape = (region_map.shape[0], "C", height, width)
    dtypes = ("float32", "float16")
    marks = on_device(gpu, f"{name}_landmarks", landmarks, "float32", (region_map.shape[0], "K", 2))
    if marks.shape[1] == 0:
        raise InvalidInputError(f"{name}_landmarks: got no points, expected at least one")
    return Side(on_device(gpu, f"{name}_features", features, dtypes, shape), marks, region_map)


def gather(
    gpu: Gpu,
    side: Side,
    options: MorphOptions,
    place: Place,
    *,
    planes: DeviceArray | None = None,
    other: tuple[Side, Tokens] | None = None,
) -> Tokens:
    """Sort a side's cells by region and gather their tokens.

    Args:
        gpu: the GPU.
        side: source or reference.
        options: options of the call.
        place: allocates memory.
        planes: float32 (N, V, H, W) to gather beside the features.
        other: the reference, if `side` is the source.
    """
    plane_count = planes.shape[1] if planes else 0
    stride = padded_planes(plane_count)
    rows, faces, depth = side.rows, side.faces, options.depth(side.channels)
    count = faces * rows
    tokens = Tokens(
        place("index", faces * ctypes.sizeof(RegionIndex)),
        place("cells", 4 * count),
        place("tokens", options.token_bytes * depth * count),
        place("positions", 16 * count),
        place("planes", 4 * stride * count),
        stride,
    )
    index = IndexArguments(
        side.regions.pointer,
        side.landmarks.pointer,
        other[0].landmarks.pointer if other else None,
        other[1].index if other else None,
        tokens.index,
        tokens.cells_of_rows,
        side.cells,
        side.points,
        rows,
        other[0].faces if other else 1,
    )
    gpu.launch(OPERATION, "morph_index", (faces, 1, 1), 1024, index)
    pack_tokens(gpu, side, options, tokens, planes, is_query=other is not None)
    return tokens


def pack_tokens(
    gpu: Gpu,
    side: Side,
    options: MorphOptions,
    tokens: Tokens,
    planes: DeviceArray | None,
    *,
    is_query: bool,
    features: bool = True,
) -> None:
    """Gather tokens, positions and planes; without `features`, only positions and planes."""
    depth = options.depth(side.channels) if features else 0
    pack = PackArguments(
        side.features.pointer,
        planes.pointer if planes else None,
        tokens.index,
        tokens.cells_of_rows,
        tokens.tokens,
        tokens.planes,
        tokens.positions,
        options.temperature if is_query else 1.0,
        options.pixel_stride,
        side.cells,
        side.regions.shape[2],
        side.rows,
        side.points,
        side.channels,
        depth,
        planes.shape[1] if planes else 0,
        tokens.plane_stride,
        is_query,
    )
    source = "half" if side.features.dtype == np.float16 else "float"
    kernel = f"morph_pack_{source}_{'half' if options.half else 'float'}"
    grid = (side.rows // _PADDING, max(1, -(-depth // 64)), side.faces)
    gpu.launch(OPERATION, kernel, grid, 256, pack)


def padded_planes(count: int) -> int:
    """Planes of a packed row: the smallest width that fits, else a multiple of the widest."""
    for width in WIDTHS:
        if count <= width:
            return width if count else 0
    return -(-count // WIDTHS[-1]) * WIDTHS[-1]
