"""Errors for wrong arguments of the attentive morph name the actual and the expected value."""

import numpy as np
import pytest

from makeup_kernels import (
    InvalidInputError,
    MorphReference,
    attentive_morph,
)


def marks() -> np.ndarray:
    return np.arange(136, dtype=np.float32).reshape(68, 2)


GOOD = {
    "source_features": np.zeros((3, 6, 5), np.float32),
    "reference_features": np.zeros((3, 4, 7), np.float32),
    "source_landmarks": marks(),
    "reference_landmarks": marks(),
    "source_regions": np.ones((6, 5), np.uint8),
    "reference_regions": np.ones((4, 7), np.uint8),
    "values": np.zeros((2, 4, 7), np.float32),
}
NAN_MARKS = marks()
NAN_MARKS[3] = np.nan
INF_MARKS = marks()
INF_MARKS[:2, 1] = np.inf


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "source_features",
            np.zeros((3, 6, 5)),
            r"source_features: got float64 \(3, 6, 5\), expected float32 \(3, 6, 5\)",
        ),
        (
            "source_features",
            np.zeros((4, 6, 5), np.float32),
            r"source_features: got float32 \(4, 6, 5\), expected float32 \(3, 6, 5\)",
        ),
        (
            "reference_features",
            np.zeros((3, 28), np.float32),
            r"reference_features: got float32 \(3, 28\), expected float32 \(C, 4, 7\)",
        ),
        ("reference_features", [[1.0]], r"reference_features: got list, expected a NumPy array"),
        (
            "source_regions",
            np.zeros((6, 5), np.int64),
            r"source_regions: got int64 \(6, 5\), expected uint8 \(H, W\)",
        ),
        (
            "source_regions",
            np.zeros((5, 6), np.uint8),
            r"source_features: got float32 \(3, 6, 5\), expected float32 \(3, 5, 6\)",
        ),
        (
            "values",
            np.zeros((2, 7, 4), np.float32),
            r"values: got float32 \(2, 7, 4\), expected float32 \(V, 4, 7\)",
        ),
        (
            "values",
            np.zeros((0, 4, 7), np.float32),
            r"values: got float32 \(0, 4, 7\), expected at least one plane",
        ),
        (
            "source_landmarks",
            np.zeros((5, 2), np.float32),
            r"source_landmarks: got float32 \(5, 2\), expected float32 \(68, 2\)",
        ),
        (
            "reference_landmarks",
            np.zeros((68, 3), np.float32),
            r"reference_landmarks: got float32 \(68, 3\), expected float32 \(K, 2\)",
        ),
        (
            "reference_landmarks",
            np.zeros((0, 2), np.float32),
            r"reference_landmarks: got float32 \(0, 2\), expected at least one point",
        ),
        (
            "source_landmarks",
            NAN_MARKS,
            r"source_landmarks: 1 of the points of float32 \(68, 2\) are NaN or infinite",
        ),
        (
            "reference_landmarks",
            INF_MARKS,
            r"reference_landmarks: 2 of the points of float32 \(68, 2\) are NaN or infinite",
        ),
    ],
)
def test_wrong_arrays_raise(field, value, message):
    with pytest.raises(InvalidInputError, match=message):
        attentive_morph(**{**GOOD, field: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature: got 0, expected a finite number above 0"),
        ({"temperature": float("nan")}, "temperature: got nan, expected a finite number above 0"),
        ({"visual_weight": -1}, "visual_weight: got -1, expected a finite number of at least 0"),
        ({"pixel_stride": 0}, "pixel_stride: got 0, expected a finite number above 0"),
        ({"threads": 0}, "threads: got 0, expected an integer of at least 1"),
        ({"threads": 1.5}, "threads: got 1.5, expected an integer of at least 1"),
        ({"backend": "gpu"}, "backend: got 'gpu', expected one of 'auto', 'cpu'"),
    ],
)
def test_wrong_options_raise(options, message):
    with pytest.raises(InvalidInputError, match=message):
        attentive_morph(**GOOD, **options)


def test_wrong_out_raises():
    reference = MorphReference(
        GOOD["reference_features"], marks(), GOOD["reference_regions"], GOOD["values"]
    )
    source = GOOD["source_features"], marks(), GOOD["source_regions"]
    with pytest.raises(InvalidInputError, match=r"out: got float32 \(2, 5, 6\), expected float32"):
        reference.morph(*source, out=np.zeros((2, 5, 6), np.float32))
    frozen = np.zeros((2, 6, 5), np.float32)
    frozen.flags.writeable = False
    with pytest.raises(InvalidInputError, match="out: the array is read-only"):
        reference.morph(*source, out=frozen)
    with pytest.raises(InvalidInputError, match="out: shares memory with an input"):
        reference.morph(*source, out=source[0][:2])
