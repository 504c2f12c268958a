"""The compiled module checks shapes itself: wrong calls raise and never read out of bounds."""

import numpy as np
import pytest

from makeup_kernels import _cpu


def floats(*shape):
    return np.zeros(shape, np.float32)


def bytes_(*shape):
    return np.ones(shape, np.uint8)


OPTIONS = (0.01, 200.0, 4.0, "baseline")
MORPH = _cpu.MorphReference(floats(3, 4, 5), floats(6, 2), bytes_(4, 5), floats(2, 4, 5), *OPTIONS)
HISTOGRAM = _cpu.RegionHistogram(bytes_(4, 5, 3), bytes_(4, 5), [1], 1)
COMPOSITE = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), 1, "baseline"


@pytest.mark.parametrize(
    "arguments",
    [
        (floats(3, 4, 6), floats(6, 2), bytes_(4, 5), floats(2, 4, 5)),
        (floats(3, 4, 5), floats(6, 1), bytes_(4, 5), floats(2, 4, 5)),
        (floats(3, 4, 5), floats(6, 2), bytes_(9, 5), floats(2, 4, 5)),
        (floats(3, 4, 5), floats(6, 2), bytes_(4, 5), floats(2, 5, 4)),
        (floats(3, 20), floats(6, 2), bytes_(4, 5), floats(2, 4, 5)),
    ],
)
def test_morph_reference_checks_shapes(arguments):
    with pytest.raises(ValueError, match="array of the wrong shape"):
        _cpu.MorphReference(*arguments, *OPTIONS)


@pytest.mark.parametrize(
    "arguments",
    [
        (floats(2, 7, 8), floats(6, 2), bytes_(7, 8), floats(2, 7, 8)),
        (floats(3, 7, 8), floats(5, 2), bytes_(7, 8), floats(2, 7, 8)),
        (floats(3, 7, 8), floats(6, 2), bytes_(8, 7), floats(2, 7, 8)),
        (floats(3, 7, 8), floats(6, 2), bytes_(7, 8), floats(1, 7, 8)),
        (floats(3, 7, 8), floats(6, 2), bytes_(7, 8), floats(2, 7, 7)),
    ],
)
def test_morph_checks_shapes(arguments):
    with pytest.raises(ValueError, match="array of the wrong shape"):
        MORPH.morph(*arguments, 1)


def test_region_histogram_checks_shapes():
    with pytest.raises(ValueError, match="array of the wrong shape"):
        _cpu.RegionHistogram(bytes_(4, 5, 3), bytes_(5, 5), [1], 1)
    for image, out in ((bytes_(4, 5, 2), bytes_(4, 5, 3)), (bytes_(4, 5, 3), bytes_(3, 5, 3))):
        with pytest.raises(ValueError, match="array of the wrong shape"):
            HISTOGRAM.match(image, bytes_(4, 5), out, 1)
    with pytest.raises(IndexError):
        _cpu.RegionHistogram(bytes_(4, 5, 3), bytes_(4, 5), [256], 1)


@pytest.mark.parametrize(
    "arguments",
    [
        (bytes_(9, 9, 4), bytes_(4, 5, 3), bytes_(4, 5, 3), floats(4, 5)),
        (bytes_(9, 9, 3)[:, ::2], bytes_(4, 5, 3), bytes_(4, 5, 3), floats(4, 5)),
        (bytes_(9, 9, 3), bytes_(4, 4, 3), bytes_(4, 5, 3), floats(4, 5)),
        (bytes_(9, 9, 3), bytes_(4, 5, 3), bytes_(4, 5, 1), floats(4, 5)),
        (bytes_(9, 9, 3), bytes_(4, 5, 3), bytes_(4, 5, 3), floats(5, 5)),
    ],
)
def test_composite_checks_shapes(arguments):
    with pytest.raises(ValueError, match="array of the wrong shape"):
        _cpu.composite(*arguments, *COMPOSITE)


def test_other_dtypes_and_instruction_sets_raise():
    with pytest.raises(TypeError, match="incompatible function arguments"):
        MORPH.morph(np.zeros((3, 7, 8)), floats(6, 2), bytes_(7, 8), floats(2, 7, 8), 1)
    with pytest.raises(ValueError, match="instruction set 'mmx' is not available"):
        _cpu.composite(
            bytes_(9, 9, 3),
            bytes_(4, 5, 3),
            bytes_(4, 5, 3),
            floats(4, 5),
            COMPOSITE[0],
            1,
            "mmx",
        )
