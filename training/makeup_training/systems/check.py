"""Measure how much of the target change a network makes on held-back faces; draw a sheet.

`python -m makeup_training.systems.check psgan --faces FOLDER --state runs/psgan/state.safetensors
--sheet sheet.png`
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_sdk.faces.light import from_log, to_log
from makeup_training.systems.faces import MADE_UP, PAINTED, FaceStore
from makeup_training.systems.learners import LEARNERS, Learner
from makeup_training.systems.objective import as_painted, blurred, taken_from
from makeup_training.systems.pairs import LIGHT_RANGE, WINDOW, PairBatch, PairSampler, Shares
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


def sheet(
    learner: Learner, draw: PairSampler, sources: list[int], references: list[int]
) -> NDArray:
    """A grid of results: references down, source faces across."""
    left, top, side = WINDOW
    window = np.s_[top : top + side, left : left + side]
    store = draw.store
    blank = np.full((side, side, 3), 255, np.uint8)
    rows = [np.hstack([blank, *(store.crop[w][window] for w in sources)])]
    for reference in references:
        row = [np.asarray(store.crop[reference][window])]
        for source in sources:
            batch = draw.pairs([(source, False)], [(reference, False)])
            with torch.no_grad():
                passes = next(iter(learner.passes(batch)))
            made = smoothed(LIGHT_RANGE * (passes.result - passes.nothing), passes.face.regions)
            made = made[0].numpy().transpose(1, 2, 0)[..., ::-1]
            made = cv2.GaussianBlur(cv2.resize(made, (side, side)), (0, 0), 1.0)
            row.append(from_log(to_log(store.crop[source][window]) + made))
        rows.append(np.hstack(row))
    return np.vstack(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    pairs = sorted(name for name, kind in LEARNERS.items() if kind.folder == "faces")
    parser.add_argument("system", choices=pairs)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--sheet", type=Path)
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
    if options.sheet:
        sources = [int(i) for i in draw.rows[0][:5]]
        painted = [int(i) for i in draw.rows[PAINTED][8:12]]
        worn = [int(i) for i in np.flatnonzero(store.kind == MADE_UP)[[0, 4, 9, 14]]]
        cv2.imwrite(str(options.sheet), sheet(run.learner, draw, sources, worn + painted))


if __name__ == "__main__":
    main()
