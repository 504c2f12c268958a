import pytest
import torch

from makeup_training.networks.region_gan import (
    LabelLayout,
    MaskNetwork,
    RegionGenerator,
    StarGANDiscriminator,
    StyledRegionGenerator,
    select_masks,
)


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_parameters_keys_and_sizes_at_the_published_width():
    with torch.device("meta"):
        generator, mask_network = RegionGenerator(8), MaskNetwork()
        discriminator, critic = StarGANDiscriminator(256, 5), StarGANDiscriminator(256, 0)
    assert count(generator) == 8_439_936
    assert count(mask_network) == 36_880
    assert count(discriminator) == 44_884_928
    keys = set(generator.state_dict())
    assert {"main.0.weight", "main.1.running_mean", "main.9.main.0.weight"} <= keys
    assert {
        "main.14.main.4.bias",
        "main.15.weight",
        "main.19.running_var",
        "main.21.weight",
    } <= keys
    assert {"main.10.weight", "conv1.weight", "conv2.weight"} <= set(discriminator.state_dict())
    assert "conv2.weight" not in critic.state_dict()


@pytest.mark.parametrize("side", [64, 128, 256])
def test_discriminator_sizes(side):
    scores, logits = StarGANDiscriminator(side, 7, width=2)(torch.zeros(2, 3, side, side))
    assert scores.shape == (2, 1, side // 64, side // 64)
    assert logits.shape == (2, 7)


def test_label_layout():
    layout = LabelLayout(styles=5, attributes=40)
    assert 3 + layout.channels == 53
    makeup = layout.makeup(torch.tensor([3]), torch.tensor([[1, 0, 1]]))
    assert makeup.shape == (1, 50)
    assert makeup.nonzero()[:, 1].tolist() == [3, 5, 7, 48]
    attributes = layout.auxiliary(torch.eye(40)[:1])
    assert attributes.nonzero()[:, 1].tolist() == [8, 49]
    assert LabelLayout().makeup(torch.tensor([0]), torch.zeros(1, 3)).shape == (1, 8)


def test_masks_follow_the_bits():
    probabilities = torch.tensor([0.1, 0.2, 0.3, 0.4]).view(1, 4, 1, 1)
    parts, invariant = select_masks(probabilities, torch.tensor([[1, 1, 0]]))
    torch.testing.assert_close(parts.flatten(), torch.tensor([0.2, 0.4, 0.0]))
    torch.testing.assert_close(invariant.flatten(), torch.tensor([0.4]))


def test_statistics_are_per_image_also_in_eval():
    torch.manual_seed(0)
    generator = RegionGenerator(8, width=8)
    image, label = torch.rand(2, 3, 32, 32), torch.rand(2, 8)
    training = generator(image, label)
    generator.main[1].running_mean.fill_(7.0)
    assert torch.equal(generator.eval()(image, label), training)
    assert generator.main[1].num_batches_tracked == 0


def test_label_enters_through_the_padding():
    torch.manual_seed(0)
    generator = RegionGenerator(8, width=8)
    image = torch.rand(1, 3, 64, 64)

    def after_first_norm(label):
        planes = label[:, :, None, None].expand(-1, -1, 64, 64)
        return generator.main[:2](torch.cat([image, planes], 1))

    difference = (after_first_norm(torch.eye(8)[:1]) - after_first_norm(torch.eye(8)[1:2])).abs()
    inside = difference[..., 3:-3, 3:-3].mean()
    assert difference[..., :3, :].mean() > 5 * inside


def test_batch_of_two_equals_two_batches_of_one():
    torch.manual_seed(0)
    generator = RegionGenerator(8, width=8).double()
    masks = MaskNetwork(width=8).double()
    image = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    label = torch.rand(2, 8, dtype=torch.float64)
    features = generator.encode(image, label)
    together = generator.decode(features), masks(features)
    assert together[1].shape == (2, 4, 64, 64)
    for b in range(2):
        one = generator.encode(image[b : b + 1], label[b : b + 1])
        for alone, both in zip((generator.decode(one), masks(one)), together, strict=True):
            torch.testing.assert_close(alone, both[b : b + 1], atol=1e-10, rtol=0)


@pytest.mark.parametrize("classes", [0, 5])
def test_critic_of_two_equals_two_of_one(classes):
    torch.manual_seed(0)
    critic = StarGANDiscriminator(64, classes, width=4).double()
    image = torch.rand(2, 3, 64, 64, dtype=torch.float64) * 2 - 1
    together = critic(image)
    for b in range(2):
        for alone, both in zip(critic(image[b : b + 1]), together, strict=True):
            if both is None:
                assert alone is None
            else:
                torch.testing.assert_close(alone, both[b : b + 1], atol=1e-12, rtol=0)


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    generator, masks = RegionGenerator(8, width=8), MaskNetwork(width=8)
    features = generator.encode(torch.rand(1, 3, 32, 32), torch.rand(1, 8))
    (generator.decode(features).square().mean() + masks(features).square().mean()).backward()
    for module in (generator, masks):
        assert all(p.grad.abs().sum() > 0 for p in module.parameters())


def test_styled_generator_covers_colors_and_gradients_reach_every_parameter():
    torch.manual_seed(0)
    generator = StyledRegionGenerator(9, width=8).double()
    image, label = torch.rand(2, 3, 32, 32).double() * 2 - 1, torch.rand(2, 9).double()
    result = generator(image, label)
    result.square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in generator.parameters())
    with torch.no_grad():
        generator.cover.weight.zero_()
        generator.cover.bias.fill_(40.0)
        own = torch.nn.functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False)
        generator.last.weight.zero_()
        generator.last.bias.fill_(0.25)
        flat = generator(image, label) - image
    torch.testing.assert_close(flat, 0.25 - own)
