"""`backend="cuda"` of the public functions: NumPy in and out through the GPU, as on the CPU."""

import numpy as np
import pytest

from makeup_kernels import (
    TEMPLATE_LANDMARKS,
    BackendUnavailableError,
    MorphReference,
    RegionHistogram,
    align_faces,
    apply_color_map,
    attentive_morph,
    composite,
    match_region_histograms,
    region_maps,
)
from makeup_kernels.region_maps.reference import region_maps_reference

MATRIX = np.array([[0.6, -0.13, -1.7137], [0.13, 0.6, 0.9173]])


def make_calls():
    """By name, a public function and its arguments."""
    rng = np.random.default_rng(0)

    def floats(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    def small(*shape, below=4):
        return rng.integers(0, below, shape).astype(np.uint8)

    frame, crops = small(40, 50, 3, below=256), small(2, 16, 20, 3, below=256)
    marks = 30 + 15 * floats(2, 68, 2)
    morph = (floats(8, 12, 13), floats(8, 10, 15), *marks, small(12, 13), small(10, 15))
    return {
        "composite": (composite, (frame, *crops, np.ones((16, 20), np.float32), MATRIX)),
        "apply_color_map": (apply_color_map, (frame, 0.1 * floats(6, 16, 20), MATRIX)),
        "match_region_histograms": (
            match_region_histograms,
            (frame, small(30, 31, 3, below=200), small(40, 50), small(30, 31)),
        ),
        "attentive_morph": (attentive_morph, (*morph, floats(2, 10, 15))),
        "align_faces": (align_faces, (frame, np.stack([MATRIX, 2 * MATRIX]))),
        "region_maps": (region_maps, (floats(5, 16, 16), TEMPLATE_LANDMARKS * 256)),
    }


@pytest.mark.parametrize("name", make_calls())
def test_results_are_those_of_the_cpu(host_gpu, name):
    function, arguments = make_calls()[name]
    if name == "region_maps":  # the CPU's hulls are OpenCV's, which round
        expected = region_maps_reference(*arguments, size=256)
    else:
        expected = function(*arguments, backend="cpu")
    results = function(*arguments, backend="cuda")
    assert host_gpu.launches
    pairs = zip(results, expected, strict=True) if name == "align_faces" else [(results, expected)]
    for result, wanted in pairs:
        assert isinstance(result, np.ndarray)
        assert (result.dtype, result.shape) == (wanted.dtype, wanted.shape)
        error = np.abs(result.astype(np.float64) - wanted)
        assert (error > 1e-4).mean() < 2e-3  # a byte may round the other way
        assert error.max() <= (4 if name == "region_maps" else 1)


def test_prepared_references_live_on_the_gpu(host_gpu):
    _, arguments = make_calls()["attentive_morph"]
    source_features, features, source_marks, marks, source_regions, regions, values = arguments
    reference = MorphReference(features, marks, regions, values, backend="cuda")
    result = reference.morph(source_features, source_marks, source_regions)
    np.testing.assert_array_equal(result, attentive_morph(*arguments, backend="cuda"))
    _, (source, image, source_map, image_map) = make_calls()["match_region_histograms"]
    histogram = RegionHistogram(image, image_map, backend="cuda")
    expected = match_region_histograms(source, image, source_map, image_map, backend="cpu")
    np.testing.assert_array_equal(histogram.match(source, source_map), expected)


@pytest.mark.parametrize("name", make_calls())
def test_by_name_it_runs_or_raises_with_the_reason(host_gpu, name):
    host_gpu.trouble = "no_gpu"
    function, arguments = make_calls()[name]
    with pytest.raises(BackendUnavailableError, match=f"{name}: .*no CUDA GPU .*makeup doctor"):
        function(*arguments, backend="cuda")
