import pytest
import torch

from makeup_kernels import TEMPLATE_LANDMARKS, Region
from makeup_training.networks.inputs import FaceBatch
from makeup_training.networks.psgan import PSGANGenerator
from makeup_training.networks.psgan_pose import (
    MakeupDiscriminator,
    Part,
    PoseCorrectedGenerator,
    part_inputs,
    pose_correction,
)
from makeup_training.networks.warp import (
    reduce_grid,
    sample,
    sampling_grid,
    thin_plate_positions,
    visible,
)


def count(module):
    return sum(p.numel() for p in module.parameters())


def faces_of(side, seed=0, shift=(0.0, 0.0), dtype=torch.float32):
    """A face at the template's place, its region map made of five blocks."""
    random = torch.Generator().manual_seed(seed)
    landmarks = torch.from_numpy(TEMPLATE_LANDMARKS).to(dtype)[None] * side
    image = torch.rand(1, 3, side, side, generator=random, dtype=dtype) * 2 - 1
    regions = torch.zeros(1, side, side, dtype=torch.uint8)
    regions[:, side // 4 : -side // 8, side // 4 : -side // 4] = Region.SKIN
    regions[:, int(side * 0.67) : int(side * 0.78), int(side * 0.4) : int(side * 0.6)] = Region.LIPS
    regions[:, int(side * 0.4) : int(side * 0.47), side // 4 : -side // 4] = Region.EYES
    regions[:, int(side * 0.33) : int(side * 0.38), side // 4 : -side // 4] = Region.BROWS
    return FaceBatch(image, regions, landmarks + torch.tensor(shift, dtype=dtype))


def test_warp_meets_the_landmarks():
    torch.manual_seed(0)
    source = faces_of(128).landmarks.round()
    reference = source + torch.randn_like(source) * 0.5 + torch.tensor([3.0, -2.0])
    positions = thin_plate_positions(source, reference, (128, 128))
    x, y = source[0].long().unbind(1)
    # smoothing trades exactness for bending, more where neighbours disagree
    assert (positions[0, y, x] - reference[0]).norm(dim=1).mean() < 0.5


def test_warp_of_equal_landmarks_is_the_identity():
    landmarks = faces_of(64).landmarks
    positions = thin_plate_positions(landmarks, landmarks, (64, 64))
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    torch.testing.assert_close(positions[0], torch.stack([x, y], 2), atol=1e-3, rtol=0)
    assert visible(positions)[0, 1:-1, 1:-1].all()
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(sample(image, sampling_grid(positions)), image, atol=1e-4, rtol=0)


def test_coinciding_landmarks_are_solvable():
    landmarks = faces_of(64).landmarks.clone()
    landmarks[:, 61:64] = landmarks[:, 65:68].flip(1)
    assert thin_plate_positions(landmarks, landmarks + 1, (64, 64)).isfinite().all()


def test_outside_folded_and_overstretched_places_are_hidden():
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    shifted = torch.stack([x + 3, y], 2)[None]
    assert visible(shifted)[0].sum(1).tolist() == [5] * 8
    mirrored = torch.stack([7 - x, y], 2)[None]
    assert not visible(mirrored).any()
    assert visible(torch.stack([x * 0.2, y], 2)[None]).all()
    assert not visible(torch.stack([x * 0.1, y], 2)[None]).any()


def test_reduced_grid_samples_block_centres():
    landmarks = faces_of(64).landmarks
    grid = sampling_grid(thin_plate_positions(landmarks, landmarks, (64, 64)))
    small = torch.rand(1, 1, 16, 16)
    torch.testing.assert_close(sample(small, reduce_grid(grid, 4)), small, atol=1e-3, rtol=0)


def test_keys_are_those_of_psgan_without_attention():
    with torch.device("meta"):
        ours, published = PoseCorrectedGenerator().state_dict(), PSGANGenerator().state_dict()
    assert set(published) - set(ours) == {k for k in published if k.startswith("atten_")}
    assert not set(ours) - set(published)


@pytest.mark.parametrize("warp", ["image", "maps"])
def test_aligned_faces_take_the_maps_in_place(warp):
    torch.manual_seed(0)
    generator = PoseCorrectedGenerator(width=8, warp=warp).eval()
    source, reference = faces_of(64, 1), faces_of(64, 2)
    _, gamma, beta = generator.encode_reference(reference.image)
    mask = torch.nn.functional.avg_pool2d((source.regions > 0).float()[:, None], 4)
    expected = generator.decode(generator.encode_source(source.image), gamma * mask, beta * mask)
    torch.testing.assert_close(generator(source, reference), expected, atol=1e-3, rtol=0)


def test_makeup_stays_inside_regions_that_both_faces_show():
    source, reference = faces_of(64, 1), faces_of(64, 2)
    reference.regions[reference.regions == Region.LIPS] = Region.NONE
    _, mask = pose_correction(source, reference)
    assert set(source.regions[mask[:, 0] == 1].tolist()) == {2, 3, 4}
    assert mask[:, 0][source.regions == Region.SKIN].mean() > 0.95


def test_generator_batch_of_two_equals_two_batches_of_one():
    torch.manual_seed(0)
    generator = PoseCorrectedGenerator(width=8).double()
    pairs = [
        (faces_of(64, 1, (1.0, 2.0), torch.float64), faces_of(64, 2, dtype=torch.float64)),
        (faces_of(64, 3, dtype=torch.float64), faces_of(64, 4, (-2.0, 1.0), torch.float64)),
    ]
    batches = [
        FaceBatch(*map(torch.cat, zip(*faces, strict=True))) for faces in zip(*pairs, strict=True)
    ]
    together = generator(*batches)
    for b, pair in enumerate(pairs):
        torch.testing.assert_close(generator(*pair), together[b : b + 1], atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("part", "parameters"), [(Part.BROWS, 809_184), (Part.EYES, 809_184), (Part.LIPS, 799_264)]
)
def test_discriminator_parameters_and_keys(part, parameters):
    with torch.device("meta"):
        discriminator = MakeupDiscriminator(part)
    assert count(discriminator) - count(discriminator.score) == parameters
    keys = set(discriminator.state_dict())
    assert {
        "conv0.weight",
        "sft_branch.0.sft0.SFT_scale_conv0.weight",
        "sft_branch.7.conv1.bias",
        "sft_branch.8.SFT_shift_conv1.weight",
        "sft_branch.9.weight",
        "CondNet.8.bias",
    } <= keys
    assert not any(k.startswith("sft_branch.10") for k in keys)


@pytest.mark.parametrize("part", list(Part))
def test_discriminator_reads_part_inputs(part):
    torch.manual_seed(0)
    face = faces_of(128)
    image, condition = part_inputs(face, part)
    halves = len(part.points)
    assert image.shape == (1, 3 * halves, *part.crop_size)
    assert condition.shape == (1, 4 * halves, *part.crop_size)
    discriminator = MakeupDiscriminator(part, width=8, blocks=2)
    assert discriminator(image, condition).shape == (1, 1, *part.crop_size)
    two = discriminator(torch.cat([image, -image]), torch.cat([condition, condition]))
    torch.testing.assert_close(two[:1], discriminator(image, condition))
    torch.testing.assert_close(two[1:], discriminator(-image, condition))


def test_part_inputs_show_the_part_alone_and_mirror_its_mask():
    face = faces_of(128)._replace(image=torch.ones(1, 3, 128, 128))
    image, condition = part_inputs(face, Part.LIPS)
    inside = condition[:, :1] == 1
    assert inside.any()
    # bilinear crops blur the mask's edge by a pixel
    assert image[~inside.expand_as(image)].mean() < 0.2
    assert image[inside.expand_as(image)].mean() > 0.9
    own, flipped, to_right, to_left = condition[0]
    assert torch.equal(own.flip(1), flipped)
    half = own.shape[1] // 2
    assert torch.equal(to_right[:, :half], own[:, :half])
    assert torch.equal(to_right, to_right.flip(1))
    assert torch.equal(to_left[:, half:], own[:, half:])
    assert torch.equal(to_left, to_left.flip(1))
