"""The eyes' own axes, against those that the renderer paints in, and the colours of their cells."""

import numpy as np
import pytest
import torch

from makeup_kernels import Region
from makeup_sdk.faces.layout import mirrored_landmarks
from makeup_sdk.faces.template import template_landmarks, template_regions
from makeup_sdk.models.mobile.layout import CHANGE_GRIDS
from makeup_training.cosmetics.geometry import Eye
from makeup_training.mobile.eye_cells import ALONG, EYE_CELLS, eye_axes, eye_cells

WINDOW = CHANGE_GRIDS["eyes"]
OUTER = [i for i, middle in enumerate(ALONG) if middle > 1]
INNER = [i for i, middle in enumerate(ALONG) if middle < 0]


@pytest.fixture
def eyes():
    """The template's landmarks, and where its eyes' region is in the window."""
    own = torch.from_numpy((template_regions() == Region.EYES)[WINDOW.pixels])
    return torch.from_numpy(template_landmarks()[None]), own[None, None].float()


def test_the_axes_are_those_of_the_renderer(turned_face):
    points = turned_face.landmarks
    found = eye_axes(torch.from_numpy(points[None]), WINDOW)[0].numpy()
    for left in (True, False):
        eye = Eye(points.astype(np.float64), left, (256, 256), tail=0.0)
        whole = np.full((3, 256, 256), np.nan, np.float32)
        whole[(slice(None), *eye.window.slices)] = eye.t, eye.v - eye.lid, eye.under - eye.v
        half = (..., slice(0, 64) if left else slice(64, 128))
        wanted = whole[(slice(None), *WINDOW.pixels)][half]
        seen = np.isfinite(wanted)
        assert seen.mean() > 0.7
        error = np.abs(found[:3][half] - np.clip(wanted, -2, 2))[seen]
        assert error.max() < 0.02


def test_from_lid_to_brow(eyes):
    landmarks, _ = eyes
    _, above, _, upwards = eye_axes(landmarks, WINDOW)[0]
    for point in (37, 43):
        column, row = np.round(landmarks[0, point].numpy()).astype(int)
        here = row - WINDOW.top, column - WINDOW.left
        assert abs(upwards[here]) < 0.15
        assert abs(above[here]) < 0.03
    column, row = np.round(landmarks[0, 19].numpy()).astype(int)
    assert upwards[row - WINDOW.top, column - WINDOW.left] > 0.9


def test_both_eyes_are_alike(eyes):
    landmarks, _ = eyes
    mirrored = torch.from_numpy(mirrored_landmarks(landmarks[0].numpy())[None])
    found, other = (eye_axes(points, WINDOW) for points in (landmarks, mirrored))
    assert torch.allclose(found, other.flip(3), atol=1e-4)


def cells_of(light, eyes):
    landmarks, own = eyes
    found = eye_cells(light.expand(1, 3, -1, -1), own, landmarks, WINDOW)
    assert found.shape == (1, 3 * EYE_CELLS, 1, 1)
    return found.view(3, len(ALONG), -1)[0]


@pytest.mark.parametrize("side", [OUTER, INNER])
def test_a_wing_and_a_highlight_are_seen_at_their_corner_only(eyes, side):
    landmarks, own = eyes
    along, above, _, _ = eye_axes(landmarks, WINDOW)[0]
    beside = along > 1.08 if side == OUTER else along < -0.02
    mark = (beside & (above.abs() < 0.2)).float() * own
    assert mark.sum() > 20
    found = cells_of(mark, eyes)
    middle = [i for i, place in enumerate(ALONG) if 0.2 <= place <= 0.8]
    assert found[side].max() > 0.5
    assert found[middle].max() < 0.1


def test_an_even_colour_is_the_same_in_all_cells_that_are_seen(eyes):
    found = cells_of(torch.ones(1, 1, WINDOW.rows, WINDOW.columns), eyes)
    assert found.max() <= 1
    assert (found > 0.8).float().mean() > 0.7


@pytest.mark.parametrize("where", ["nowhere", "one point"])
def test_eyes_that_are_not_seen_give_no_nan(eyes, where):
    landmarks, own = eyes
    light = torch.randn(1, 3, WINDOW.rows, WINDOW.columns)
    if where == "nowhere":
        assert not eye_cells(light, 0 * own, landmarks, WINDOW).any()
    else:
        assert torch.isfinite(eye_cells(light, own, landmarks * 0 + 128, WINDOW)).all()
