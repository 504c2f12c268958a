"""Training of low-resolution transfer: small inputs, and the targets of the detail."""

from dataclasses import replace

import numpy as np
import torch

from makeup_training.networks.psgan_sr_mobile import bicubic
from makeup_training.systems.faces import FaceStore
from makeup_training.systems.pairs import PairSampler
from makeup_training.systems.psgan_sr import (
    SmallSampler,
    SuperResolutionLearner,
    detail_terms,
    heat_maps,
    seen_far,
)
from makeup_training.systems.train import Run

SIZE = 64


def held(store: FaceStore) -> FaceStore:
    return replace(store, held=np.ones(len(store), np.bool_))


def sampler(store: FaceStore) -> SmallSampler:
    draw = SuperResolutionLearner(8).sampler(held(store), SIZE, (1, 1), held=True)
    assert isinstance(draw, SmallSampler)
    return draw


def test_sources_are_small_and_references_are_not(store: FaceStore) -> None:
    pairs = [(0, False)], [(1, False)]
    batch = sampler(store).pairs(*pairs)
    plain = PairSampler(store, SIZE, (1, 1)).pairs(*pairs)
    torch.testing.assert_close(batch.reference.image, plain.reference.image)
    torch.testing.assert_close(batch.change, plain.change)
    assert batch.small.shape == (1, 3, 32, 32)
    assert batch.sharp.shape == (1, 3, 128, 128)
    pooled = torch.nn.functional.avg_pool2d(plain.source.image, 2)
    torch.testing.assert_close(batch.small, pooled)
    # the sharp face is the same one, and holds more than the small one enlarged
    again = torch.nn.functional.avg_pool2d(batch.sharp, 4)
    assert float((again - batch.small).abs().mean()) < 0.02
    assert float((batch.sharp - bicubic(batch.small)).abs().mean()) > 0.002


def test_mirrored_faces_are_mirrored_in_both_sizes(store: FaceStore) -> None:
    draw = sampler(store)
    plain, turned = (draw.pairs([(0, flip)], [(1, False)]) for flip in (False, True))
    torch.testing.assert_close(turned.small, plain.small.flip(3))
    torch.testing.assert_close(turned.sharp, plain.sharp.flip(3))


def test_batches_depend_on_the_step_and_most_are_for_the_detail(store: FaceStore) -> None:
    draws = [SuperResolutionLearner(8).sampler(store, SIZE, (1, 2)) for _ in range(2)]
    first, again = (draw(4) for draw in draws)
    torch.testing.assert_close(first.small, again.small, rtol=0, atol=0)
    assert [draws[0](step).makeup for step in range(6)] == [True, False, False] * 2
    assert first.change.numel() == 0


def test_the_makeup_rests_while_the_detail_learns(store: FaceStore) -> None:
    torch.manual_seed(0)
    run = Run(SuperResolutionLearner(8), 1e-3)
    draw = run.learner.sampler(store, SIZE, (1, 1))
    before = {name: p.detach().clone() for name, p in run.parameters.items()}
    terms = run.advance(draw(1), 10)
    assert set(terms) == {"detail", "landmarks", "parsing"}
    moved = {n.split(".")[0] for n, p in run.parameters.items() if not torch.equal(p, before[n])}
    assert moved <= {"prior", "super_resolution"}
    assert moved
    assert {"change", "maps", "detail"} <= set(run.advance(draw(3), 10))


def test_the_makeup_learns_at_a_quarter_of_the_rate() -> None:
    learner = SuperResolutionLearner(8)
    assert learner.rate_of("makeup.tnet_in_conv.weight") == 0.25
    assert learner.rate_of("prior.stem.0.weight") == 1


def test_the_detail_is_right_where_it_is_what_enlargement_lacks(store: FaceStore) -> None:
    batch = sampler(store).pairs([(0, False)], [(1, False)])
    wanted = batch.sharp - bicubic(batch.small)
    assert float(detail_terms(wanted, batch)["detail"]) < 1e-6
    none, half = (float(detail_terms(share * wanted, batch)["detail"]) for share in (0.0, 0.5))
    np.testing.assert_allclose(half, none / 2, rtol=1e-4)


def test_far_faces_are_the_same_faces_softer() -> None:
    rng = np.random.default_rng(0)
    crop = (rng.random((256, 256, 3)) * 255).astype(np.uint8)
    crop[:, 128:] = 200
    far = seen_far(crop, np.random.default_rng(1))
    assert far.shape == crop.shape
    assert far[:, :100].std() < 0.6 * crop[:, :100].std()
    np.testing.assert_allclose(far[:, 160:].mean(), 200, atol=3)


def test_spots_lie_at_their_landmarks() -> None:
    maps = heat_maps(torch.tensor([[[3.0, 5.0], [0.0, 7.0]]]), 8)
    assert maps.shape == (1, 2, 8, 8)
    assert float(maps[0, 0, 5, 3]) == float(maps[0, 1, 7, 0]) == 1
    np.testing.assert_allclose(float(maps[0, 0, 5, 4]), np.exp(-0.5), rtol=1e-5)
