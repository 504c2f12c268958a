"""Painted samples, and the batches drawn from them."""

import numpy as np
import pytest
import torch

from makeup_training.data.portraits import BadDataError
from makeup_training.data.readers import open_collection
from makeup_training.mobile.batches import batch, draw_triples, sample
from makeup_training.mobile.everyday import EVEN, Limits
from makeup_training.mobile.networks import cheek_light
from makeup_training.mobile.samples import Samples, paint


def test_samples_wear_the_same_makeup(samples):
    assert len(samples) == 6
    assert samples.faces == 3
    for row in range(len(samples)):
        inside = samples.bare_regions[row] > 0
        changed = (samples.bare[row] != samples.truth[row]).any(axis=2)
        assert changed[inside].mean() > 0.2
        assert changed[:8].sum() == 0


def test_samples_are_drawn_again_from_the_seed(samples, everyday_faces, tmp_path):
    paint(open_collection(everyday_faces).bare, tmp_path, makeups=1, faces=3, seed=0)
    again = Samples.open(tmp_path)
    assert np.array_equal(again.truth, samples.truth[:3])


def test_faces_in_other_light_are_not_made_up(faces_folder, tmp_path, monkeypatch):
    nobody = Limits(light=0, red=0, cast=(0, 0), features=EVEN.features)
    monkeypatch.setattr("makeup_training.mobile.everyday.EVERYDAY", nobody)
    with pytest.raises(BadDataError, match="none of 5 bare faces stands in everyday light"):
        paint(open_collection(faces_folder).bare, tmp_path / "out", makeups=1, faces=3, seed=0)
    assert not (tmp_path / "out").exists()


def test_references_are_known_when_the_bare_face_lies_beneath(samples):
    triples = draw_triples(samples, 40, np.random.default_rng(1), known_share=0.4)
    assert 10 < len(triples.known) < 30
    assert len(triples.bare) == len(triples.known)
    assert len(triples.sources.layouts) == 80
    worn = triples.references.image[triples.known]
    background = triples.references.regions[triples.known] == 0
    outside = (worn - triples.bare).abs().amax(1)[background]
    assert (outside == 0).float().mean() > 0.95
    nothing = (worn == triples.bare).flatten(1).all(1)
    assert nothing.any()
    for i in range(len(triples.known)):
        if nothing[i]:
            of_it = np.s_[2 * triples.known[i] : 2 * triples.known[i] + 2]
            assert torch.equal(triples.sources.image[of_it], triples.truth[of_it])


def test_cheeks_of_the_samples_are_what_the_networks_measure(samples):
    for kind in ("bare", "worn"):
        faces = batch([sample(samples, row, kind, False) for row in range(len(samples))])
        found = cheek_light(faces.image, faces.regions)[:, :, 0, 0].numpy()
        assert np.abs(found - getattr(samples, f"{kind}_cheeks")).max() < 1e-4
