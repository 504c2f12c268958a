import numpy as np
import pytest
import torch

from makeup_kernels import attentive_morph
from makeup_training.networks.blocks import PatchDiscriminator
from makeup_training.networks.inputs import FaceBatch, feature_regions
from makeup_training.networks.psgan import PSGANGenerator

PUBLISHED_PARAMETERS = 12_615_620
PUBLISHED_TENSORS = 51


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_published_generator_reproduces_golden_values(
    dtype, fill_golden, golden, golden_faces, assert_golden
):
    generator = PSGANGenerator().eval()
    assert count(generator) == PUBLISHED_PARAMETERS
    assert len(generator.state_dict()) == PUBLISHED_TENSORS
    fill_golden(generator)
    generator.to(dtype)
    source, reference = golden_faces(dtype)
    expected = golden["psgan"]
    with torch.no_grad():
        source_features = generator.encode_source(source.image)
        reference_features, gamma, beta = generator.encode_reference(reference.image)
        warped = generator.morph(source_features, source, reference)
        output = generator.decode(source_features, *warped)
    features = expected["reference_feature_after_pnet_bottleneck_3"]
    assert_golden(reference_features, features, atol=1e-2)
    assert_golden(gamma, expected["gamma_reference"], atol=5e-4)
    assert_golden(beta, expected["beta_reference"], atol=5e-4)
    assert_golden(warped[0], expected["gamma_warped"], atol=1e-2)
    assert_golden(warped[1], expected["beta_warped"], atol=1e-2)
    assert_golden(output, expected["output"], atol=5e-4)

    by_kernel = attentive_morph(
        source_features[0].float().numpy(),
        reference_features[0].float().numpy(),
        source.landmarks[0].numpy(),
        reference.landmarks[0].numpy(),
        np.ascontiguousarray(feature_regions(source.regions)[0]),
        np.ascontiguousarray(feature_regions(reference.regions)[0]),
        torch.cat([gamma, beta], 1)[0].float().numpy(),
    )
    np.testing.assert_allclose(by_kernel, torch.cat(warped, 1)[0].numpy(), atol=1e-4)


def test_one_call_equals_two(random_faces):
    torch.manual_seed(0)
    generator = PSGANGenerator(width=8)
    source, reference = random_faces(1, 64, 1), random_faces(1, 64, 2)
    with torch.no_grad():
        warped = generator.warped_makeup(source, reference)
        two_calls = generator.transfer(source.image, *warped)
        assert torch.equal(generator(source, reference), two_calls)


def test_branches_have_published_parameter_counts():
    parameters = dict(PSGANGenerator().named_parameters())
    counts = {
        prefix: sum(p.numel() for name, p in parameters.items() if name.startswith(prefix))
        for prefix in ("pnet_", "simple_spade", "tnet_", "atten_")
    }
    assert counts["pnet_"] + counts["simple_spade"] == 4_208_192
    assert counts["tnet_"] == 8_407_424
    assert counts["atten_"] == 4


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_published_discriminator_reproduces_golden_values(
    dtype, fill_golden, golden, golden_faces, assert_golden
):
    discriminator = PatchDiscriminator().eval()
    assert count(discriminator) == 2_764_736
    fill_golden(discriminator)
    discriminator.to(dtype)
    source, _ = golden_faces(dtype)
    with torch.no_grad():
        output = discriminator(source.image)
    assert_golden(output, golden["psgan_D"]["output"], atol=5e-4)


def test_batch_of_two_equals_two_batches_of_one(random_faces):
    torch.manual_seed(0)
    generator = PSGANGenerator(width=8).double()
    faces = [random_faces(2, 64, seed, dtype=torch.float64) for seed in (1, 2)]
    together = generator(*faces)
    for b in range(2):
        alone = generator(*(FaceBatch(*(t[b : b + 1] for t in face)) for face in faces))
        torch.testing.assert_close(alone, together[b : b + 1], atol=1e-10, rtol=0)


def test_discriminator_batch_of_two_equals_two_batches_of_one():
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(width=8)
    state = {k: v.clone() for k, v in discriminator.state_dict().items()}
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    together = discriminator(images)
    for b in range(2):
        discriminator.load_state_dict(state)
        torch.testing.assert_close(discriminator(images[b : b + 1]), together[b : b + 1])


def test_power_iteration_runs_in_eval_and_converges_to_the_largest_singular_value():
    torch.manual_seed(0)
    layer = PatchDiscriminator(width=8).eval().conv1
    for _ in range(3):
        layer.normalised_weight()
    expected = layer.raw_weight / torch.linalg.matrix_norm(layer.raw_weight.flatten(1), ord=2)
    torch.testing.assert_close(layer.normalised_weight(), expected)


def test_two_discriminator_passes_before_one_backward():
    discriminator = PatchDiscriminator(width=8)
    real, fake = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    (discriminator(real).mean() - discriminator(fake).mean()).backward()
    assert all(p.grad.isfinite().all() for p in discriminator.parameters())


def test_unused_published_weights_change_nothing(random_faces):
    torch.manual_seed(0)
    generator = PSGANGenerator(width=8).eval()
    faces = random_faces(1, 64, 1), random_faces(1, 64, 2)
    before = generator(*faces)
    generator.atten_bottleneck_g["g"].weight.fill_(100.0)
    assert torch.equal(generator(*faces), before)


def test_gradients_reach_every_applied_parameter(random_faces):
    torch.manual_seed(0)
    generator = PSGANGenerator(width=8)
    generator(random_faces(1, 64, 1), random_faces(1, 64, 2)).square().mean().backward()
    for name, parameter in generator.named_parameters():
        if not name.startswith("atten_"):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
