"""Train the mobile-class weights of a system: the recipes `SYSTEM-mobile` of `makeup-train`."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from makeup_training.checkpoints import read_metadata, save_weights
from makeup_training.data.portraits import BadDataError
from makeup_training.interruptions import interruptions
from makeup_training.systems.learner import Learner, SystemLearner
from makeup_training.systems.learners import LEARNERS
from makeup_training.systems.pairs import LAB_UNIT, LIGHT_OFFSET, LIGHT_RANGE, WINDOW
from makeup_training.systems.plans import Plan

ORIGIN: Mapping[str, Any] = {
    "licence": "Apache-2.0",
    "training_data": [
        {"name": "faker-js/assets-person-portrait", "licence": "CC0-1.0"},
        {"name": "SelfishGene/SFHQ-dataset, SFHQ-T2I-dataset", "licence": "MIT"},
        {"name": "tobecwb/facial-features-yolo8x-seg", "licence": "CC-BY-4.0"},
    ],
}
"""Licence of the shipped weights, and the faces that they learnt from; their makeup is real or our
renderer's."""

STATE = "state.safetensors"
"""What a run goes on from."""

_LOG_EVERY, _KEEP_EVERY = 50, 100
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
_AVERAGE = 0.995
"""Decay of the running mean of the weights, which is what is exported."""


class Run:
    """A training run and all its state.

    Args:
        learner: the system.
        rate: highest learning rate.
        mixed: convolve in bfloat16, which needs a CPU with AVX512_BF16 or AMX.

    Attributes:
        origin: licence and training data of the weights, kept with the state.
    """

    def __init__(self, learner: SystemLearner, rate: float, *, mixed: bool = False) -> None:
        self.learner, self.rate, self.mixed, self.step = learner, rate, mixed, 0
        self.origin = dict(ORIGIN)
        learner.network.to(memory_format=learner.layout)
        self.parameters = {
            name: p for name, p in learner.network.named_parameters() if p.requires_grad
        }
        self.mean = {name: p.detach().clone() for name, p in self.parameters.items()}
        groups = [
            {"params": [p], "lr": rate, "times": learner.rate_of(name)}
            for name, p in self.parameters.items()
        ]
        self.optimiser = torch.optim.Adam(groups, rate, betas=(0.9, 0.99))

    def advance(self, batch: Any, steps: int) -> dict[str, float]:
        """One step of `steps`; returns the losses."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["times"] * self.rate * _schedule(self.step / steps)
        terms = self.learner.terms(batch, mixed=self.mixed)
        loss = torch.stack(list(terms.values())).sum()
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters.values(), 5.0)
        self.optimiser.step()
        self.step += 1
        decay = min(_AVERAGE, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, p in self.parameters.items():
                self.mean[name].lerp_(p, 1 - decay)
        return {name: float(value.detach()) for name, value in terms.items()}

    def save(self, folder: Path) -> None:
        """Keep weights, their mean and the optimiser's moments."""
        tensors = {f"weights.{n}": p.detach().contiguous() for n, p in self.parameters.items()}
        tensors |= {f"mean.{n}": p.contiguous() for n, p in self.mean.items()}
        for name, p in self.parameters.items():
            for moment in _MOMENTS:
                if p in self.optimiser.state:
                    tensors[f"{moment}.{name}"] = self.optimiser.state[p][moment].contiguous()
        facts = {"step": str(self.step), "origin": json.dumps(self.origin)}
        save_file(tensors, folder / "state.tmp", facts)
        (folder / "state.tmp").replace(folder / STATE)

    def restore(self, path: Path, *, start: bool = False) -> None:
        """Go on from a state, or only start from its mean weights."""
        tensors = load_file(path)
        with torch.no_grad():
            for name, p in self.parameters.items():
                if start:
                    kept = tensors.get(f"mean.{name}")
                    if kept is not None:
                        p.copy_(kept)
                        self.mean[name].copy_(p)
                    continue
                p.copy_(tensors[f"weights.{name}"])
                self.mean[name].copy_(tensors[f"mean.{name}"])
                if f"step.{name}" in tensors:
                    moments = {m: tensors[f"{m}.{name}"] for m in _MOMENTS}
                    self.optimiser.state[p] = moments
        if not start:
            self.step = max(int(state["step"]) for state in self.optimiser.state.values())
            self.origin = dict(read_metadata(path).get("origin", ORIGIN))

    def use_mean(self) -> None:
        """Put the mean weights into the network."""
        with torch.no_grad():
            for name, p in self.parameters.items():
                p.copy_(self.mean[name])


def keep_weights(run: Run, folder: Path, width: int, size: int) -> None:
    """Write the mean weights as `makeup export` reads them.

    Args:
        run: the run.
        folder: of the networks' files.
        width: of the network.
        size: side of its crops.
    """
    run.use_mean()
    folder.mkdir(exist_ok=True)
    left, top, side = WINDOW
    facts = {
        "recipe": run.learner.name,
        "width": width,
        "size": size,
        "step": run.step,
        **run.origin,
        **run.learner.facts,
    }
    if isinstance(run.learner, Learner):
        light = {"offset": LIGHT_OFFSET, "range": LIGHT_RANGE}
        scale = {"lab": LAB_UNIT * LIGHT_RANGE} if run.learner.lab else light
        facts["view"] = {**scale, "left": left, "top": top, "side": side}
    for name, network in run.learner.files.items():
        save_weights(network, folder / f"{name}.safetensors", metadata=facts)


def _schedule(done: float) -> float:
    return min(1.0, done / 0.03 + 0.02) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass(frozen=True)
class RunOptions:
    """Where and how a plan is carried out.

    Attributes:
        faces: folder of what the system learns from (`Learner.open_faces`).
        out: folder of the run; a run that is there goes on from where it was.
        start: the folder of another run, from whose weights this one starts; or None.
        mixed: convolve in bfloat16.
        origin: `licence` and `training_data` of the weights, kept with them; what is not given
            stays as the run that goes on has it, or is that of the shipped weights (`ORIGIN`).
    """

    faces: Path
    out: Path
    start: Path | None = None
    mixed: bool = False
    origin: Mapping[str, Any] = field(default_factory=dict)


def train(system: str, plan: Plan, options: RunOptions) -> Path:
    """Carry out a plan; returns the folder of the weights, which `makeup export` takes.

    On an interruption (Ctrl-C) the step is finished and the state kept before it is passed on.

    Raises:
        BadDataError: no faces, or no run to start from.
    """
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    run = Run(LEARNERS[system](plan.width), plan.rate, mixed=options.mixed)
    options.out.mkdir(parents=True, exist_ok=True)
    state = options.out / STATE
    if state.is_file():
        run.restore(state)
    elif options.start is not None:
        if not (options.start / STATE).is_file():
            raise BadDataError(f"{options.start}: no run to start from, {STATE} is missing")
        run.restore(options.start / STATE, start=True)
    run.origin.update(options.origin)
    batch = plan.sources, plan.references
    draw = run.learner.sampler(run.learner.open_faces(options.faces), plan.size, batch)
    began = time.perf_counter()
    with (options.out / "log.jsonl").open("a") as log, interruptions() as interrupted:
        sums: dict[str, float] = {}
        while run.step < plan.steps:
            for name, value in run.advance(draw(run.step), plan.steps).items():
                sums[name] = sums.get(name, 0.0) + value
            if run.step % _LOG_EVERY == 0:
                row = {"step": run.step, "seconds": round(time.perf_counter() - began, 1)}
                row |= {name: round(value / _LOG_EVERY, 5) for name, value in sums.items()}
                sums = {}
                log.write(json.dumps(row) + "\n")
                log.flush()
            if interrupted or run.step % _KEEP_EVERY == 0:
                run.save(options.out)
            if interrupted:
                raise KeyboardInterrupt
    run.save(options.out)
    weights = options.out / "weights"
    keep_weights(run, weights, plan.width, plan.size)
    return weights
