import numpy as np
import pytest

from makeup_kernels import (
    InvalidInputError,
    RegionHistogram,
    match_region_histograms,
)
from makeup_kernels.match_region_histograms.reference import (
    match_region_histograms_reference,
    matching_table,
)


def make_images(source=(40, 56), reference=(33, 61), seed=0, levels=256):
    """Two images of different brightness, values in `levels` steps, and blocky region maps."""
    rng = np.random.default_rng(seed)

    def image(shape, mean):
        noise = rng.normal(mean, 40, (*shape, 3))
        return np.clip(noise // (256 // levels) * (256 // levels), 0, 255).astype(np.uint8)

    def region_map(shape):
        blocks = rng.integers(0, 5, (shape[0] // 6 + 1, shape[1] // 9 + 1))
        return np.kron(blocks, np.ones((6, 9)))[: shape[0], : shape[1]].astype(np.uint8)

    return image(source, 100), image(reference, 160), region_map(source), region_map(reference)


@pytest.mark.parametrize("levels", [2, 16, 256])
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_loop_bit_for_bit(levels, seed):
    images = make_images(seed=seed, levels=levels)
    result = match_region_histograms(*images)
    assert result.dtype == np.uint8
    assert np.array_equal(result, match_region_histograms_reference(*images))
    assert not np.array_equal(result, images[0])


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (257, 3), (300, 400)])
def test_shapes_and_bands(shape):
    images = make_images(source=shape, reference=(50, 50))
    images[2][0, 0] = 1
    assert np.array_equal(
        match_region_histograms(*images), match_region_histograms_reference(*images)
    )


def test_table_by_hand():
    """Four source pixels 10, 20, 30, 40 against 5, 50, 60, 70; below the first share: identity."""
    source = np.array([10, 20, 30, 40], np.uint8)
    table = matching_table(source, np.array([5, 50, 60, 70], np.uint8))
    assert table[source].tolist() == [5, 50, 60, 70]
    assert (table[0], table[1], table[9], table[254], table[255]) == (0, 1, 1, 70, 255)
    table = matching_table(source, np.array([0, 0, 0, 90], np.uint8))
    assert table[source].tolist() == [10, 20, 1, 90]


def test_equal_shares_of_different_counts_are_equal():
    """1/3 of 3 pixels against 1/3 of 9, 2/3 against 6/9: decided exactly, not by rounding."""
    for scale in (1, 3, 7, 49, 1000):
        source = np.repeat(np.array([10, 20, 30], np.uint8), 1)
        reference = np.repeat(np.array([100, 150, 200], np.uint8), scale)
        image = np.repeat(source.reshape(1, 3, 1), 3, axis=2)
        other = np.repeat(reference.reshape(1, -1, 1), 3, axis=2)
        ones = np.ones(image.shape[:2], np.uint8), np.ones(other.shape[:2], np.uint8)
        result = match_region_histograms(image, other, *ones)
        assert result[0, :, 0].tolist() == [100, 150, 200]


def test_pixels_outside_the_matched_regions_stay():
    source, reference, source_regions, reference_regions = make_images()
    result = match_region_histograms(
        source, reference, source_regions, reference_regions, regions=(2,)
    )
    outside = source_regions != 2
    assert np.array_equal(result[outside], source[outside])
    assert not np.array_equal(result[~outside], source[~outside])


def test_region_empty_on_either_side_is_identity():
    source, reference, source_regions, reference_regions = make_images()
    source_regions[source_regions == 1] = 0
    reference_regions[reference_regions == 3] = 0
    images = source, reference, source_regions, reference_regions
    result = match_region_histograms(*images)
    assert np.array_equal(result, match_region_histograms_reference(*images))
    same = source_regions != 2
    assert np.array_equal(result[same], source[same])
    assert np.array_equal(match_region_histograms(*images, regions=()), source)


def test_region_zero_and_repeated_ids():
    images = make_images()
    expected = match_region_histograms_reference(*images, regions=(0, 4))
    assert np.array_equal(match_region_histograms(*images, regions=(0, 4, 0)), expected)


def test_same_bits_for_any_number_of_threads():
    images = make_images(source=(300, 301), reference=(280, 333))
    expected = match_region_histograms(*images, threads=1)
    for threads in (2, 3, 8):
        assert np.array_equal(match_region_histograms(*images, threads=threads), expected)


def test_strided_and_read_only_inputs():
    images = make_images()
    expected = match_region_histograms(*images)

    def turned(array):
        view = np.zeros([2 * n for n in array.shape[::-1]], np.uint8).T
        view = view[tuple(slice(None, None, -2) for _ in array.shape)]
        view[...] = array
        view.flags.writeable = False
        return view

    assert np.array_equal(match_region_histograms(*(turned(a) for a in images)), expected)


def test_out_and_in_place():
    source, reference, source_regions, reference_regions = make_images()
    prepared = RegionHistogram(reference, reference_regions)
    expected = prepared.match(source, source_regions)
    holder = np.zeros((*source.shape[:2], 4), np.uint8)
    out = holder[..., 2::-1]
    assert prepared.match(source, source_regions, out) is out
    assert np.array_equal(out, expected)
    assert not holder[..., 3].any()
    assert prepared.match(source, source_regions, source) is source
    assert np.array_equal(source, expected)


def test_prepared_reference_keeps_counts_and_is_immutable():
    source, reference, source_regions, reference_regions = make_images()
    prepared = RegionHistogram(reference, reference_regions, regions=[1, 3])
    expected = prepared.match(source, source_regions)
    reference[...] = 0
    assert np.array_equal(prepared.match(source, source_regions), expected)
    assert prepared.regions == (1, 3)
    with pytest.raises(AttributeError, match="RegionHistogram is immutable: cannot set 'regions'"):
        prepared.regions = (2,)


IMAGE, MAP = np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.uint8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (IMAGE.astype(np.float32), IMAGE, MAP, MAP),
            r"source: got float32 \(4, 5, 3\), expected uint8 \(4, 5, 3\)",
        ),
        (
            (IMAGE, IMAGE[..., :1], MAP, MAP),
            r"reference: got uint8 \(4, 5, 1\), expected uint8 \(4, 5, 3\)",
        ),
        (
            (IMAGE, IMAGE, MAP.astype(bool), MAP),
            r"source_regions: got bool \(4, 5\), expected uint8 \(H, W\)",
        ),
        (
            (IMAGE, IMAGE, MAP, MAP[:3]),
            r"reference: got uint8 \(4, 5, 3\), expected uint8 \(3, 5, 3\)",
        ),
    ],
)
def test_wrong_arrays_raise(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        match_region_histograms(*arguments)


def test_wrong_options_raise():
    with pytest.raises(InvalidInputError, match=r"regions: got \(1, 256\), expected ids in 0..255"):
        match_region_histograms(IMAGE, IMAGE, MAP, MAP, regions=(1, 256))
    with pytest.raises(InvalidInputError, match="out: shares memory with an input"):
        RegionHistogram(IMAGE, MAP).match(IMAGE[1:], MAP[1:], IMAGE[:3])
