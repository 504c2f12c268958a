"""Every recipe takes two steps, on renderer pairs and (where it can) on photos."""

import math

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console

from makeup_kernels import InvalidInputError
from makeup_training.data.examples import (
    ExampleOptions,
    PairDataset,
    StyledFaceDataset,
    StyleOptions,
    collate,
)
from makeup_training.data.readers import open_collection
from makeup_training.recipes import RECIPES, make_recipe
from makeup_training.recipes.base import picture_distance, recorded
from makeup_training.recipes.psgan_sr import heat_maps
from makeup_training.recipes.region_gan import both_ways, composite
from makeup_training.trainer.config import ConfigError, shipped_recipes
from makeup_training.trainer.loop import RunOptions, Trainer
from makeup_training.trainer.run_log import read_log

PHOTO_SETTINGS = {
    "psgan": {},
    "psgan-pose": {},
    "ssat": {},
    "portrait-edit": {},
    "region-gan": {"data.styles": ["bare", "makeup"]},
}


def two_steps(config, collection, folder):
    trainer = Trainer(config, collection, RunOptions(folder, "cpu", "float32"))
    before = [p.detach().clone() for p in trainer.recipe.generators.parameters() if p.requires_grad]
    trainer.run(Console(quiet=True))
    after = [p for p in trainer.recipe.generators.parameters() if p.requires_grad]
    losses = [line["losses"] for line in read_log(folder) if "losses" in line]
    assert len(losses) == 2
    assert all(math.isfinite(v) for row in losses for v in row.values())
    return [bool((a != b).any()) for a, b in zip(after, before, strict=True)], losses


def test_every_system_is_shipped():
    names = set(shipped_recipes())
    assert set(RECIPES) <= names
    assert {f"{name}-quick" for name in RECIPES} <= names


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_two_steps_on_renderer_pairs(recipe, tiny_config, collection, tmp_path):
    whole_steps = {"optimiser.generator_every": 1, "truth_alone_until": 0.0}
    config = tiny_config(f"{recipe}-quick", triples=1, extra=whole_steps)
    moved, losses = two_steps(config, collection, tmp_path / "run")
    assert sum(moved) > 0.8 * len(moved)
    assert all(row["generators/supervised"] > 0 for row in losses)
    assert (tmp_path / "run" / "sheets" / "step-00000002.jpg").is_file()
    assert cv2.imread(str(tmp_path / "run" / "delta_e.png")) is not None


@pytest.mark.parametrize("recipe", sorted(PHOTO_SETTINGS))
def test_two_steps_on_photos(recipe, tiny_config, mt_layout, tmp_path):
    extra = {**PHOTO_SETTINGS[recipe], "optimiser.generator_every": 1}
    config = tiny_config(recipe, extra=extra)
    moved, losses = two_steps(config, open_collection(mt_layout), tmp_path / "run")
    assert sum(moved) > 0.8 * len(moved)
    assert all("generators/supervised" not in row for row in losses)


def test_published_weights_are_the_defaults(tiny_config):
    weights = make_recipe(tiny_config("psgan")).objective.weights
    assert (weights.adversarial, weights.cycle, weights.identity) == (1, 10, 5)
    assert list(weights.regions.values()) == [1, 0.1, 1]
    weights = make_recipe(tiny_config("ssat")).objective.weights
    assert (weights.colour_profile, weights.gradient_profile, weights.latent) == (2, 1, 1)
    weights = make_recipe(tiny_config("region-gan")).objective.weights
    assert (weights.classification, weights.invariance, weights.reconstruction) == (1, 10, 10)


def test_judges_losses_do_not_reach_the_generator(tiny_config, collection):
    recipe = make_recipe(tiny_config("psgan"))
    batch = collate([PairDataset(collection.bare, None, ExampleOptions(64, augment=False))[0]])
    torch.stack(list(recipe.judge_terms(batch, 0).values())).sum().backward()
    assert all(p.grad is None for p in recipe.generators.parameters())
    assert all(p.grad is not None for p in recipe.judges.parameters())


def test_recorded_keeps_the_passes():
    layer = torch.nn.Linear(2, 2)
    with recorded(layer) as passes:
        first = layer(torch.zeros(1, 2))
        layer(torch.ones(1, 2))
    layer(torch.ones(1, 2))
    assert len(passes) == 2
    assert passes[0] is first


def test_picture_distance_against_numpy():
    rng = np.random.default_rng(0)
    result, truth = (rng.normal(size=(1, 3, 6, 6)).astype(np.float32) for _ in range(2))
    regions = np.zeros((1, 6, 6), np.uint8)
    regions[0, 1, 2:5] = 1
    regions[0, 3:, :2] = 2
    error = np.abs(result - truth)
    expected = error.mean() + error[:, :, 1, 2:5].mean() + error[:, :, 3:, :2].mean()
    value = picture_distance(*(torch.from_numpy(x) for x in (result, truth, regions)))
    assert abs(float(value) - expected) < 1e-5


def test_heat_maps_peak_at_the_landmarks():
    points = torch.rand(1, 68, 2, dtype=torch.float64) * 60 + 30
    maps = heat_maps(points, 64)
    assert maps.shape == (1, 201, 64, 64)
    # the first map belongs to the first point of the jaw
    y, x = divmod(int(maps[0, 0].argmax()), 64)
    assert abs(x * 2 - points[0, 0, 0]) <= 1
    assert abs(y * 2 - points[0, 0, 1]) <= 1


def test_low_resolution_psgan_needs_a_target(tiny_config, mt_layout):
    recipe = make_recipe(tiny_config("psgan-sr"))
    faces = open_collection(mt_layout)
    pairs = PairDataset(faces.bare, faces.made_up, ExampleOptions(64))
    with pytest.raises(InvalidInputError, match=r"files\.teacher=PATH"):
        recipe.target(collate([pairs[0]]))


def test_composite_takes_the_selected_parts_alone(collection):
    options = ExampleOptions(64, augment=False)
    styles = StyleOptions(["bare", "classic"])
    faces = StyledFaceDataset(collection.bare, None, options, styles)
    batch = collate([faces[0], faces[1]])
    lips_only = torch.tensor([[0, 1, 0], [0, 1, 0]])
    truth = composite(batch, lips_only)
    lips = (batch.classes == 3)[:, None].expand_as(truth)
    assert torch.equal(truth[lips], batch.other[lips])
    assert torch.equal(truth[~lips], batch.face.image[~lips])
    bare, worn = both_ways(batch)
    assert (bare.style == 0).all()
    assert (worn.target_style == 0).all()
    assert torch.equal(bare.other, worn.face.image)


def test_joint_training_with_celeba(tiny_config, collection, tmp_path):
    (tmp_path / "img_align_celeba").mkdir()
    picture = np.random.default_rng(0).integers(0, 255, (109, 89, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "img_align_celeba" / "1.jpg"), picture)
    (tmp_path / "list_attr_celeba.txt").write_text("1\nSmiling Young\n1.jpg 1 -1\n")
    extra = {
        "files.celeba": str(tmp_path),
        "data.attributes": ["Young", "Smiling"],
        "optimiser.generator_every": 1,
    }
    config = tiny_config("region-gan", extra=extra)
    _, losses = two_steps(config, collection, tmp_path / "run")
    assert losses[0]["judges/attributes_classification"] > 0
    assert losses[0]["generators/attributes_reconstruction"] > 0


def test_settings_that_do_not_fit(tiny_config, collection, mt_layout, tmp_path):
    with pytest.raises(ConfigError, match=r"portrait-edit: size 128, .* work with 256 only"):
        make_recipe(tiny_config("portrait-edit", size=128))
    with pytest.raises(ConfigError, match="size 96, expected a multiple of 64"):
        make_recipe(tiny_config("region-gan", size=96))
    with pytest.raises(ConfigError, match="CelebA is given without attributes"):
        make_recipe(tiny_config("region-gan", extra={"files.celeba": "somewhere"}))
    with pytest.raises(ConfigError, match="photos tell bare from made-up only, got 5 styles"):
        Trainer(
            tiny_config("region-gan"),
            open_collection(mt_layout),
            RunOptions(tmp_path / "a", "cpu", "float32"),
        )
    with pytest.raises(ConfigError, match="weights: unknown cycles; it has adversarial"):
        make_recipe(tiny_config("psgan", extra={"weights.cycles": 1}))
    with pytest.raises(ConfigError, match="model: unknown warp; it has visual_weight"):
        make_recipe(tiny_config("psgan", extra={"model.warp": "maps"}))


def test_label_gain_touches_the_label_planes_alone(tiny_config):
    weights = []
    for gain in (1.0, 8.0):
        torch.manual_seed(0)
        recipe = make_recipe(tiny_config("region-gan", extra={"model.label_gain": gain}))
        weights.append(recipe.generators["generator"].main[0].weight)
    assert torch.equal(weights[1][:, :3], weights[0][:, :3])
    assert torch.equal(weights[1][:, 3:], 8 * weights[0][:, 3:])
