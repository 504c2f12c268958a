"""Compiled CPU kernels; the public functions check arguments and hold the documentation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

compiler: str
openmp: bool

def available_isas() -> list[str]: ...
def default_threads() -> int: ...

class MorphReference:
    def __init__(
        self,
        features: NDArray[np.float32],
        landmarks: NDArray[np.float32],
        regions: NDArray[np.uint8],
        values: NDArray[np.float32],
        visual_weight: float,
        temperature: float,
        pixel_stride: float,
        isa: str,
    ) -> None: ...
    def morph(
        self,
        features: NDArray[np.float32],
        landmarks: NDArray[np.float32],
        regions: NDArray[np.uint8],
        out: NDArray[np.float32],
        threads: int,
    ) -> None: ...

class RegionHistogram:
    def __init__(
        self,
        image: NDArray[np.uint8],
        regions: NDArray[np.uint8],
        ids: Sequence[int],
        threads: int,
    ) -> None: ...
    def match(
        self,
        source: NDArray[np.uint8],
        regions: NDArray[np.uint8],
        out: NDArray[np.uint8],
        threads: int,
    ) -> None: ...

def composite(
    frame: NDArray[np.uint8],
    source_crop: NDArray[np.uint8],
    result_crop: NDArray[np.uint8],
    mask: NDArray[np.float32],
    matrix: Sequence[float],
    threads: int,
    isa: str,
) -> None: ...
def apply_color_map(
    frame: NDArray[np.uint8],
    change: NDArray[np.float32],
    matrix: Sequence[float],
    threads: int,
    isa: str,
) -> None: ...
def paint_layers(
    bare: NDArray[np.float32],
    light: Sequence[float],
    base: float,
    layers: Sequence[
        tuple[int, int, NDArray[np.float32], NDArray[np.float32], float, float, float]
    ],
    change: NDArray[np.float32],
    isa: str,
) -> None: ...
