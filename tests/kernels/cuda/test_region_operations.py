"""Region maps and region histograms in CUDA against their references."""

import numpy as np
import pytest

from makeup_kernels import TEMPLATE_LANDMARKS, InvalidInputError
from makeup_kernels.match_region_histograms.cuda import RegionHistogram, match_region_histograms
from makeup_kernels.match_region_histograms.reference import match_region_histograms_reference
from makeup_kernels.region_maps.cuda import region_maps
from makeup_kernels.region_maps.reference import best_regions, without_specks


def assert_as_reference(result, logits, landmarks):
    """Equal, except near pixels that a rounding decides."""
    for found, scores, marks in zip(result, logits, landmarks, strict=True):
        chosen, margin = best_regions(scores, marks, size=found.shape[0])
        close = margin < 1e-4
        if close.any():  # a pixel of a speck may make or break it
            assert (found != without_specks(chosen)).mean() < 0.02
        else:
            np.testing.assert_array_equal(found, without_specks(chosen))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("size", "side"), [(64, 16), (70, 35), (33, 1), (96, 96)])
def test_maps_of_noise(device, size, side, dtype):
    rng = np.random.default_rng(size)
    landmarks = TEMPLATE_LANDMARKS[None] * size + 0.5 * rng.standard_normal((2, 68, 2))
    landmarks = landmarks.astype(np.float32)
    logits = (2 * rng.standard_normal((2, 5, side, side))).astype(dtype)
    logits[:, 2] += 0.5
    result = device.run(lambda: region_maps(logits, landmarks, size=size))
    assert_as_reference(result, logits, landmarks)
    assert len(np.unique(result)) > 2 or side == 1


def pieces(size: int) -> np.ndarray:
    """Logits of spirals, combs and dots: long pieces, pieces in pieces, specks."""
    plane = np.full((size, size), -1.0, np.float32)
    for ring in range(2, size // 2 - 4, 4):
        plane[ring : size - ring, ring : size - ring] *= -1
    plane[::7, ::5] *= -1
    plane[10:14, 4:] = 1
    plane[:, 20::6] = -plane[:, 20::6]
    return plane


def test_long_and_nested_pieces(device):
    size = 96
    plane = pieces(size)
    logits = np.stack([np.zeros_like(plane), plane - 2, plane, plane - 2, plane - 2])[None]
    landmarks = (TEMPLATE_LANDMARKS[None] * size).astype(np.float32)
    result = device.run(lambda: region_maps(logits, landmarks, size=size))
    expected = without_specks(best_regions(logits[0], landmarks[0], size=size)[0])
    np.testing.assert_array_equal(result[0], expected)
    assert 0.1 < (expected == 2).mean() < 0.9


def test_points_that_coincide_or_lie_on_a_line(device):
    size = 48
    landmarks = np.zeros((2, 68, 2), np.float32)
    landmarks[0] = TEMPLATE_LANDMARKS * size
    landmarks[0, 48:60] = (20.3, 30.4)
    landmarks[1] = TEMPLATE_LANDMARKS * size
    landmarks[1, 17:22] = np.linspace((10, 10), (20, 15), 5)
    logits = np.zeros((2, 5, 8, 8), np.float32)
    logits[:, 1], logits[:, 4] = 1, 2
    result = device.run(lambda: region_maps(logits, landmarks, size=size))
    assert_as_reference(result, logits, landmarks)


def make_images(seed, faces=2, references=1, source=(50, 61), reference=(40, 44)):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 256, (faces, *source, 3), dtype=np.uint8),
        rng.integers(0, 200, (references, *reference, 3), dtype=np.uint8),
        rng.integers(0, 5, (faces, *source)).astype(np.uint8),
        rng.integers(0, 4, (references, *reference)).astype(np.uint8),
    )


@pytest.mark.parametrize("regions", [(1, 2, 3), (4, 0, 2, 0), ()])
@pytest.mark.parametrize("references", [1, 2])
def test_histograms_are_matched_bit_for_bit(device, regions, references):
    images = make_images(len(regions), references=references)
    images[2][0][images[2][0] == 1] = 0  # a region that one source lacks
    images[3][-1][images[3][-1] == 3] = 0  # and one that a reference lacks
    out = device.poisoned(images[0].shape, np.uint8)
    result = device.run(lambda: match_region_histograms(*images, regions=regions, out=out))
    for face in range(2):
        other = min(face, references - 1)
        single = images[0][face], images[1][other], images[2][face], images[3][other]
        expected = match_region_histograms_reference(*single, regions=regions)
        np.testing.assert_array_equal(result[face], expected)


def test_equal_shares_of_different_counts_are_equal(device):
    """1/3 of 3 pixels against 1/3 of 9: decided exactly, not by rounding."""
    for scale in (1, 3, 7, 49):
        source = np.repeat(np.array([10, 20, 30], np.uint8).reshape(1, 1, 3, 1), 3, axis=3)
        counts = np.repeat(np.array([100, 150, 200], np.uint8), scale)
        reference = np.repeat(counts.reshape(1, 1, -1, 1), 3, axis=3)
        ones = np.ones(source.shape[:3], np.uint8), np.ones(reference.shape[:3], np.uint8)
        result = device.run(lambda s=source, r=reference, o=ones: match_region_histograms(s, r, *o))
        assert result[0, 0, :, 0].tolist() == [100, 150, 200]


def test_prepared_counts_serve_several_sources_in_place(host_gpu):
    from makeup_kernels.cuda import to_device

    source, reference, source_regions, reference_regions = make_images(7)
    prepared = RegionHistogram(reference, reference_regions, regions=(3, 1))
    expected = prepared.match(source, source_regions).get()
    held = to_device(source)
    assert prepared.match(held, source_regions, held) is held
    np.testing.assert_array_equal(held.get(), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda i: match_region_histograms(*i, regions=(1, 256)),
            r"regions: got \(1, 256\), expected ids in 0..255",
        ),
        (
            lambda i: match_region_histograms(i[0][..., :2], *i[1:]),
            r"source: got uint8 \(2, 50, 61, 2\), expected uint8 \(2, 50, 61, 3\)",
        ),
        (
            lambda i: match_region_histograms(i[0][:1], i[1], i[2][:1], i[3]),
            "source: got 1 faces for 2 references, expected as many, or one reference",
        ),
        (lambda i: region_maps(None, None, size=0), "size: got 0, expected at least 1"),
        (
            lambda i: region_maps(np.zeros((1, 4, 8, 8), np.float32), np.zeros((1, 68, 2), "f4")),
            r"logits: got float32 \(1, 4, 8, 8\), expected float32 or float16 \(1, 5, s, s\)",
        ),
    ],
)
def test_wrong_arguments_raise(host_gpu, call, message):
    with pytest.raises(InvalidInputError, match=message):
        call(make_images(0, references=2))
