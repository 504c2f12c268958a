import pytest
import torch

from makeup_training.checkpoints import CheckpointError
from makeup_training.losses.perceptual import (
    VGG19_RELU_1_TO_5,
    MaskedSlices,
    VGGFeatures,
    VGGPerceptual,
    masked_perceptual_loss,
    perceptual_loss,
)
from makeup_training.losses.structure import gradient_profile_loss

TORCHVISION_VGG16_WIDTHS = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256}
TORCHVISION_VGG16_WIDTHS |= dict.fromkeys((17, 19, 21, 24, 26, 28), 512)


@pytest.fixture(scope="module")
def images():
    torch.manual_seed(0)
    return torch.rand(2, 2, 3, 32, 32) * 2 - 1


@pytest.fixture(scope="module")
def vgg():
    torch.manual_seed(0)
    return VGGFeatures("vgg16", (3, 8))


def test_vgg_has_torchvisions_keys_and_parameters():
    with torch.device("meta"):
        state = VGGFeatures("vgg16", (30,)).state_dict()
        vgg19 = VGGFeatures("vgg19", VGG19_RELU_1_TO_5).state_dict()
    assert {
        int(k.split(".")[1]): v.shape[0] for k, v in state.items() if k.endswith("weight")
    } == TORCHVISION_VGG16_WIDTHS
    assert sum(v.numel() for v in state.values()) == 14_714_688
    assert sum(v.numel() for v in vgg19.values()) == 20_024_384
    assert "features.34.weight" in vgg19


def test_layer_indices_are_the_relus_they_are_named_after():
    with torch.device("meta"):
        vgg16, vgg19 = VGGFeatures("vgg16", (30,)), VGGFeatures("vgg19", VGG19_RELU_1_TO_5)
    kinds = [type(vgg19.features[i]).__name__ for i in VGG19_RELU_1_TO_5]
    assert kinds == ["ReLU"] * 5
    assert [vgg19.features[i - 1].in_channels for i in VGG19_RELU_1_TO_5] == [3, 64, 128, 256, 512]
    assert type(vgg16.features[30]).__name__ == "MaxPool2d"
    assert type(vgg16.features[29]).__name__ == "ReLU"
    assert len(vgg16.features) == 31


def test_equal_images_have_no_distance_and_batches_average(images, vgg):
    loss = VGGPerceptual(vgg)
    x, y = images
    assert loss(x, x).item() == 0
    alone = [loss(x[b : b + 1], y[b : b + 1]).item() for b in range(2)]
    assert loss(x, y).item() == pytest.approx(sum(alone) / 2, rel=1e-5)


def test_weight_scales_the_squared_differences(images, vgg):
    loss = VGGPerceptual(vgg)
    x, y = images
    half = torch.full((2, 1, 32, 32), 0.5)
    assert loss(x, y, half).item() == pytest.approx(loss(x, y).item() / 2, rel=1e-5)
    assert loss(x, y, 0 * half).item() == 0


def test_gradients_reach_the_result_and_not_the_network(images, vgg):
    x = images[0].clone().requires_grad_()
    VGGPerceptual(vgg)(x, images[1]).backward()
    assert x.grad.abs().sum() > 0
    assert all(p.grad is None for p in vgg.parameters())


def test_weights_load_from_a_whole_torchvision_file(tmp_path, images):
    torch.manual_seed(1)
    whole = VGGFeatures("vgg16", (29,))
    state = whole.state_dict() | {"classifier.0.weight": torch.zeros(3)}
    torch.save(state, tmp_path / "vgg16.pth")
    loss = perceptual_loss(tmp_path / "vgg16.pth", layer=29)
    expected = VGGPerceptual(whole)(*images)
    assert torch.equal(loss(*images), expected)


def test_file_of_another_network_is_refused(tmp_path):
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="does not fit VGGFeatures: missing: features"):
        perceptual_loss(tmp_path / "other.pth")


def test_without_weights_the_structure_loss_takes_its_place_and_says_so(caplog, images):
    loss = perceptual_loss(None)
    masked = masked_perceptual_loss(None)
    assert [r.getMessage() for r in caplog.records] == [
        "no VGG weights given: the structure loss (SPL) takes the place of the perceptual loss"
    ] * 2
    x, y = images
    expected = gradient_profile_loss(x, y)
    assert torch.equal(loss(x, y), expected)
    ones = torch.ones(2, 1, 32, 32)
    assert torch.equal(loss(x, y, ones), expected)
    torch.testing.assert_close(masked(x, y, ones.expand(2, 2, 32, 32), (1.0, 2.0)), 3 * expected)


def test_masked_slices_against_their_formula(images):
    torch.manual_seed(0)
    features = VGGFeatures("vgg19", VGG19_RELU_1_TO_5)
    x, y = images[:, :1]
    masks = torch.zeros(1, 2, 32, 32)
    masks[:, 0, :16], masks[:, 1, 16:] = 1, 1
    expected = 0.0
    for p, part_weight in enumerate((10.0, 5.0)):
        pairs = zip(features(x * masks[:, p, None]), features(y * masks[:, p, None]), strict=True)
        for (a, b), w in zip(pairs, (1 / 4, 1 / 4, 1 / 4, 1 / 8, 1 / 8), strict=True):
            expected += part_weight * w * (a - b).abs().mean()
    torch.testing.assert_close(MaskedSlices(features)(x, y, masks, (10.0, 5.0)), expected)
