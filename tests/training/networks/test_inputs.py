import numpy as np
import pytest
import torch

from makeup_kernels.errors import InvalidInputError
from makeup_training.networks.inputs import feature_regions, one_hot, psgan_regions


def landmarks_with_eyes(left, right):
    """68 points; 42–47 fill the `left` (x0, y0, x1, y1), 36–41 the `right`; the others mid-face."""
    points = np.full((68, 2), 128.0)
    for start, (x0, y0, x1, y1) in ((42, left), (36, right)):
        points[start : start + 6] = np.linspace((x0, y0), (x1, y1), 6)
    return points


def test_lips_skin_and_eye_rectangles():
    parsing = np.zeros((256, 256), np.int64)
    parsing[40:220, 40:220] = 1
    parsing[100:110, 120:130] = 6
    parsing[180:190, 100:150] = 7
    parsing[195:205, 100:150] = 9
    parsing[190:195, 100:150] = 8
    parsing[88:96, 160:180] = 4
    parsing[70:74, 160:180] = 2
    regions = psgan_regions(parsing, landmarks_with_eyes((160, 85, 180, 100), (70, 85, 90, 100)))
    expected = np.zeros((256, 256), np.uint8)
    expected[40:220, 40:220] = 2
    expected[180:190, 100:150] = 1
    expected[195:205, 100:150] = 1
    expected[190:195, 100:150] = 0
    for x0, x1 in ((160, 180), (70, 90)):
        expected[69:117, x0 - 16 : x1 + 17] = 3
    expected[88:96, 160:180] = 0
    expected[70:74, 160:180] = 0
    np.testing.assert_array_equal(regions, expected)


def test_rectangle_that_starts_outside_the_crop_is_empty():
    parsing = np.ones((256, 256), np.int64)
    regions = psgan_regions(parsing, landmarks_with_eyes((160, 85, 180, 100), (10, 85, 30, 100)))
    assert (regions[:, :100] == 2).all()
    assert (regions[69:117, 144:197] == 3).all()


def test_overlap_of_the_rectangles_is_in_no_region():
    parsing = np.ones((256, 256), np.int64)
    regions = psgan_regions(parsing, landmarks_with_eyes((130, 85, 150, 100), (100, 85, 120, 100)))
    assert (regions[69:117, 84:114] == 3).all()
    assert (regions[69:117, 114:137] == 0).all()
    assert (regions[69:117, 137:167] == 3).all()


def test_wrong_shapes_are_refused():
    with pytest.raises(InvalidInputError, match=r"got shapes \(4, 4\) and \(5, 2\)"):
        psgan_regions(np.zeros((4, 4), np.int64), np.zeros((5, 2)))


def test_feature_regions_read_every_fourth_pixel():
    regions = torch.arange(64).view(1, 8, 8)
    assert feature_regions(regions).tolist() == [[[0, 4], [32, 36]]]


def test_one_hot_leaves_ids_beyond_the_classes_empty():
    planes = one_hot(torch.tensor([[[0, 2], [18, 17]]]), 18)
    assert planes.shape == (1, 18, 2, 2)
    assert planes.sum((0, 1)).tolist() == [[1, 1], [0, 1]]
    assert planes[0, 2, 0, 1] == 1
    assert planes[0, 17, 1, 1] == 1
