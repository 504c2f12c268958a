"""Measure how much of the target change a network makes on held-back faces.

`python -m makeup_training.systems.check psgan --faces FOLDER --state runs/psgan/state.safetensors`
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from makeup_kernels import Region
from makeup_training.systems.faces import FaceStore
from makeup_training.systems.learners import LEARNERS, Learner
from makeup_training.systems.objective import as_painted, blurred, taken_from
from makeup_training.systems.pairs import LIGHT_RANGE, PairBatch, Shares
from makeup_training.systems.train import Run

REGIONS = (Region.LIPS, Region.EYES, Region.SKIN, Region.BROWS)


def measure(learner: Learner, batches: Iterable[PairBatch]) -> dict[str, tuple[float, float]]:
    """Median arrival and residual of each region; a perfect network has 1 and 0."""
    found: dict[str, list[tuple[float, float]]] = {region.name: [] for region in REGIONS}
    for batch in batches:
        with torch.no_grad():
            passes = [*learner.passes(batch)]
        for face, result, nothing, change in passes:
            made = smoothed(LIGHT_RANGE * (result - nothing), face.regions, lab=learner.lab)
            for b in range(len(change)):
                for region in REGIONS:
                    here = face.regions[b] == region
                    want, got = change[b][:, here], made[b][:, here]
                    size = float((want**2).sum())
                    if size / max(int(here.sum()), 1) < 0.02:
                        continue
                    left = float((got - want).norm()) / size**0.5
                    found[region.name].append((float((got * want).sum()) / size, left))
    return {n: tuple(np.median(np.array(v), axis=0)) for n, v in found.items() if v}


def smoothed(change: torch.Tensor, regions: torch.Tensor, *, lab: bool = False) -> torch.Tensor:
    """The change averaged inside each region, 0 outside: the painted colours."""
    sigma = change.shape[-1] / 128
    change = as_painted(change, regions, lab=lab)
    total = torch.zeros_like(change)
    for region in REGIONS:
        inside = (regions == region)[:, None]
        here = taken_from(regions, region).to(change.dtype)
        near, far = blurred(here, sigma), blurred(here, 3 * sigma)
        smooth = blurred(change * here, sigma) / near.clamp(min=1e-3)
        wide = blurred(change * here, 3 * sigma) / far.clamp(min=1e-3)
        known = (4 * near).clamp(max=1)
        total += inside * (known * smooth + (1 - known) * wide)
    return total


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    pairs = sorted(name for name, kind in LEARNERS.items() if kind.folder == "faces")
    parser.add_argument("system", choices=pairs)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batches", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    run = Run(LEARNERS[options.system](options.width), 0.0)
    run.restore(options.state, start=True)
    store = FaceStore.open(options.faces)
    removes = options.system == "ssat"
    draw = run.learner.sampler(store, options.size, (2, 3), held=True)
    shares = Shares(0.0, 1.0, 1.0, 0.0)
    draw.shares, draw.seed = (shares, shares), 1
    for removal in range(1 + removes):
        print("removal" if removal else "transfer")
        steps = range(removal, (1 + removes) * options.batches, 1 + removes)
        for name, (arrival, left) in measure(run.learner, map(draw, steps)).items():
            print(f"{name.lower():6s} arrival {arrival:.2f}  left {left:.2f}")


if __name__ == "__main__":
    main()
