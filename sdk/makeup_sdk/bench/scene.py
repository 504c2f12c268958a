"""Frames for measurements: the shipped demo faces, moving slightly from frame to frame."""

from importlib import resources

import cv2
import numpy as np

from makeup_kernels import InvalidInputError
from makeup_kernels.types import Image
from makeup_sdk.bench.options import Scenario
from makeup_sdk.images import decode_image

REFERENCE = "red-classic.jpg"
_FACES = ("light.jpg", "medium.jpg", "dark.jpg")
_BACKGROUND = 118
_SHARE = 0.8
"""Maximum height of a demo picture, as a fraction of the frame; the face fills half of it."""
_MOTION = ((0.0, 0.0), (0.7, 0.4), (1.0, 1.0), (0.3, 0.6))
"""Offsets of the faces in a cycle of frames, in 1/500 of the picture's side."""
_SMALLEST_PICTURE = 96


def demo_picture(file: str) -> Image:
    """A shipped demo picture, uint8 (512, 512, 3), BGR."""
    data = (resources.files("makeup_sdk") / "assets" / "demo" / file).read_bytes()
    return decode_image(np.frombuffer(data, np.uint8), file)


def scene(scenario: Scenario) -> list[Image]:
    """A cycle of 4 frames, uint8 (height, width, 3), BGR: faces in rows on a plain background.

    Raises:
        InvalidInputError: the faces would be too small to be detected.
    """
    width, height, count = scenario.width, scenario.height, scenario.faces
    columns, rows = min(
        ((c, -(-count // c)) for c in range(1, count + 1)),
        key=lambda grid: (-min(width // grid[0], int(height * _SHARE) // grid[1]), grid),
    )
    side = min(width // columns, int(height * _SHARE) // rows)
    if side < _SMALLEST_PICTURE:
        raise InvalidInputError(
            f"{scenario.label}: the faces would be too small to be found; take a larger size "
            "or fewer faces"
        )
    pictures = [
        cv2.resize(demo_picture(f), (side, side), interpolation=cv2.INTER_AREA) for f in _FACES
    ]
    frames = []
    for dx, dy in _MOTION:
        frame = np.full((height, width, 3), _BACKGROUND, np.uint8)
        for number in range(count):
            row, column = divmod(number, columns)
            left = column * (width // columns) + (width // columns - side) // 2
            top = row * side + (height - rows * side) // 2
            shift = np.array([[1, 0, dx * side / 500], [0, 1, dy * side / 500]])
            picture = pictures[number % len(pictures)]
            frame[top : top + side, left : left + side] = cv2.warpAffine(
                picture, shift, (side, side), borderMode=cv2.BORDER_REPLICATE
            )
        frames.append(frame)
    return frames
