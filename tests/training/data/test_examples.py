"""Pairs and styled faces."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from makeup_kernels import Region
from makeup_training.data.examples import (
    WARP_ONLY,
    ExampleOptions,
    PairDataset,
    StyledFaceDataset,
    StyleOptions,
    collate,
    moved,
)
from makeup_training.data.portraits import BadDataError, framed, regions_of
from makeup_training.data.pseudo_pairs import pseudo_pair
from makeup_training.data.readers import AttributeFace, open_collection

OPTIONS = ExampleOptions(size=64, seed=3)


@pytest.fixture
def bare(faces_layout):
    collection = open_collection(faces_layout)
    return collection.bare + collection.held_bare


def flat(value):
    """All tensors of nested named tuples."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [t for v in value if v is not None for t in flat(v)]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(flat(a), flat(b), strict=True))


def test_truth_differs_from_the_source_in_the_face_only(bare):
    pair = PairDataset(bare, None, replace(OPTIONS, augment=False))[0]
    changed = (pair.transfer - pair.source.image).abs().amax(0) > 0
    assert changed[pair.source.regions == Region.LIPS].float().mean() > 0.9
    assert not changed[:4].any()
    removed = (pair.removal - pair.reference.image).abs().amax(0) > 0
    assert removed[pair.reference.regions == Region.LIPS].float().mean() > 0.9


def test_examples_are_functions_of_seed_and_index(bare):
    pairs = PairDataset(bare, None, OPTIONS)
    again = PairDataset(bare, None, OPTIONS)
    assert same(pairs[5], again[5])
    assert not same(pairs[5], pairs[6])
    assert not same(pairs[5], PairDataset(bare, None, replace(OPTIONS, seed=4))[5])


def test_triples_repeat(bare):
    pairs = PairDataset(bare, None, replace(OPTIONS, triples=2))
    assert same(pairs[0], pairs[2])
    assert same(pairs[1], pairs[7])
    assert not same(pairs[0], pairs[1])


def test_photos_have_no_truth(mt_layout):
    collection = open_collection(mt_layout)
    pair = PairDataset(collection.bare, collection.made_up, OPTIONS)[0]
    assert pair.transfer is None
    assert pair.removal is None
    assert pair.pseudo_transfer is None


def test_too_few_faces(bare):
    with pytest.raises(BadDataError, match="has 1 bare faces, expected at least 2"):
        PairDataset(bare[:1], None, OPTIONS)
    with pytest.raises(BadDataError, match="has 6 bare and 0 made-up faces"):
        PairDataset(bare, [], OPTIONS)
    with pytest.raises(BadDataError, match="has no faces"):
        StyledFaceDataset([], None, OPTIONS, StyleOptions(["bare", "classic"]))


def test_collate_and_move(bare):
    pairs = PairDataset(bare, None, OPTIONS)
    batch = moved(collate([pairs[0], pairs[1]]), torch.device("cpu"))
    assert batch.source.image.shape == (2, 3, 64, 64)
    assert batch.source.landmarks.shape == (2, 68, 2)
    assert batch.reference_parsing.shape == (2, 64, 64)
    assert batch.pseudo_transfer is None
    assert torch.equal(batch.transfer[1], pairs[1].transfer)


def test_styled_faces_are_bare_on_one_side(bare):
    faces = StyledFaceDataset(bare, None, OPTIONS, StyleOptions(["bare", "classic", "smoky"]))
    drawn = [faces[i] for i in range(12)]
    assert all((f.style == 0) != (f.target_style == 0) for f in drawn)
    assert all(f.region_bits.any() for f in drawn)
    assert len({int(f.style) for f in drawn}) > 1
    assert all((f.other != f.face.image).any() for f in drawn)


def test_one_look_each_fixes_a_styles_makeup(bare):
    styles = StyleOptions(["bare", "classic"], one_look_each=True)
    faces = StyledFaceDataset(bare[:1], None, replace(OPTIONS, augment=False), styles)
    lips = []
    for i in range(4):
        face = faces[i]
        worn = face.other if face.style == 0 else face.face.image
        lips.append(worn[:, face.face.regions == Region.LIPS].mean(1))
    # one face, one look: only the hand's tremor differs
    assert torch.stack(lips).std(0).max() < 0.02


def test_styled_photos(mt_layout):
    collection = open_collection(mt_layout)
    styles = StyleOptions(["bare", "makeup"])
    faces = StyledFaceDataset(collection.bare, collection.made_up, OPTIONS, styles)
    drawn = [faces[i] for i in range(8)]
    assert {(int(f.style), int(f.target_style)) for f in drawn} == {(0, 1), (1, 0)}
    assert all(f.other is None for f in drawn)


def test_attribute_faces_join(bare):
    face = bare[0]
    attribute = AttributeFace(face.folder / "images" / f"{face.name}.jpg", (1, 0, 1))
    styles = StyleOptions(["bare", "classic"], attribute_faces=[attribute])
    example = StyledFaceDataset(bare, None, OPTIONS, styles)[0]
    assert example.attribute_image.shape == (3, 64, 64)
    assert example.attributes.tolist() == [1, 0, 1]


def test_pseudo_pair_of_a_face_with_itself_is_the_face(bare):
    face = framed(bare[0].load(), 96, None)
    regions = regions_of(face, "sdk")
    result = pseudo_pair(face, face, regions, regions, WARP_ONLY)
    assert np.abs(result.astype(int) - face.image).max() <= 4


def test_pseudo_pair_brings_the_references_lips_and_keeps_the_background(bare):
    source, reference = (framed(f.load(), 96, None) for f in bare[:2])
    regions = [regions_of(f, "sdk") for f in (source, reference)]
    lips = regions[1] == Region.LIPS
    shades = np.random.default_rng(0).integers(0, 10, (lips.sum(), 3))
    reference.image[lips] = np.array([40, 30, 200]) + shades
    for share in (1.0, 0.0):  # warped, and matched by histogram
        result = pseudo_pair(source, reference, *regions, {Region.LIPS: share})
        colour = result[regions[0] == Region.LIPS].astype(float).mean(0)
        assert np.abs(colour - (45, 35, 205)).max() < 30
        assert (result[:10] == source.image[:10]).all()


def test_pseudo_pairs_in_a_data_set(bare):
    pair = PairDataset(bare, None, replace(OPTIONS, pseudo_share=WARP_ONLY))[0]
    assert pair.pseudo_transfer.shape == pair.pseudo_removal.shape == (3, 64, 64)
    assert (pair.pseudo_transfer - pair.source.image).abs().mean() > 0.01
