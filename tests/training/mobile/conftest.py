"""Two makeups on three faces each, and a face unlike the template."""

import numpy as np
import pytest

from makeup_sdk.classic.layout import FaceLayout
from makeup_sdk.classic.template import template_landmarks, template_regions
from makeup_training.data.readers import open_collection
from makeup_training.mobile.samples import Samples, paint


@pytest.fixture(scope="module")
def samples_folder(faces_folder, tmp_path_factory):
    """Two makeups on three faces each."""
    folder = tmp_path_factory.mktemp("samples")
    paint(open_collection(faces_folder).bare, folder, makeups=2, faces=3, seed=0)
    return folder


@pytest.fixture(scope="module")
def samples(samples_folder):
    return Samples.open(samples_folder)


@pytest.fixture(scope="session")
def turned_face():
    """Another face than the template: wider, shifted and turned a little."""
    angle = 0.1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (template_landmarks() - 128) @ turn.T * [1.05, 0.97] + [131, 126]
    y, x = np.mgrid[:256, :256]
    back = ((np.stack([x, y], -1) - [131, 126]) / [1.05, 0.97]) @ turn + 128
    column, row = np.clip(np.round(back).astype(int), 0, 255).transpose(2, 0, 1)
    regions = np.ascontiguousarray(template_regions()[row, column])
    return FaceLayout(points.astype(np.float32), regions)
