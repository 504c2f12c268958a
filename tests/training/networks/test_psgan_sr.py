import torch

from makeup_training.networks.inputs import FaceBatch
from makeup_training.networks.psgan_sr import (
    Hourglass,
    PriorNetwork,
    PSGANSuperResolution,
    SuperResolutionModule,
    enlarge,
)


def count(module):
    return sum(p.numel() for p in module.parameters())


def low_resolution(face):
    return face.with_image(face.image[..., ::4, ::4])


def test_parameter_counts_at_the_published_width():
    with torch.device("meta"):
        prior, super_resolution = PriorNetwork(), SuperResolutionModule()
    heads = count(prior.landmark_head) + count(prior.parsing_head)
    assert heads == 28_380
    assert count(prior) - heads == 2_927_168
    assert count(super_resolution) == 510_656


def test_sizes(random_faces):
    faces = [low_resolution(random_faces(1, 64, seed)) for seed in (1, 2)]
    result = PSGANSuperResolution(width=8)(*faces)
    assert result.image.shape == result.blurry.shape == (1, 3, 64, 64)
    assert result.landmark_maps.shape == (1, 201, 32, 32)
    assert result.parsing.shape == (1, 19, 32, 32)
    assert result.image.abs().max() <= 1


def test_hourglass_keeps_the_size_and_shares_no_block():
    hourglass = Hourglass(8, order=4).eval()
    assert hourglass(torch.rand(1, 8, 16, 32)).shape == (1, 8, 16, 32)
    parameters = list(hourglass.named_parameters(remove_duplicate=False))
    assert len({id(p) for _, p in parameters}) == len(parameters)


def test_prior_starts_small():
    torch.manual_seed(0)
    prior = PriorNetwork(width=8)
    features = prior(torch.rand(1, 3, 64, 64) * 2 - 1)
    assert all((plane == 0).all() for plane in prior.predict(features))
    # each level adds the enlarged pooling of what it got: 1 + 5 terms of one size at the most
    x = prior.residuals(prior.stem(torch.rand(1, 3, 64, 64)))
    assert prior.hourglasses[0](x).abs().max() <= 6 * x.abs().max()
    prior.predict(features)[0].sum().backward()
    assert prior.landmark_head.weight.grad.abs().sum() > 0


def test_enlarging_keeps_constants_and_the_range():
    assert enlarge(torch.full((1, 3, 8, 8), 0.25)).sub(0.25).abs().max() < 1e-6
    checks = torch.ones(1, 3, 8, 8)
    checks[..., ::2] = -1
    assert enlarge(checks).abs().max() <= 1


def test_batch_of_two_equals_two_batches_of_one(random_faces):
    torch.manual_seed(0)
    network = PSGANSuperResolution(width=8).double().eval()
    faces = [low_resolution(random_faces(2, 64, seed, dtype=torch.float64)) for seed in (1, 2)]
    together = network(*faces)
    for b in range(2):
        alone = network(*(FaceBatch(*(t[b : b + 1] for t in face)) for face in faces))
        for one, both in zip(alone, together, strict=True):
            torch.testing.assert_close(one, both[b : b + 1], atol=1e-10, rtol=0)


def test_gradients_reach_every_applied_parameter(random_faces):
    torch.manual_seed(0)
    network = PSGANSuperResolution(width=8)
    faces = [low_resolution(random_faces(1, 64, seed)) for seed in (1, 2)]
    sum(output.square().mean() for output in network(*faces)).backward()
    for name, parameter in network.named_parameters():
        if "atten_" not in name:
            assert parameter.grad is not None, name
