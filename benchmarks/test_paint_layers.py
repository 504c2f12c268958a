"""Painting layers against the same formula in NumPy, in the same precision."""

import numpy as np
import pytest

from makeup_kernels import Factor, Pigment, Shine, paint_layers
from makeup_kernels.paint_layers.reference import paint_layers_reference

LIGHT = np.array([0.6, 0.8, 0.9], np.float32)


def make_eye(rows, columns):
    """Skin around an eye, and what is worn there: shadow, its sheen, liner, lashes, brow."""
    rng = np.random.default_rng(0)
    skin = rng.uniform(0.1, 0.4, (rows, columns, 3)).astype(np.float32)
    opacity = rng.uniform(0, 1, (5, rows, columns)).astype(np.float32)
    black = np.array([0.01, 0.01, 0.02], np.float32)
    layers = [
        Pigment(opacity[0], rng.uniform(0, 1, skin.T.transpose(0, 2, 1).shape).astype(np.float32)),
        Shine(0.1 * opacity[1], LIGHT),
        Factor(0.5 + opacity[1]),
        Pigment(opacity[2], black, leveling=0.4),
        Pigment(opacity[3], black, amount=1.2, leveling=0.3),
        Pigment(opacity[4], black, hiding=0.5),
    ]
    return skin, layers


@pytest.mark.parametrize("shape", [(86, 114), (260, 340)], ids=str)
class TestPaintLayers:
    @pytest.fixture(autouse=True)
    def group(self, benchmark, shape):
        benchmark.group = f"paint_layers: 6 layers on {shape[0]}×{shape[1]} cells"

    def test_makeup_kernels(self, shape, measure):
        skin, layers = make_eye(*shape)
        measure(lambda: paint_layers(skin, LIGHT, 0.2, layers), ours=True)

    def test_numpy(self, shape, measure):
        skin, layers = make_eye(*shape)
        found = measure(lambda: paint_layers_reference(skin, LIGHT, 0.2, layers, np.float32))
        assert np.abs(found - paint_layers(skin, LIGHT, 0.2, layers)).max() < 1e-2
