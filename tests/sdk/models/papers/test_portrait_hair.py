"""Parts of a hair swap: the fill of the background, the matte, and which hair is refused."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError
from makeup_sdk.editor import PortraitEditor
from makeup_sdk.models.papers.portrait_collage import Portrait
from makeup_sdk.models.papers.portrait_fill import filled
from makeup_sdk.models.papers.portrait_hair import HairSwap
from makeup_sdk.models.papers.portrait_head import (
    BACKGROUND,
    FACE,
    FRAME,
    HAIR,
    REST,
    SHIFT,
    Head,
    diffused,
)

Image = NDArray[np.uint8]
Demo = Callable[[str], Image]


class Drawn:
    """In place of the network: a drawn label (512, 512)."""

    def __init__(self, label: Image) -> None:
        self.label = label

    def pixels(self, image: Image) -> Image:
        return image

    def run(self, name: str, inputs: object) -> dict[str, NDArray[np.float32]]:
        planes = [(self.label == k).astype(np.float32) for k in range(4)]
        small = [cv2.resize(p, (128, 128), interpolation=cv2.INTER_AREA) for p in planes]
        return {"classes": np.stack(small)[None]}


def drawn_head(portrait: Portrait, label: Image) -> Head:
    x, y = SHIFT
    hair = (label == HAIR).astype(np.float32)[y : y + 256, x : x + 256]
    return Head.of(replace(portrait, hair=hair), Drawn(label))  # type: ignore[arg-type]


def label_of(portrait: Portrait, *, hair_to: float, rest_from: float = 1.2) -> Image:
    """A face in an oval of hair that ends `hair_to` chins down, and shoulders."""
    points = portrait.face.crop_landmarks + np.float32(SHIFT)
    left, right, chin = points[0, 0], points[16, 0], points[8, 1]
    high = chin - points[19, 1]
    label = np.full((FRAME, FRAME), BACKGROUND, np.uint8)
    shoulder = int(chin + (rest_from - 1) * high)
    label[shoulder:, int(left - 90) : int(right + 90)] = REST
    middle = (int((left + right) / 2), int(points[27, 1]))
    radius = (int(0.62 * (right - left)), int(1.05 * high))
    cv2.ellipse(label, middle, radius, 0, 180, 360, HAIR, -1)
    bottom = int(points[27, 1] + hair_to * high)
    cv2.rectangle(
        label, (middle[0] - radius[0], middle[1]), (middle[0] + radius[0], bottom), HAIR, -1
    )
    cv2.fillConvexPoly(label, np.rint(cv2.convexHull(points)).astype(np.int32), FACE)
    return label


@pytest.fixture(scope="module")
def portraits(demo: Demo) -> Callable[[Image], Portrait]:
    editor = PortraitEditor(threads=1)
    return lambda image: editor._portrait(image, "image")


@pytest.fixture(scope="module")
def wide(demo: Demo) -> Image:
    """A portrait with room on all sides."""
    return cv2.copyMakeBorder(demo("light.jpg"), *[400] * 4, cv2.BORDER_REPLICATE)


def test_a_texture_goes_on_in_a_hole() -> None:
    y, x = np.mgrid[:256, :256]
    pattern = 120 + 60 * ((x // 8 + y // 16) % 2) + 4 * ((x + 3 * y) % 5)
    truth = np.repeat(pattern[..., None], 3, axis=2).astype(np.float32)
    hole = np.hypot(x - 130, y - 120) < 20
    start = truth.copy()
    start[hole] = truth.mean()
    found = filled(start, hole, ~hole)
    assert found is not None
    np.testing.assert_array_equal(found.image[~hole], truth[~hole])
    assert np.abs(found.image - truth)[hole].mean() < 0.5 * np.abs(start - truth)[hole].mean()
    across, down = found.places[hole].astype(int).T
    assert not hole[down, across].any()
    assert filled(start, hole, np.zeros_like(hole)) is None


def test_values_go_on_smoothly_where_they_are_unknown() -> None:
    y, x = np.mgrid[:128, :128].astype(np.float32)
    ramp = np.stack([x, y], axis=-1)
    known = 1 - (np.hypot(x - 64, y - 64) < 15).astype(np.float32)
    found = diffused(ramp * known[..., None], known)
    np.testing.assert_array_equal(found[known == 1], ramp[known == 1])
    assert np.abs(found - ramp).max() < 12


def test_the_matte_follows_the_edge_in_the_photo(
    portraits: Callable[[Image], Portrait], demo: Demo
) -> None:
    """The network's edge is off by three pixels; the opacity's is where the colours change."""
    portrait = portraits(demo("light.jpg"))
    x, y = SHIFT
    image = portrait.image.copy()
    there = cv2.warpAffine(
        np.repeat((np.arange(FRAME) < x + 30)[None], FRAME, axis=0).astype(np.uint8),
        portrait.face.matrix + [[0, 0, x], [0, 0, y]],
        image.shape[1::-1],
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
    )
    image[there > 0] = (20, 20, 30)
    label = np.full((FRAME, FRAME), BACKGROUND, np.uint8)
    label[:, : x + 27] = HAIR
    head = drawn_head(replace(portrait, image=image), label)
    row = head.hair[y + 120]
    assert row[x + 15] > 0.9
    assert row[x + 45] < 0.1
    assert abs(int((row[x : x + 60] > 0.5).sum()) - 30) <= 1


def test_hair_that_cannot_look_right_is_refused(
    portraits: Callable[[Image], Portrait], wide: Image
) -> None:
    portrait = portraits(wide)
    short, long = (label_of(portrait, hair_to=to) for to in (0.3, 1.9))
    bald = np.where(short == HAIR, BACKGROUND, short).astype(np.uint8)
    endless = short.copy()
    endless[300:, 100:400] = HAIR
    hat = short.copy()
    points = portrait.face.crop_landmarks + np.float32(SHIFT)
    hat[: int(points[19, 1]) - 10] = np.where(short[: int(points[19, 1]) - 10] == HAIR, REST, 0)
    blue = wide.copy()
    brow = int(portrait.face.landmarks[19, 1])
    blue[: brow - 20] = (200, 60, 20)
    own, in_hat = drawn_head(portrait, short), drawn_head(replace(portrait, image=blue), hat)
    for source, reference, message in (
        (own, drawn_head(portrait, bald), "its photo shows hardly any"),
        (in_hat, own, "something covers the hair in the photo to edit"),
        (own, drawn_head(portrait, endless), "longer than the editor sees"),
        (drawn_head(portrait, long), own, "falls onto neck and shoulders"),
    ):
        with pytest.raises(InvalidInputError, match=f"hair: .*{message}"):
            HairSwap.of(source, reference)
    assert HairSwap.of(own, own).lifted.max() > 0.9


def test_hair_beyond_its_photo_is_completed_a_little(
    portraits: Callable[[Image], Portrait], wide: Image
) -> None:
    portrait = portraits(wide)
    points = portrait.face.landmarks
    label = label_of(portrait, hair_to=0.3)
    own = drawn_head(portrait, label)
    top = int(np.flatnonzero((label == HAIR).any(axis=1))[0])  # of the frame
    inverse = cv2.invertAffineTransform(portrait.face.matrix)
    for share, message in ((0.06, None), (0.5, "upper edge of its photo cuts off too much")):
        deep = share * (points[27, 1] - float(inverse[1] @ (128, top - SHIFT[1], 1)))
        row = int(inverse[1] @ (128, top - SHIFT[1], 1) + deep)
        cut = portraits(np.ascontiguousarray(wide[row:]))
        reference = drawn_head(cut, label)
        if message is not None:
            with pytest.raises(InvalidInputError, match=message):
                HairSwap.of(own, reference)
            continue
        swap = HairSwap.of(own, reference)
        above = swap.matte[top + 3, 256 - 10 : 256 + 10, 3]
        assert (above > 0.5).all()
