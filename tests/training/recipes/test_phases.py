"""Phases of a run: steps on the truth alone, and batch norms whose statistics become fixed."""

import pytest
import torch
from rich.console import Console

from makeup_training.data.examples import ExampleOptions, collate
from makeup_training.recipes import RECIPES, make_recipe
from makeup_training.trainer.config import ConfigError
from makeup_training.trainer.loop import NORM_EXAMPLES, RunOptions, Trainer
from makeup_training.trainer.run_log import read_log


def trained(config, collection, folder):
    """The trainer after its run, and the losses by step."""
    trainer = Trainer(config, collection, RunOptions(folder, "cpu", "float32"))
    trainer.run(Console(quiet=True))
    return trainer, [line["losses"] for line in read_log(folder) if "losses" in line]


def test_judges_wait_while_the_truth_teaches(tiny_config, collection, tmp_path):
    config = tiny_config("psgan-quick", triples=1, steps=3, truth_alone_until=0.5)
    trainer = Trainer(config, collection, RunOptions(tmp_path / "run", "cpu", "float32"))
    start = {k: v.clone() for k, v in trainer.recipe.judges.state_dict().items()}
    batch = collate([trainer.examples[0]])
    for _ in range(2):
        losses = trainer._train_step(batch)
        trainer.step += 1
        assert set(losses) == {"generators/supervised", "generators/total"}
        assert all(torch.equal(v, start[k]) for k, v in trainer.recipe.judges.state_dict().items())
    assert {"judges/makeup", "generators/cycle"} <= set(trainer._train_step(batch))


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_truth_alone_is_the_supervised_term_of_the_whole(recipe, tiny_config, collection):
    """In passes of its own as in those of the objective, where no noise is drawn."""
    recipe_of = make_recipe(tiny_config(f"{recipe}-quick"))
    recipe_of.generators.eval()
    dataset = recipe_of.dataset(
        collection.bare, None, ExampleOptions(recipe_of.config.size, augment=False)
    )
    batch = collate([dataset[0]])
    with torch.no_grad():
        torch.manual_seed(0)
        alone = recipe_of.truth_terms(batch)
        assert set(alone) == {"supervised"}
        if recipe == "portrait-edit":  # which parts change hands is drawn anew
            return
        whole = recipe_of.generator_terms(batch, 0)
    torch.testing.assert_close(alone["supervised"], whole["supervised"], rtol=1e-4, atol=1e-5)


def test_truth_alone_needs_a_truth(tiny_config, collection, tmp_path):
    config = tiny_config("psgan", truth_alone_until=0.5, extra={"data.pairs": "renderer"})
    with pytest.raises(ConfigError, match="no truth to learn from; give a supervised_weight"):
        trained(config, collection, tmp_path)


def test_norms_become_fixed_with_the_statistics_of_examples(tiny_config, collection, tmp_path):
    config = tiny_config(
        "psgan-sr-quick", triples=2, steps=4, norms_fixed_from=0.5, truth_alone_until=1.0
    )
    trainer = Trainer(config, collection, RunOptions(tmp_path, "cpu", "float32"))
    norm = trainer.recipe.generators["generator"].prior.stem[1]
    seen = []
    norm.register_forward_hook(lambda m, inputs, _: seen.append((m.training, inputs[0].detach())))
    means = []
    for index in range(4):
        trainer._train_step(collate([trainer.examples[index]]))
        trainer.step += 1
        means.append(norm.running_mean.clone())
    assert not torch.equal(means[0], means[1])
    assert torch.equal(means[2], means[3])
    # two passes a step, and two more over the examples that gave the statistics
    assert [training for training, _ in seen] == [True] * 6 + [False] * 4
    assert len(seen[4][1]) == NORM_EXAMPLES
    expected = torch.stack([x.mean((0, 2, 3)) for _, x in seen[4:6]]).mean(0)
    torch.testing.assert_close(means[3], expected)
    assert norm.momentum == 0.1
