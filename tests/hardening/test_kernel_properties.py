"""Kernels match their plain references on any small input in any memory layout."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from makeup_kernels import (
    apply_color_map,
    attentive_morph,
    composite,
    match_region_histograms,
)
from makeup_kernels.apply_color_map.reference import apply_color_map_reference
from makeup_kernels.attentive_morph.reference import attentive_morph_reference
from makeup_kernels.composite.reference import composite_reference
from makeup_kernels.match_region_histograms.reference import match_region_histograms_reference

BOUNDED = settings(max_examples=40, deadline=None, derandomize=True, database=None)

layouts = st.sampled_from(("plain", "columns first", "backwards", "every other", "padded"))
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(2, 9)
threads = st.sampled_from((1, 2, 3))


def laid_out(array: np.ndarray, layout: str) -> np.ndarray:
    """A view with the same values whose memory looks otherwise."""
    if layout == "columns first":
        return np.asfortranarray(array)
    if layout == "backwards":
        every = (slice(None, None, -1),) * array.ndim
        return np.ascontiguousarray(array[every])[every]
    if layout == "every other":
        wide = np.zeros([2 * size for size in array.shape], array.dtype)
        every = (slice(None, None, 2),) * array.ndim
        wide[every] = array
        return wide[every]
    if layout == "padded":
        return np.pad(array, 1)[(slice(1, -1),) * array.ndim]
    return array


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    """Frame to crop: turned, scaled, mirrored, and often partly outside."""
    angle = draw(st.floats(-3.2, 3.2))
    scale = draw(st.floats(0.15, 4))
    mirror = draw(st.sampled_from((1, -1)))
    shift = (draw(st.floats(-12, 12)), draw(st.floats(-12, 12)))
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[mirror * cos, -sin, shift[0]], [mirror * sin, cos, shift[1]]])


def assert_rounds_to(got: np.ndarray, exact: np.ndarray) -> None:
    """Rounded and clipped, up to float32 error of the sampled change."""
    assert got.dtype == np.uint8
    np.testing.assert_array_less(np.abs(got - np.clip(exact, 0, 255)), 0.51)


def inside_by_a_margin(matrix: np.ndarray, frame: tuple[int, ...], crop: tuple[int, ...]):
    """Pixels clearly inside or outside of the crop: at its very border, rounding decides."""
    y, x = np.mgrid[: frame[0], : frame[1]]
    column = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    row = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    edges = (column, column - (crop[1] - 1), row, row - (crop[0] - 1))
    return np.all([np.abs(edge) > 1e-3 for edge in edges], axis=0)


@BOUNDED
@given(seeds, sides, sides, sides, sides, matrices(), layouts, layouts, layouts, threads)
def test_composite(seed, rows, columns, height, width, matrix, frames, crops, masks, count):
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, 256, (rows, columns, 3), np.uint8)
    source, result = rng.integers(0, 256, (2, height, width, 3), np.uint8)
    mask = rng.random((height, width), np.float32) * rng.integers(0, 2, (height, width))
    mask = mask.astype(np.float32)
    exact = composite_reference(frame, source, result, mask, matrix)
    arguments = (laid_out(source, crops), laid_out(result, crops), laid_out(mask, masks), matrix)
    before = frame.copy()
    got = composite(laid_out(frame, frames), *arguments, threads=count)
    np.testing.assert_array_equal(frame, before)
    sure = inside_by_a_margin(matrix, frame.shape, mask.shape)
    assert_rounds_to(got[sure], exact[sure])
    np.testing.assert_array_equal(got[exact == frame], frame[exact == frame])

    given_out = laid_out(np.zeros_like(frame), crops)
    assert composite(laid_out(frame, frames), *arguments, out=given_out) is given_out
    np.testing.assert_array_equal(given_out, got)
    in_place = laid_out(frame.copy(), frames)
    assert composite(in_place, *arguments, out=in_place, threads=count) is in_place
    np.testing.assert_array_equal(in_place, got)


@BOUNDED
@given(seeds, sides, sides, sides, sides, matrices(), layouts, layouts, threads)
def test_apply_color_map(seed, rows, columns, height, width, matrix, frames, maps, count):
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, 256, (rows, columns, 3), np.uint8)
    change = rng.normal(0, 0.3, (6, height, width)).astype(np.float32)
    change[3:] *= 60
    change *= rng.integers(0, 2, (height, width))
    exact = apply_color_map_reference(frame, change, matrix)
    got = apply_color_map(laid_out(frame, frames), laid_out(change, maps), matrix, threads=count)
    sure = inside_by_a_margin(matrix, frame.shape, change.shape[1:])
    assert_rounds_to(got[sure], exact[sure])
    np.testing.assert_array_equal(got[exact == frame], frame[exact == frame])
    in_place = laid_out(frame.copy(), frames)
    apply_color_map(in_place, laid_out(change, maps), matrix, out=in_place)
    np.testing.assert_array_equal(in_place, got)


@BOUNDED
@given(seeds, sides, sides, sides, sides, st.integers(1, 255), layouts, layouts, threads)
def test_match_region_histograms(seed, rows, columns, height, width, level, images, maps, count):
    rng = np.random.default_rng(seed)
    source = rng.integers(0, level + 1, (rows, columns, 3)).astype(np.uint8)
    reference = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    source_regions = rng.integers(0, 4, (rows, columns)).astype(np.uint8)
    reference_regions = rng.integers(0, 4, (height, width)).astype(np.uint8)
    regions = tuple(rng.permutation(4)[: rng.integers(0, 5)].tolist())
    got = match_region_histograms(
        laid_out(source, images),
        laid_out(reference, images),
        laid_out(source_regions, maps),
        laid_out(reference_regions, maps),
        regions=regions,
        threads=count,
    )
    expected = match_region_histograms_reference(
        source, reference, source_regions, reference_regions, regions=regions
    )
    np.testing.assert_array_equal(got, expected)
    untouched = ~np.isin(source_regions, regions)
    np.testing.assert_array_equal(got[untouched], source[untouched])


@st.composite
def morphs(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Arguments of `attentive_morph` on grids of a few cells, regions present or not."""
    rng = np.random.default_rng(draw(seeds))
    source, reference = (draw(sides), draw(sides)), (draw(sides), draw(sides))
    channels, points, count = draw(st.integers(0, 5)), draw(st.integers(1, 7)), draw(sides)
    ids = draw(st.sampled_from(((1,), (0, 1), (0, 1, 2, 3), (0, 255, 7), (0,))))
    return {
        "source_features": rng.normal(size=(channels, *source)).astype(np.float32),
        "reference_features": rng.normal(size=(channels, *reference)).astype(np.float32),
        "source_landmarks": rng.uniform(-10, 50, (points, 2)).astype(np.float32),
        "reference_landmarks": rng.uniform(-10, 50, (points, 2)).astype(np.float32),
        "source_regions": rng.choice(ids, source).astype(np.uint8),
        "reference_regions": rng.choice(ids, reference).astype(np.uint8),
        "values": rng.normal(size=(count, *reference)).astype(np.float32),
    }


@BOUNDED
@given(morphs(), layouts, st.floats(0, 1), st.floats(0.5, 200), st.floats(0.5, 8), threads)
def test_attentive_morph(arrays, layout, visual_weight, temperature, pixel_stride, count):
    options = {
        "visual_weight": visual_weight,
        "temperature": temperature,
        "pixel_stride": pixel_stride,
    }
    exact = attentive_morph_reference(**arrays, **options)
    views = {name: laid_out(array, layout) for name, array in arrays.items()}
    got = attentive_morph(**views, **options, threads=count)
    largest = np.abs(arrays["values"]).max()
    np.testing.assert_allclose(got, exact, atol=2e-3 * largest)

    # a mix of values never leaves their range, widened by the zeros of other regions
    assert np.abs(got).max() <= largest * (1 + 1e-5)
    shared = set(np.unique(arrays["reference_regions"])) - {0}
    assert not got[:, ~np.isin(arrays["source_regions"], list(shared))].any()

    # linear in the values, to the bit for a power of two where the result is no subnormal number
    doubled = {**views, "values": arrays["values"] * np.float32(2)}
    again = attentive_morph(**doubled, **options)
    np.testing.assert_allclose(again, 2 * got, rtol=0, atol=2 * np.finfo(np.float32).tiny)
    normal = np.abs(got) >= np.finfo(np.float32).tiny
    np.testing.assert_array_equal(again[normal], 2 * got[normal])

    # what the regions are called does not matter
    renamed = {
        name: np.where(array > 0, 256 - array.astype(int), 0).astype(np.uint8)
        for name, array in arrays.items()
        if name.endswith("_regions")
    }
    again = attentive_morph(**{**views, **renamed}, **options)
    np.testing.assert_array_equal(again, got)
