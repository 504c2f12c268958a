"""The training loop of the face networks: steps, checkpoints, and resuming."""

import json

import pytest
import torch
from torch import nn

from makeup_training.faces import training
from makeup_training.faces.checkpoints import learning_rate
from makeup_training.faces.training import Ahead, Schedule, Training

SCHEDULE = Schedule(steps=4, rate=0.1, clip=0.5, save_every=2)


def make(folder, schedule=SCHEDULE):
    torch.manual_seed(0)
    network = nn.Linear(3, 1)
    return Training(network, folder / "net.pt", schedule, {"width": 3})


def losses_of(network):
    """A loss that differs from step to step, in two terms."""

    def compute(step):
        x = torch.arange(3.0) + step
        return {"one": network(x).square().mean(), "two": 3 * network.weight.square().sum()}

    return compute


def test_a_step_is_adamw_on_the_clipped_gradient(tmp_path):
    ours = make(tmp_path)
    torch.manual_seed(0)
    network = nn.Linear(3, 1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.02)
    average = [p.detach().clone() for p in network.parameters()]
    for step in range(4):
        optimiser.param_groups[0]["lr"] = learning_rate(step, 4, 0.1)
        sum(losses_of(network)(step).values()).backward()
        norm = torch.stack([p.grad.square().sum() for p in network.parameters()]).sum().sqrt()
        for p in network.parameters():
            p.grad *= min(1.0, 0.5 / norm)
        optimiser.step()
        optimiser.zero_grad()
        share = 1 - min(0.998, (1 + step) / (10 + step))
        for mean, p in zip(average, network.parameters(), strict=True):
            mean.lerp_(p.detach(), share)
    ours.run(losses_of(ours.network), lambda state: {})
    for mean, p, own in zip(average, network.parameters(), ours.network.parameters(), strict=True):
        torch.testing.assert_close(own, p)
        name = "weight" if p.dim() == 2 else "bias"
        torch.testing.assert_close(ours.average.state[name], mean)


def test_resumed_run_ends_where_the_whole_one_does(tmp_path):
    whole = make(tmp_path / "whole")
    whole.run(losses_of(whole.network), lambda state: {})
    first = make(tmp_path / "two")

    def interrupted(step):
        if step == 3:  # after the checkpoint of step 2
            raise KeyboardInterrupt
        return losses_of(first.network)(step)

    with pytest.raises(KeyboardInterrupt):
        first.run(interrupted, lambda state: {})
    second = make(tmp_path / "two")
    assert second.first == 2
    second.run(losses_of(second.network), lambda state: {})
    assert torch.equal(second.network.weight, whole.network.weight)
    assert torch.equal(second.average.state["weight"], whole.average.state["weight"])
    saved = torch.load(tmp_path / "two" / "net.pt", weights_only=True)
    assert (saved["step"], saved["width"]) == (4, 3)


def test_log_has_mean_losses_and_reports(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(training, "LOG_EVERY", 2)
    ours = make(tmp_path)
    values = iter([1.0, 3.0, 5.0, 6.0])
    ours.run(
        lambda step: {"only": next(values) + 0 * ours.network.weight.sum()},
        lambda state: {"size": float(state["weight"].numel())},
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["2/4", "4/4"]
    assert [line.split()[-1] for line in lines[:2]] == ["2.0000", "5.5000"]
    assert json.loads(lines[2]) == {"step": 4, "size": 3.0}


def test_batches_are_drawn_one_step_ahead_and_once():
    drawn = []

    def draw(step: int) -> int:
        drawn.append(step)
        return 10 * step

    ahead = Ahead(draw)
    assert [ahead.batch(step) for step in (3, 4, 5)] == [30, 40, 50]
    assert drawn[:3] == [3, 4, 5]
