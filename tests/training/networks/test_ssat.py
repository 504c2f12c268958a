from copy import deepcopy
from functools import partial

import pytest
import torch

from makeup_training.networks.inputs import one_hot
from makeup_training.networks.ssat import SSATDiscriminator, SSATGenerator
from makeup_training.networks.ssat_phases import decode, rewrite_decoder


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def small_case():
    torch.manual_seed(0)
    images = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    parsings = torch.randint(0, 19, (2, 2, 8, 8)).repeat_interleave(8, 2).repeat_interleave(8, 3)
    return (*images, *(one_hot(p, 18) for p in parsings))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_published_generator_reproduces_golden_values(
    dtype, fill_golden, golden, golden_faces, golden_parsings, assert_golden
):
    """The transfer by the decoder itself; the removal by its form for training, which is faster."""
    generator = SSATGenerator().eval()
    assert count(generator) == 10_482_419
    expected_counts = {
        "enc_c": 378_496,
        "enc_a": 378_496,
        "enc_s": 120_608,
        "enc_trans": 1_769_984 + 2 * 148_104,
        "gen": 7_538_627,
    }
    assert {n: count(m) for n, m in generator.named_children()} == expected_counts
    for part in generator.children():
        fill_golden(part)
    generator.to(dtype)
    source, reference = (face.image for face in golden_faces(dtype))
    source_parsing, reference_parsing = (one_hot(p, 18).to(dtype) for p in golden_parsings)
    fused, decoded = [], []
    projection, decoder = generator.enc_trans.atte["fa_conv"], generator.gen
    projection.register_forward_pre_hook(lambda _, inputs: fused.append(inputs[0]))
    decoder.register_forward_pre_hook(lambda _, inputs: decoded.append(inputs[1]))
    forms = iter([decoder.forward, partial(decode, decoder)])

    def in_turn(content, makeup):
        return next(forms)(content, makeup)

    decoder.forward = in_turn
    with torch.no_grad():
        output = generator(source, reference, source_parsing, reference_parsing)
    expected = golden["ssat_dim1"]
    assert_golden(fused[0], expected["fusion_source"], atol=1e-2)
    assert_golden(decoded[0], expected["makeup_reference_warped"], atol=1e-2)
    assert_golden(decoded[1], expected["makeup_source_warped"], atol=1e-2)
    assert_golden(output.transfer, expected["transfer"], atol=5e-4)
    assert_golden(output.removal, expected["removal"], atol=5e-4)


def test_discriminator_has_published_parameters_keys_and_sizes():
    discriminator = SSATDiscriminator()
    assert count(discriminator) == 8_271_171
    keys = set(discriminator.state_dict())
    for leaf in ("weight_orig", "weight_u", "weight_v", "bias"):
        assert {f"Diss.2.3.model.1.{leaf}", f"Diss.0.4.{leaf}"} <= keys
    sizes = [s.shape[1:] for s in SSATDiscriminator(width=8)(torch.zeros(1, 3, 256, 256))]
    assert sizes == [(1, 16, 16), (1, 8, 8), (1, 4, 4)]


def test_softmax_axes_are_transposes_of_each_other(small_case):
    torch.manual_seed(0)
    new = SSATGenerator(width=8, softmax_dim=1).eval()
    old = SSATGenerator(width=8, softmax_dim=2).eval()
    old.load_state_dict(new.state_dict())
    a, b = new(*small_case), old(*small_case)
    close = partial(torch.testing.assert_close, atol=1e-6, rtol=0)
    close(b.transfer_correspondence, a.removal_correspondence.transpose(1, 2))
    close(b.removal_correspondence, a.transfer_correspondence.transpose(1, 2))
    close(a.transfer_correspondence.sum(1), torch.ones(2, 256))


def test_transfer_alone_equals_the_full_pass(small_case):
    torch.manual_seed(0)
    generator = SSATGenerator(width=8)
    assert torch.equal(generator.transfer(*small_case), generator(*small_case).transfer)


def test_batch_of_two_equals_two_batches_of_one(small_case):
    torch.manual_seed(0)
    generator = SSATGenerator(width=8).double()
    case = [t.double() for t in small_case]
    together = generator(*case)
    for b in range(2):
        alone = generator(*(t[b : b + 1] for t in case))
        for one, both in zip(alone, together, strict=True):
            torch.testing.assert_close(one, both[b : b + 1], atol=1e-10, rtol=0)


@pytest.mark.parametrize("training", [True, False])
def test_discriminator_of_two_equals_two_of_one(small_case, training):
    torch.manual_seed(0)
    discriminator = SSATDiscriminator(width=4).double().train(training)
    image = small_case[0].double()
    # a pass in training moves the power iteration: every pass starts from the same copy
    together = deepcopy(discriminator)(image)
    assert len(together) == 3
    for b in range(2):
        alone = deepcopy(discriminator)(image[b : b + 1])
        for one, both in zip(alone, together, strict=True):
            torch.testing.assert_close(one, both[b : b + 1], atol=1e-12, rtol=0)


def test_phase_rewrite_equals_the_decoder():
    torch.manual_seed(0)
    decoder = SSATGenerator(width=8).gen.eval()
    content, makeup = torch.randn(2, 32, 16, 20), torch.randn(2, 32, 16, 20)
    with torch.no_grad():
        expected = decoder(content, makeup)
        rewritten = rewrite_decoder(decoder)(content, makeup)
    torch.testing.assert_close(rewritten, expected, atol=1e-5, rtol=0)


def test_phase_rewrite_is_exact_in_double_precision():
    torch.manual_seed(0)
    decoder = SSATGenerator(width=8).gen.eval().double()
    content, makeup = torch.randn(2, 1, 32, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(
        rewrite_decoder(decoder)(content, makeup), decoder(content, makeup), atol=1e-12, rtol=0
    )


def test_gradients_reach_every_parameter(small_case):
    torch.manual_seed(0)
    generator = SSATGenerator(width=8)
    output = generator(*small_case)
    (output.transfer.square().mean() + output.removal.square().mean()).backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name


def test_the_decoder_of_training_gives_the_same_image_and_gradients() -> None:
    torch.manual_seed(0)
    decoder = SSATGenerator(width=8).gen.double()
    content, makeup = (torch.randn(2, 32, 6, 6).double().requires_grad_() for _ in range(2))
    grads = []
    for image in (decoder(content, makeup), decode(decoder, content, makeup)):
        parts = [content, makeup, *decoder.parameters()]
        grads.append([image.detach(), *torch.autograd.grad(image.square().sum(), parts)])
    for found, wanted in zip(grads[1], grads[0], strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
