"""Fine-tuning of the landmark + region net: pairs, loading from and export to a bundle."""

import importlib.resources
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from makeup_engines import Bundle
from makeup_export.face_networks import export_landmarks
from makeup_training.faces.data import load_crops
from makeup_training.faces.finetune_landmarks import (
    difference,
    in_makeup,
    mean_weights,
    measure_statistics,
    start_from_bundle,
)
from makeup_training.faces.landmark_samples import face_pair
from makeup_training.faces.networks import LandmarkRegionNet
from makeup_training.faces.train_landmarks import answers, to_input

SIZE = 96
MODELS = Path(str(importlib.resources.files("makeup_sdk"))) / "weights"
SHIPPED = MODELS / "face_landmarks_regions"


@pytest.fixture(scope="module")
def crops(faces_folder):
    return load_crops(faces_folder, side=160, held=False)


@pytest.fixture(scope="module")
def pairs(crops):
    rng = np.random.default_rng(0)
    return [face_pair((crop, crop), crops, SIZE, rng) for crop in crops]


def test_a_pair_shows_one_face_framed_nearly_alike(pairs):
    apart = [np.abs(one.landmarks - other.landmarks).max() for one, other in pairs]
    assert min(apart) > 0
    assert max(apart) < 0.12
    assert any((one.image != other.image).mean() > 0.5 for one, other in pairs)
    for one, other in pairs:
        assert one.image.shape == other.image.shape == (SIZE, SIZE, 3)


def test_faces_wear_makeups_of_their_own(crops, faces_folder):
    outfits = in_makeup(crops, faces_folder, 2, seed=0)
    assert [len(made_up) for made_up in outfits] == [2] * len(crops)
    for crop, made_up in zip(crops, outfits, strict=True):
        assert (made_up[0].image != made_up[1].image).any()
        assert (made_up[0].image != crop.image).any()
        assert made_up[0].landmarks is crop.landmarks


def test_difference_is_that_of_the_errors_in_pupil_distances(pairs):
    samples = [*(one for one, _ in pairs), *(other for _, other in pairs)]
    labels = torch.from_numpy(np.stack([s.landmarks for s in samples]))
    count = len(pairs)
    assert difference(labels + 0.01, samples, count) < 1e-6
    moved = labels.clone()
    moved[:count, :, 0] += 0.01
    eyes = (labels[:count, 36:42].mean(1) - labels[:count, 42:48].mean(1)).norm(dim=1)
    wanted = float((0.01 / eyes).mean())
    assert float(difference(moved, samples, count)) == pytest.approx(wanted, rel=1e-4)
    hidden = [replace(samples[0], is_face=0), *samples[1:]]
    assert torch.isfinite(difference(moved, hidden, count))


def test_a_bundle_gives_back_its_network(tmp_path, pairs):
    network, size, width = start_from_bundle(SHIPPED)
    session = Bundle.open(SHIPPED).session("model")
    image = np.random.default_rng(1).random((1, 3, size, size), np.float32)
    found = session.run({"image": image})
    with torch.no_grad():
        landmarks, _, regions = network(torch.from_numpy(image))
    assert np.abs(found["landmarks"] - landmarks.numpy()).max() < 1e-5
    assert np.abs(found["regions"] - regions.numpy()).max() < 1e-3
    samples = [one for one, _ in pairs]
    measure_statistics(network, [samples])
    with torch.no_grad():
        again = network(torch.from_numpy(image))
        network.train()
        in_training = network(to_input([s.image for s in samples]))
        network.eval()
        as_run = network(to_input([s.image for s in samples]))
    assert (again[0] - landmarks).abs().max() < 1e-5
    assert (in_training[0] - as_run[0]).abs().max() < 5e-3
    torch.save(
        {"average": network.state_dict(), "width": width, "size": size, "step": 1},
        tmp_path / "landmarks.pt",
    )
    export_landmarks(tmp_path / "landmarks.pt", None, tmp_path / "bundle", {})
    exported, *_ = start_from_bundle(tmp_path / "bundle")
    with torch.no_grad():
        assert (exported(torch.from_numpy(image))[0] - landmarks).abs().max() < 2e-3


def test_mean_weights_lie_half_way():
    one = {"weight": torch.tensor([0.0, 2.0]), "batches": torch.tensor(3)}
    other = {"weight": torch.tensor([1.0, 4.0]), "batches": torch.tensor(8)}
    mean = mean_weights(one, other)
    assert mean["weight"].tolist() == [0.5, 3.0]
    assert mean["batches"] == 8


def test_answers_come_in_single_precision_where_it_counts(pairs):
    landmarks, confidence, _ = answers(LandmarkRegionNet(8), [one for one, _ in pairs])
    assert landmarks.dtype == confidence.dtype == torch.float32
