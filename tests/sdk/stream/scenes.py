"""Videos made from the shipped portraits by smooth motion."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_sdk import read_image

Image = NDArray[np.uint8]
Path = Callable[[float], tuple[float, float]]

HEIGHT, WIDTH = 360, 640
FPS = 30.0
_DEMO = resources.files("makeup_sdk") / "assets" / "demo"
_MIDDLE = (256, 282)
"""Middle of the face in every demo picture, pixels."""


@dataclass(frozen=True)
class Actor:
    """A portrait's head, moving.

    Attributes:
        portrait: file name of a demo picture.
        path: seconds to the middle of the face, pixels of the video; None while it is away.
        scale: video pixels per pixel of the portrait.
    """

    portrait: str
    path: Callable[[float], tuple[float, float] | None]
    scale: float = 0.5


def still(x: float = WIDTH / 2, y: float = HEIGHT / 2) -> Path:
    return lambda t: (x, y)


@cache
def background() -> Image:
    """Soft blotches of grey, always the same."""
    blotches = np.random.default_rng(7).uniform(60, 160, (9, 16)).astype(np.float32)
    grey = cv2.resize(blotches, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def film(actors: list[Actor], frames: int, *, noise: float = 0.0, seed: int = 0) -> Iterator[Image]:
    """Frames uint8 (360, 640, 3) at 30 per second; later actors stand before earlier ones.

    Args:
        noise: standard deviation of the sensor's noise, grey steps.
    """
    random = np.random.default_rng(seed)
    size = HEIGHT * WIDTH * 3
    grain = random.normal(0, 1, 4 * size).astype(np.float32)  # a frame's noise is a piece of it
    heads = [(_head(actor.portrait), actor) for actor in actors]
    for number in range(frames):
        picture = background().astype(np.float32)
        for (portrait, alpha), actor in heads:
            place = actor.path(number / FPS)
            if place is not None:
                _draw(picture, portrait, alpha, place, actor.scale)
        if noise:
            start = random.integers(len(grain) - size)
            picture += noise * grain[start : start + size].reshape(picture.shape)
        yield np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _draw(
    picture: NDArray[np.float32],
    portrait: Image,
    alpha: NDArray[np.float32],
    place: tuple[float, float],
    scale: float,
) -> None:
    reach = 300 * scale
    left, top = (int(max(at - reach, 0)) for at in place)
    right = int(min(place[0] + reach, WIDTH))
    bottom = int(min(place[1] + reach, HEIGHT))
    if right <= left or bottom <= top:
        return
    x, y = place[0] - left, place[1] - top
    matrix = np.array([[scale, 0, x - scale * _MIDDLE[0]], [0, scale, y - scale * _MIDDLE[1]]])
    size = (right - left, bottom - top)
    color = cv2.warpAffine(portrait, matrix, size).astype(np.float32)
    share = cv2.warpAffine(alpha, matrix, size)[..., None]
    window = picture[top:bottom, left:right]
    window += share * (color - window)


@cache
def _head(file: str) -> tuple[Image, NDArray[np.float32]]:
    portrait = read_image(str(_DEMO / file))
    alpha = np.zeros(portrait.shape[:2], np.float32)
    cv2.ellipse(alpha, (_MIDDLE[0], _MIDDLE[1] - 25), (165, 225), 0, 0, 360, 1.0, -1)
    return cv2.GaussianBlur(portrait, (0, 0), 1.0), cv2.GaussianBlur(alpha, (0, 0), 4)
