"""Network inputs against the formula in float64."""

import numpy as np
import pytest

from makeup_sdk.faces.planes import normalized_planes


@pytest.mark.parametrize("color", ["bgr", "rgb"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_formula(color: str, dtype: type) -> None:
    image = np.random.default_rng(0).uniform(0, 255, (5, 7, 3)).astype(dtype)
    mean, scale = (103.5, 0.0, 123.25), (1 / 57, 2.0, 1 / 58)
    found = normalized_planes(image, color=color, mean=mean, scale=scale)
    pixels = image.astype(np.float64)[..., :: 1 if color == "bgr" else -1]
    expected = ((pixels - mean) * scale).transpose(2, 0, 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], expected, rtol=1e-6, atol=1e-5)


def test_a_window_of_a_larger_input_is_filled() -> None:
    image = np.full((2, 3, 3), 255, np.uint8)
    canvas = np.zeros((1, 3, 4, 4), np.float32)
    normalized_planes(image[:, 1:], out=canvas[:, :, :2, 1:3])
    assert (canvas[:, :, :2, 1:3] == 1).all()
    assert canvas.sum() == 12
