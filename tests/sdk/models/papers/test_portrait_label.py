"""Labels as pictures, and edits by a redrawn label."""

import cv2
import numpy as np
import pytest

from makeup_kernels import InvalidInputError
from makeup_sdk.models.papers.portrait_label import (
    CLASSES,
    PALETTE,
    draw_label,
    read_label,
    redrawn_places,
)

SIDE = 256
LIPS = (7, 9)


def face_label(lips: tuple[int, int] = (128, 190), axes: tuple[int, int] = (30, 12)) -> np.ndarray:
    """Skin, two brows, and lips of two halves around `lips`, x and y."""
    label = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(label, (128, 140), (80, 100), 0, 0, 360, 1, -1)
    cv2.rectangle(label, (80, 90), (110, 96), 2, -1)
    cv2.rectangle(label, (146, 90), (176, 96), 3, -1)
    cv2.ellipse(label, lips, axes, 0, 180, 360, LIPS[0], -1)
    cv2.ellipse(label, lips, axes, 0, 0, 180, LIPS[1], -1)
    return label


def test_a_label_comes_back_from_its_picture_even_if_a_brush_was_soft() -> None:
    label = np.random.default_rng(0).integers(0, len(CLASSES), (40, 50), dtype=np.uint8)
    picture = draw_label(label)
    assert picture.dtype == np.uint8
    assert picture.shape == (40, 50, 3)
    np.testing.assert_array_equal(read_label(picture, (40, 50)), label)
    shifted = np.clip(picture.astype(int) + 9, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(read_label(shifted, (40, 50)), label)


def test_no_two_classes_look_alike() -> None:
    colors = PALETTE.astype(int)
    away = np.abs(colors[:, None] - colors[None]).sum(2) + 999 * np.eye(len(colors), dtype=int)
    assert away.min() > 60


def test_another_size_and_other_colors_are_refused() -> None:
    picture = draw_label(face_label())
    with pytest.raises(InvalidInputError, match="256×256 pixels, expected 300×200"):
        read_label(picture, (200, 300))
    photo = np.full((20, 20, 3), (255, 0, 255), np.uint8)
    with pytest.raises(InvalidInputError, match="100 % of its pixels have colours that stand for"):
        read_label(photo, (20, 20))


def test_a_label_that_was_not_redrawn_moves_nothing() -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    np.testing.assert_array_equal(
        redrawn_places(face_label(), face_label()), np.stack([x, y], -1).astype(np.float32)
    )


@pytest.mark.parametrize(("shift", "axes"), [((0, -8), (30, 12)), ((0, 0), (36, 18))])
def test_lips_follow_their_outline_and_the_rest_stays(
    shift: tuple[int, int], axes: tuple[int, int]
) -> None:
    lips = (128 + shift[0], 190 + shift[1])
    before, after = face_label(), face_label(lips, axes)
    places = redrawn_places(before, after)
    there = cv2.remap(before, places, None, cv2.INTER_NEAREST)
    now, wanted = np.isin(there, LIPS), np.isin(after, LIPS)
    assert (now & wanted).sum() > 0.9 * (now | wanted).sum()
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    moved = np.hypot(places[..., 0] - x, places[..., 1] - y)
    near = cv2.dilate((np.isin(before, LIPS) | wanted).astype(np.uint8), np.ones((35, 35)))
    assert moved[near == 0].max() == 0
    assert moved[wanted].max() > 4
