"""Each system's objective: its terms against their formulas, on networks of a few channels."""

import logging
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import l1_loss, mse_loss

from makeup_kernels.errors import InvalidInputError
from makeup_training.losses.adversarial import least_squares, logistic
from makeup_training.losses.histogram import weighted_histogram_loss
from makeup_training.losses.masks import soft_inverse_mask, weighted_cycle
from makeup_training.losses.perceptual import masked_perceptual_loss, perceptual_loss
from makeup_training.losses.portrait_edit import PortraitBatch, PortraitObjective
from makeup_training.losses.psgan import PoseCorrectedObjective, PSGANObjective
from makeup_training.losses.psgan_sr import SharpTarget, SuperResolutionObjective
from makeup_training.losses.region_gan import AttributeBatch, RegionBatch, RegionGANObjective
from makeup_training.losses.ssat import SSATBatch, SSATObjective
from makeup_training.losses.structure import colour_profile_loss, gradient_profile_loss
from makeup_training.networks.blocks import PatchDiscriminator
from makeup_training.networks.inputs import one_hot
from makeup_training.networks.portrait_edit import PortraitEditor
from makeup_training.networks.portrait_edit_inputs import (
    enlarge_label,
    part_centres,
    part_crops,
)
from makeup_training.networks.portrait_edit_judges import FaceParser, MultiScaleDiscriminator
from makeup_training.networks.psgan import PSGANGenerator
from makeup_training.networks.psgan_pose import MakeupDiscriminator, Part, PoseCorrectedGenerator
from makeup_training.networks.psgan_sr import PSGANSuperResolution
from makeup_training.networks.region_gan import (
    LabelLayout,
    MaskNetwork,
    RegionGenerator,
    StarGANDiscriminator,
)
from makeup_training.networks.ssat import SSATDiscriminator, SSATGenerator

close = partial(torch.testing.assert_close, atol=1e-5, rtol=1e-4)


@pytest.fixture(autouse=True)
def _seeded(caplog):
    caplog.set_level(logging.ERROR)
    torch.manual_seed(0)


class MeanScore(nn.Module):
    """A judge without state: the mean of each image, times a trained factor."""

    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, image):
        return self.factor * image.mean((1, 2, 3))


def assert_trains(terms, networks, idle=()):
    """All terms finite, and their sum reaches every parameter of the networks but the idle."""
    assert all(t.isfinite() for t in terms.values()), terms
    sum(terms.values()).backward()
    for network in networks:
        for name, parameter in network.named_parameters():
            if not any(part in name for part in idle):
                assert parameter.grad is not None, f"{type(network).__name__}.{name}"


def test_psgan_terms(random_faces):
    source, reference = random_faces(2, 32, 1), random_faces(2, 32, 2)
    generator = PSGANGenerator(width=4)
    makeup, bare = MeanScore(2.0), MeanScore(3.0)
    objective = PSGANObjective(generator, makeup, bare, perceptual_loss(None))
    terms = objective.generator_terms(source, reference)

    made_up = source.with_image(generator(source, reference))
    bared = reference.with_image(generator(reference, source))
    close(
        terms["adversarial"],
        ((makeup(made_up.image) - 1) ** 2).mean() + ((bare(bared.image) - 1) ** 2).mean(),
    )
    cycles = l1_loss(generator(made_up, source), source.image)
    cycles = cycles + l1_loss(generator(bared, reference), reference.image)
    close(terms["cycle"], 5 * cycles)
    identity = l1_loss(generator(source, source), source.image)
    identity = identity + l1_loss(generator(reference, reference), reference.image)
    close(terms["identity"], 2.5 * identity)
    profiles = gradient_profile_loss(made_up.image, source.image)
    profiles = profiles + gradient_profile_loss(bared.image, reference.image)
    close(terms["perceptual"], 0.025 * profiles)
    close(
        terms["histogram"],
        weighted_histogram_loss(made_up, reference) + weighted_histogram_loss(bared, source),
    )
    judged = objective.discriminator_terms(source, reference)
    close(
        judged["makeup"],
        0.5
        * (
            least_squares(makeup(reference.image), real=True)
            + least_squares(makeup(made_up.image), real=False)
        ),
    )
    assert_trains(terms, [generator], idle=["atten_"])
    assert_trains(judged, [makeup, bare])


def test_psgan_discriminators_give_the_generator_no_gradient(random_faces):
    generator = PSGANGenerator(width=4)
    judges = PatchDiscriminator(4), PatchDiscriminator(4)
    objective = PSGANObjective(generator, *judges, perceptual_loss(None))
    terms = objective.discriminator_terms(random_faces(1, 32, 1), random_faces(1, 32, 2))
    assert_trains(terms, judges)
    assert all(p.grad is None for p in generator.parameters())


def test_pose_corrected_terms(random_faces):
    source, reference = random_faces(1, 64, 1), random_faces(1, 64, 2)
    generator = PoseCorrectedGenerator(width=4)
    parts = {part: MakeupDiscriminator(part, width=4, blocks=1) for part in Part}
    judges = MeanScore(1.0), MeanScore(1.0)
    objective = PoseCorrectedObjective(generator, *judges, parts, perceptual_loss(None))
    terms = objective.generator_terms(source, reference)
    made_up = source.with_image(generator(source, reference))
    bared = reference.with_image(generator(reference, source))
    masks = [soft_inverse_mask((f.regions > 0)[:, None].float()) for f in (source, reference)]
    cycles = weighted_cycle(generator(made_up, source), source.image, masks[0])
    cycles = cycles + weighted_cycle(generator(bared, reference), reference.image, masks[1])
    close(terms["cycle"], 5 * cycles)
    judged = objective.discriminator_terms(source, reference)
    assert set(judged) == {"makeup", "bare", "brows", "eyes", "lips"}
    assert_trains(terms, [generator])
    assert_trains(judged, [*judges, *parts.values()])


def test_super_resolution_terms(random_faces):
    faces = [
        face.with_image(face.image[..., ::4, ::4])
        for face in (random_faces(1, 64, 1), random_faces(1, 64, 2))
    ]
    target = SharpTarget(
        torch.rand(1, 3, 64, 64), torch.rand(1, 201, 32, 32), torch.randint(0, 19, (1, 32, 32))
    )
    generator = PSGANSuperResolution(width=4).eval()
    judges = MeanScore(1.0), MeanScore(2.0), MeanScore(3.0)
    objective = SuperResolutionObjective(generator, *judges, perceptual_loss(None))
    terms = objective.generator_terms(*faces, target)
    result = generator(*faces)
    prior = torch.cat([result.landmark_maps, result.parsing.softmax(1)], 1)
    errors = mse_loss(result.image, target.image) + mse_loss(prior, target.prior())
    close(terms["mse"], 0.5 * errors)
    fooled = -torch.log(1 - judges[2](result.image).sigmoid()).mean()
    close(terms["adversarial_sharp"], -1e-3 * fooled)
    judged = objective.discriminator_terms(*faces, target)
    close(
        judged["sharp"],
        logistic(judges[2](target.image), real=True)
        + logistic(judges[2](result.image.detach()), real=False),
    )
    assert_trains(terms, [generator], idle=["atten_"])
    assert_trains(judged, judges)


@pytest.fixture
def region_batch():
    classes = torch.zeros(2, 64, 64, dtype=torch.long)
    classes[:, 10:20, 10:50], classes[:, 22:40, 10:50], classes[:, 45:55, 20:40] = 1, 2, 3
    return RegionBatch(
        image=torch.rand(2, 3, 64, 64) * 2 - 1,
        classes=classes,
        style=torch.tensor([0, 3]),
        target_style=torch.tensor([1, 2]),
        region_bits=torch.tensor([[1, 1, 0], [0, 0, 1]]),
    )


def region_objective(attributes=0):
    layout = LabelLayout(styles=5, attributes=attributes)
    return RegionGANObjective(
        RegionGenerator(layout.channels, width=4),
        MaskNetwork(width=4),
        StarGANDiscriminator(64, 0, width=2),
        StarGANDiscriminator(64, layout.styles + layout.attributes, width=2),
        layout,
        crop_size=64,
    )


def test_region_gan_terms(region_batch):
    objective = region_objective()
    terms = objective.generator_terms(region_batch)
    layout, generator = objective.layout, objective.generator
    label = layout.makeup(region_batch.target_style, region_batch.region_bits)
    fake = generator(region_batch.image, label)
    back = generator(fake, layout.makeup(region_batch.style, region_batch.region_bits))
    close(terms["reconstruction"], 10 * l1_loss(back, region_batch.image))
    close(terms["adversarial_global"], -objective.global_discriminator(fake)[0].mean())
    probabilities = objective.mask_network(generator.encode(region_batch.image, label)).softmax(1)
    # bits [1, 1, 0] select eye shadow (1) and lips (3); [0, 0, 1] the base (2)
    invariant = torch.stack([probabilities[0, [0, 2]].sum(0), probabilities[1, [0, 1, 3]].sum(0)])[
        :, None
    ]
    close(terms["invariance"], 10 * ((fake - region_batch.image) * invariant).abs().mean())
    judged = objective.discriminator_terms(region_batch)
    assert set(judged) == {"global", "local", "classification"}
    assert_trains(terms, [generator, objective.mask_network])
    critics = [objective.global_discriminator, objective.local_discriminator]
    for critic in critics:
        critic.zero_grad()
    assert_trains(judged, critics)


def test_joint_terms_of_attribute_faces():
    objective = region_objective(attributes=3)
    own, target = torch.tensor([[1, 0, 1], [0, 0, 1]]), torch.tensor([[0, 1, 1], [1, 0, 0]])
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    batch = AttributeBatch(image, own, target)
    terms = objective.attribute_generator_terms(batch)
    # label: five styles, three bits, three attributes, [0, 1] for this data set
    labels = [
        torch.cat([torch.zeros(2, 8), a, torch.tensor([[0, 1]] * 2)], 1) for a in (own, target)
    ]
    fake = objective.generator(image, labels[1])
    close(terms["attributes_global"], -objective.global_discriminator(fake)[0].mean())
    close(
        terms["attributes_reconstruction"],
        10 * l1_loss(objective.generator(fake, labels[0]), image),
    )
    # crops are as large as these faces, so the local critic sees them as they are
    odds = objective.local_discriminator(fake)[1][:, 5:].sigmoid()
    missed = -(target * odds.log() + (1 - target) * (1 - odds).log())
    close(terms["attributes_classification"], missed.sum(1).mean())
    judged = objective.attribute_discriminator_terms(batch)
    odds = objective.local_discriminator(image)[1][:, 5:].sigmoid()
    missed = -(own * odds.log() + (1 - own) * (1 - odds).log())
    close(judged["attributes_classification"], missed.sum(1).mean())
    assert_trains(terms, [objective.generator])
    critics = [objective.global_discriminator, objective.local_discriminator]
    for network in (objective.generator, *critics):
        network.zero_grad()
    # a part's score is no business of these faces: the local critic's score map stays
    assert_trains(judged, critics, idle=["conv1"])
    assert critics[1].conv1.weight.grad is None
    assert all(p.grad is None for p in objective.generator.parameters())


def test_region_gan_needs_a_selected_part(region_batch):
    nothing = region_batch._replace(region_bits=torch.zeros(2, 3))
    with pytest.raises(InvalidInputError, match="no image of the batch selects a part"):
        region_objective().generator_terms(nothing)


def test_ssat_terms():
    images = torch.rand(4, 1, 3, 64, 64) * 2 - 1
    parsings = torch.randint(0, 18, (2, 1, 8, 8)).repeat_interleave(8, 2).repeat_interleave(8, 3)
    batch = SSATBatch(*images[:2], *(one_hot(p, 18) for p in parsings), *images[2:])
    generator = SSATGenerator(width=4)
    judges = SSATDiscriminator(width=4), SSATDiscriminator(width=4)
    for judge in judges:
        for _ in range(5):
            judge(batch.source)
        judge.eval()
    objective = SSATObjective(generator, *judges)
    terms = objective.generator_terms(batch)

    output = generator(*batch[:4])
    cycle = generator(output.removal, output.transfer, batch[3], batch[2])
    close(
        terms["cycle"],
        0.5 * (l1_loss(cycle.transfer, batch.reference) + l1_loss(cycle.removal, batch.source)),
    )
    rebuilt = [
        l1_loss(generator.gen(generator.encode(x, p)[0], generator.encode_makeup(x)), x)
        for x, p in (
            (batch.source, batch.source_parsing),
            (batch.reference, batch.reference_parsing),
        )
    ]
    close(terms["reconstruction"], 0.5 * sum(rebuilt))
    fooled = [-s.sigmoid().log().mean() for s in judges[0](output.transfer)]
    fooled += [-s.sigmoid().log().mean() for s in judges[1](output.removal)]
    assert len(fooled) == 6
    close(terms["adversarial"], 0.5 * sum(fooled))
    colours = colour_profile_loss(output.transfer, batch.transfer_target)
    colours = colours + colour_profile_loss(output.removal, batch.removal_target)
    close(terms["colour_profile"], 2 * colours)
    judged = objective.discriminator_terms(batch)
    assert_trains(terms, [generator])
    for judge in judges:
        judge.zero_grad()
    assert_trains(judged, judges)


@pytest.fixture
def portrait():
    label = torch.zeros(2, 256, 256, dtype=torch.long)
    label[:, 70:230, 60:196] = 1
    label[:, 110:120, 84:108], label[:, 110:120, 148:172] = 4, 5
    label[:, 176:190, 104:152] = 8
    objective = PortraitObjective(
        PortraitEditor(width=2),
        MultiScaleDiscriminator(width=2),
        MultiScaleDiscriminator(width=2),
        FaceParser(width=2).eval().requires_grad_(False),
        masked_perceptual_loss(None),
    )
    return objective, PortraitBatch(torch.rand(2, 3, 256, 256) * 2 - 1, label)


def test_paired_portrait_terms(portrait):
    objective, batch = portrait
    terms = objective.generator_terms(batch, paired=True)
    assert set(terms) == {
        "local",
        "parsing",
        "adversarial_shuffled",
        "adversarial",
        "feature_matching",
        "perceptual",
        "image",
    }
    assert_trains(terms, [objective.editor])
    judged = objective.discriminator_terms(batch, paired=True)
    assert_trains(judged, [objective.discriminator, objective.shuffled_discriminator])


def test_unpaired_portraits_are_judged_by_their_own_discriminator(portrait):
    objective, batch = portrait
    terms = objective.generator_terms(batch, paired=False)
    assert set(terms) == {"local", "parsing", "adversarial_shuffled"}
    assert set(objective.discriminator_terms(batch, paired=False)) == {"shuffled"}
    sum(terms.values()).backward()
    assert all(p.grad is None for p in objective.discriminator.parameters())


def test_local_portrait_term_compares_masked_parts(portrait, monkeypatch):
    objective, batch = portrait
    centres = part_centres(batch.label)
    crops = part_crops(batch.image, enlarge_label(batch.label, centres), centres)
    black = {name: torch.zeros_like(crop) for name, crop in crops.items()}
    monkeypatch.setattr(PortraitEditor, "decode_images", lambda self, latents: black)
    term = objective.generator_terms(batch, paired=False)["local"]
    close(term, 5000 * sum(crop.square().mean() for crop in crops.values()))
    white = {name: torch.ones_like(crop) for name, crop in crops.items()}
    monkeypatch.setattr(PortraitEditor, "decode_images", lambda self, latents: white)
    hair_free = objective.generator_terms(batch, paired=False)["local"]
    # nothing is compared outside a part's mask: without hair, white hair costs nothing
    rest = sum(
        ((1 - crop) * (crop != 0 if name in ("skin", "mouth") else 1)).square().mean()
        for name, crop in crops.items()
        if name != "hair"
    )
    close(hair_free, 5000 * rest)
