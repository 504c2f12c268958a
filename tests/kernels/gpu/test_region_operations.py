import cv2
import numpy as np
import pytest

from makeup_kernels import (
    TEMPLATE_LANDMARKS,
    InvalidInputError,
    Region,
    RegionHistogram,
    match_region_histograms,
    region_maps,
)
from makeup_kernels.match_region_histograms.reference import match_region_histograms_reference
from makeup_kernels.region_maps.reference import best_regions, region_maps_reference, without_specks


def make_images(rng, source=(20, 31), reference=(17, 40), levels=256):
    def image(shape, mean):
        noise = rng.normal(mean, 40, (*shape, 3))
        return np.clip(noise // (256 // levels) * (256 // levels), 0, 255).astype(np.uint8)

    def region_map(shape):
        blocks = rng.integers(0, 5, (shape[0] // 4 + 1, shape[1] // 7 + 1))
        return np.kron(blocks, np.ones((4, 7)))[: shape[0], : shape[1]].astype(np.uint8)

    return image(source, 100), image(reference, 160), region_map(source), region_map(reference)


@pytest.mark.parametrize("levels", [2, 16, 256])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (53, 3), (50, 60)])
def test_histograms_equal_the_loop_bit_for_bit(backend, rng, levels, shape):
    images = make_images(rng, source=shape, levels=levels)
    images[2][0, 0] = 1
    result = match_region_histograms(*images, backend=backend)
    assert np.array_equal(result, match_region_histograms_reference(*images))


def test_histograms_of_empty_sides_zero_and_repeated_ids(backend, rng):
    images = make_images(rng)
    images[2][images[2] == 1] = 0
    images[3][images[3] == 3] = 0
    for regions in ((1, 2, 3), (0, 4, 0), (), (255,)):
        result = match_region_histograms(*images, regions=regions, backend=backend)
        expected = match_region_histograms_reference(*images, regions=regions)
        assert np.array_equal(result, expected)


def test_histograms_of_a_batch_out_and_in_place(backend, rng, put, get):
    faces = [make_images(rng) for _ in range(2)]
    sources, references, maps, reference_maps = (np.stack(a) for a in zip(*faces, strict=True))
    one_look = RegionHistogram(references[:1], reference_maps[:1], backend=backend)
    expected = np.stack(
        [
            match_region_histograms_reference(source, references[0], regions, reference_maps[0])
            for source, regions in zip(sources, maps, strict=True)
        ]
    )
    assert np.array_equal(one_look.match(sources, maps), expected)
    on_device, regions = put(sources), put(maps)
    assert one_look.match(on_device, regions, on_device) is on_device
    assert np.array_equal(get(on_device), expected)
    out = np.full_like(sources, 77)
    assert one_look.match(sources, maps, out) is out
    assert np.array_equal(out, expected)
    own = match_region_histograms(sources, references, maps, reference_maps, backend=backend)
    for number in range(2):
        assert np.array_equal(own[number], match_region_histograms_reference(*faces[number]))
    three = RegionHistogram(references, reference_maps, backend=backend)
    with pytest.raises(InvalidInputError, match="source: got 3 faces, expected the references' 2"):
        three.match(np.stack([sources[0]] * 3), np.stack([maps[0]] * 3))


def make_logits(rng, side=20, size=32):
    noise = rng.normal(0, 1, (5, side, side)).astype(np.float32)
    logits = np.stack([cv2.GaussianBlur(plane, (0, 0), 1.0) for plane in noise]) * 3
    landmarks = TEMPLATE_LANDMARKS * size + rng.normal(0, 1, (68, 2))
    return logits.astype(np.float32), landmarks.astype(np.float32)


def test_region_maps_follow_the_formula(backend, rng):
    """Pixels that are decided by less than rounding may go either way, and specks with them."""
    size = 32
    while True:
        logits, landmarks = make_logits(rng, size=size)
        chosen, margin = best_regions(logits, landmarks, size=size)
        if margin.min() > 1e-5:
            break
    result = region_maps(logits, landmarks, size=size, backend=backend)
    assert result.dtype == np.uint8
    assert np.array_equal(result, without_specks(chosen))


def test_region_maps_of_a_batch(backend, rng):
    faces = [make_logits(rng, side=11, size=19) for _ in range(2)]
    result = region_maps(*(np.stack(a) for a in zip(*faces, strict=True)), size=19, backend=backend)
    for found, face in zip(result, faces, strict=True):
        assert (found != region_maps_reference(*face, size=19)).mean() < 0.02


def test_specks_go_and_holes_are_filled(backend):
    """At 72 × 72 islands of less than 4.15 pixels go and holes of less than 1.04 are filled."""
    size = 72
    painted = np.zeros((size, size), np.uint8)
    painted[30:70, 20:60] = 1
    painted[40, 40] = 0  # a hole, filled
    painted[50, 30:32] = 0  # two pixels, kept
    painted[55, 50] = painted[56, 51] = 0  # two holes that touch at a corner only, filled
    painted[45:48, 25:28] = 0  # a hole with a spot in it: both too large or too small to stay
    painted[46, 26] = 1
    painted[2, 2] = painted[0, 40] = 1  # lone pixels, dropped
    painted[5, 5] = painted[6, 6] = painted[7, 5] = painted[8, 6] = 1  # four at corners, dropped
    painted[10, 5] = painted[11, 6] = painted[12, 7] = painted[13, 6] = painted[14, 5] = 1  # five
    painted[20, 60:64] = painted[21, 60] = 1  # an angle of five
    painted[69, 20] = 1
    logits = np.zeros((5, size, size), np.float32)
    logits[Region.SKIN] = painted * 4.0 - 2.0
    expected = painted.copy()
    for hole in ((40, 40), (55, 50), (56, 51)):
        expected[hole] = 1
    for speck in ((46, 26), (2, 2), (0, 40), (5, 5), (6, 6), (7, 5), (8, 6)):
        expected[speck] = 0
    result = region_maps(logits, TEMPLATE_LANDMARKS * size, size=size, backend=backend)
    assert np.array_equal(result, expected * np.uint8(Region.SKIN))


def test_wrong_region_maps_raise(backend):
    logits, landmarks = np.zeros((5, 8, 8), np.float32), np.zeros((68, 2), np.float32)
    with pytest.raises(InvalidInputError, match="size: got 1, expected at least 2"):
        region_maps(logits, landmarks, size=1, backend=backend)
    with pytest.raises(InvalidInputError, match=r"logits: got float32 \(4, 8, 8\), expected"):
        region_maps(logits[:4], landmarks, backend=backend)
    with pytest.raises(InvalidInputError, match=r"landmarks: got float32 \(67, 2\), expected"):
        region_maps(logits, landmarks[:67], backend=backend)
