"""Videos with more than 8 bits, including HDR: 8-bit views, and transfer of the makeup back.

The engine works on 8-bit SDR frames. Its change is transferred to the file's own samples, so that
everything else keeps its bit depth and highlights. HDR's diffuse white at 203 cd/m² (ITU-R BT.2408)
maps to SDR white; curves follow ITU-R BT.2100, primaries BT.2020.
"""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels.types import Image
from makeup_sdk.stream.video_format import DeepImage

FloatArray = NDArray[np.float32]

PQ, HLG = 16, 18
"""Transfer characteristics, as H.273 numbers them."""
BT2020 = 9
"""Primaries, as H.273 numbers them."""

_WHITE = 203.0
"""Luminance of diffuse white, cd/m²."""
_HLG_WHITE = 0.75
"""HLG signal of diffuse white."""
_TOP = 65535
_SLACK = 1e-3
"""Light, as a fraction of white, below which a change is added instead of multiplied."""
_TO_BT709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349],
     [-0.018151, -0.100579, 1.118730]], np.float64,
)  # fmt: skip
"""Linear R, G, B of BT.2020 to those of BT.709 (ITU-R BT.2087)."""


class Tone:
    """Conversion between one kind of deep samples and 8-bit frames.

    Args:
        transfer: `PQ`, `HLG`, or another one, treated as SDR.
        primaries: `BT2020`, or another one, treated as BT.709.
    """

    def __init__(self, transfer: int, primaries: int) -> None:
        self._transfer = transfer if transfer in (PQ, HLG) else None
        turn = _TO_BT709 if primaries == BT2020 else np.eye(3)
        self._to_sdr = turn[::-1, ::-1].copy()  # of B, G, R
        self._from_sdr = np.linalg.inv(self._to_sdr)

    def view(self, samples: DeepImage) -> Image:
        """Convert samples uint16 (H, W, 3) to a frame for the engine, uint8 (H, W, 3), BGR."""
        if self._transfer is None:
            return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
        light = cv2.transform(_light_of(self._transfer)[samples], self._to_sdr)
        seen = np.rint(np.clip(light, 0, 1) * _TOP).astype(np.uint16)
        frame: Image = _sdr_signal()[seen]
        return frame

    def wearing(self, samples: DeepImage, view: Image, result: Image) -> DeepImage:
        """Samples with the change from their view to a result.

        Args:
            samples: uint16 (H, W, 3).
            view: the result of `view` for them, uint8 (H, W, 3).
            result: the view with makeup, uint8 (H, W, 3).
        """
        changed = (result != view).any(axis=2)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        if not rows.size:
            return samples
        box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        made: DeepImage = samples.copy()
        painted = changed[box][..., None]
        if self._transfer is None:
            change = (result[box].astype(np.int32) - view[box]) * 257 * painted
            made[box] = np.clip(samples[box] + change, 0, _TOP)
            return made
        light = cv2.transform(_light_of(self._transfer)[samples[box]], self._to_sdr)
        before, after = (_sdr_light()[frame[box]] for frame in (view, result))
        light = (light + _SLACK) * (after + _SLACK) / (before + _SLACK) - _SLACK
        signal = _signal_of(self._transfer, cv2.transform(light, self._from_sdr))
        made[box] = np.where(painted, signal, samples[box])
        return made


class DeepFrames:
    """A file's original frames, passed from its source to a sink.

    Frames are stored only if a sink requests them; taking a frame drops all earlier ones.

    Args:
        tone: conversion of the file's samples.
    """

    def __init__(self, tone: Tone) -> None:
        self.tone = tone
        self._wanted = False
        self._kept: dict[int, tuple[DeepImage, Image]] = {}

    def want(self) -> None:
        """Store frames from now on; the sink takes the frame of each result."""
        self._wanted = True

    def put(self, index: int, samples: DeepImage, view: Image) -> None:
        """Store a frame by its number, if a sink requests frames."""
        if self._wanted:
            self._kept[index] = (samples, view)

    def take(self, index: int) -> tuple[DeepImage, Image]:
        """Samples and view of a frame by its number; drops earlier frames."""
        for old in [number for number in tuple(self._kept) if number < index]:
            del self._kept[old]
        return self._kept.pop(index)


def pq_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """PQ signal in 0..1 to light as a fraction of diffuse white."""
    power = np.power(signal, 1 / 78.84375)
    base = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
    return np.asarray(10_000 / _WHITE * np.power(base, 1 / 0.1593017578125), np.float64)


def pq_signal(light: NDArray[np.floating]) -> NDArray[np.floating]:
    """The inverse of `pq_light`."""
    power = np.power(np.clip(light * (_WHITE / 10_000), 0, 1), 0.1593017578125)
    return np.asarray(np.power((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power), 78.84375))


def hlg_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """HLG signal in 0..1 to light as a fraction of diffuse white."""
    return np.asarray(_hlg_scene(signal) / _hlg_scene(np.array(_HLG_WHITE)), np.float64)


def hlg_signal(light: NDArray[np.floating]) -> NDArray[np.floating]:
    """The inverse of `hlg_light`."""
    scene = np.clip(light * float(_hlg_scene(np.array(_HLG_WHITE))), 0, 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.asarray(np.where(scene <= 1 / 12, np.sqrt(3 * scene), high))


def _hlg_scene(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    high = (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return np.where(signal <= 0.5, signal**2 / 3, high)


@cache
def _light_of(transfer: int) -> FloatArray:
    """Light of each 16-bit signal, float32 (65536,)."""
    signal = np.arange(_TOP + 1) / _TOP
    return np.asarray((pq_light if transfer == PQ else hlg_light)(signal), np.float32)


def _signal_of(transfer: int, light: FloatArray) -> DeepImage:
    signal = (pq_signal if transfer == PQ else hlg_signal)(light)
    return np.asarray(np.rint(np.clip(signal, 0, 1) * _TOP), np.uint16)


@cache
def _sdr_light() -> FloatArray:
    """Light of each 8-bit sRGB value, float32 (256,)."""
    value = np.arange(256) / 255
    high = ((value + 0.055) / 1.055) ** 2.4
    return np.asarray(np.where(value <= 0.04045, value / 12.92, high), np.float32)


@cache
def _sdr_signal() -> Image:
    """8-bit sRGB value of each 16-bit light, uint8 (65536,)."""
    light = np.arange(_TOP + 1) / _TOP
    high = 1.055 * light ** (1 / 2.4) - 0.055
    return np.asarray(np.rint(255 * np.where(light <= 0.0031308, 12.92 * light, high)), np.uint8)
