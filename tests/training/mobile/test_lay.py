"""The morph and the change in training are those of the product."""

import numpy as np
import pytest
import torch

from makeup_kernels import TEMPLATE_LANDMARKS, apply_color_map
from makeup_sdk.makeup.codes import GRID, template_layout
from makeup_sdk.models.mobile.layout import CHANGE_GRIDS, LaidCodes
from makeup_sdk.models.mobile.paint import cells_of
from makeup_training.mobile.lay import Lay
from makeup_training.mobile.model import apply_change
from makeup_training.mobile.networks import CODES


@pytest.mark.parametrize("to_template", [True, False])
def test_lay_is_the_kernels_morph(turned_face, to_template):
    faces = (turned_face, template_layout())
    source, target = faces if to_template else faces[::-1]
    codes = np.random.default_rng(0).normal(size=(CODES, GRID, GRID)).astype(np.float32)
    expected = LaidCodes(codes, source).on(target)
    laid = Lay(source, target)(torch.from_numpy(codes)).numpy()
    assert np.abs(laid - expected).max() < 2e-4
    assert np.abs(expected).max() > 0.5


def test_lay_has_gradients(turned_face):
    codes = torch.randn(2, GRID, GRID, dtype=torch.float64, requires_grad=True)
    lay = Lay(turned_face, template_layout())
    weights = torch.randn(2, GRID, GRID, dtype=torch.float64)
    (lay(codes) * weights).sum().backward()
    step = 1e-3 * torch.randn_like(codes)
    with torch.no_grad():
        change = ((lay(codes + step) - lay(codes)) * weights).sum()
    assert torch.isclose(change, (codes.grad * step).sum(), rtol=1e-6)


def test_change_in_training_is_the_kernels():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    change = rng.normal(0, 0.2, (6, 128, 128)).astype(np.float32)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    trained = apply_change(tensor, torch.from_numpy(change)[None])[0].permute(1, 2, 0) * 255
    pixels = np.concatenate([change[:3], 255 * change[3:]])
    painted = apply_color_map(image, pixels, cells_of(np.eye(2, 3), CHANGE_GRIDS["face"]))
    inside = np.s_[1:-1, 1:-1]
    assert np.abs(painted - trained.clamp(0, 255).numpy())[inside].max() <= 0.51


def test_template_of_the_layout_is_the_faces():
    assert np.allclose(template_layout().landmarks, TEMPLATE_LANDMARKS * 256)
