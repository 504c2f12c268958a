import pytest
import torch

from makeup_training.networks.inputs import FaceBatch


@pytest.fixture
def random_faces():
    """Make B faces of bytes: side and seed to a FaceBatch with blocky region maps 0 to 4."""

    def make(batch, side, seed):
        random = torch.Generator().manual_seed(seed)
        image = torch.randint(0, 256, (batch, 3, side, side), generator=random) / 127.5 - 1
        regions = torch.randint(0, 5, (batch, side // 8, side // 8), generator=random)
        regions = regions.repeat_interleave(8, 1).repeat_interleave(8, 2)
        landmarks = torch.rand(batch, 68, 2, generator=random) * side
        return FaceBatch(image, regions, landmarks)

    return make
