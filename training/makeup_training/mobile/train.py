"""Train `mobile`: `python -m makeup_training.mobile.train --samples DIR --out DIR`.

DIR holds what `makeup_training.mobile.samples` painted. Of skin and brows the reader learns alone,
the painter learns alone, then both together (`face`); the networks of `lips` and of `eyes` learn
together from the start. `--stage` does one of these; all but `face` need nothing of one another and
can run at the same time. Each stage resumes from its checkpoint in --out when there is one.
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor, nn

from makeup_kernels import Region
from makeup_training.data.portraits import BadDataError
from makeup_training.faces.training import Schedule, Training
from makeup_training.mobile.apart import painter_losses, perfect_codes, reader_losses
from makeup_training.mobile.batches import (
    batch,
    draw_triples,
    photographed,
    relit_sources,
    sample,
    to_pictures,
    to_tensor,
)
from makeup_training.mobile.feature import FeatureNetworks, evaluate_feature, feature_losses
from makeup_training.mobile.losses import (
    REGION_WEIGHTS,
    painting_losses,
    reading_losses,
    worn_change,
)
from makeup_training.mobile.model import FaceNetworks, Faces, apply_change, on_template, paint
from makeup_training.mobile.networks import FacePainter, FaceReader
from makeup_training.mobile.samples import Samples
from makeup_training.mobile.start import start_from_samples

READING_WEIGHT, READING_SHARE = 0.05, 0.5
"""Weight of the reader's own loss while both learn, and the share of references it is known for."""

STEPS = {"reader": 5000, "painter": 2200, "face": 3200, "lips": 19500, "eyes": 12500}
RATES = {"reader": 2e-3, "painter": 2e-3, "face": 1.2e-3, "lips": 2e-3, "eyes": 2e-3}
LOOKS = {"reader": 8, "painter": 8, "face": 8, "lips": 12, "eyes": 12}
"""Of each stage: its length, the highest learning rate, and the references per step."""

TOLD_SHARE, TOLD_UNTIL = 0.5, 0.75
"""Of the paintings of lips and eyes that know the makeup instead of reading it, and the part of the
training after which none does."""

FEATURES = {"lips": Region.LIPS, "eyes": Region.EYES}

Report = dict[str, float]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--held", type=Path, help="samples of held-back faces, to report on")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--stage", choices=STEPS, help="only this one")
    for stage, steps in STEPS.items():
        parser.add_argument(f"--{stage}-steps", type=int, default=steps)
    parser.add_argument("--looks", type=int, help="references per step; default of the stage")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for stage in [options.stage] if options.stage else STEPS:
        train(stage, options)


def train(stage: str, options: argparse.Namespace) -> None:
    """Train what `stage` says to its last step, from the checkpoint on where there is one."""
    torch.set_num_threads(options.threads)
    samples = Samples.open(options.samples)
    held = Samples.open(options.held) if options.held else None
    torch.manual_seed(options.seed)
    network, measure, evaluate = (
        _feature(stage) if stage in FEATURES else _face(stage, samples, options.out)
    )
    network.to(memory_format=torch.channels_last)
    steps, looks = getattr(options, f"{stage}_steps"), options.looks or LOOKS[stage]
    schedule = Schedule(steps, RATES[stage], clip=1.0, save_every=100, report_every=300)

    def losses_of(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([options.seed, step])
        if stage not in FEATURES:
            return measure(network, samples, looks, rng)
        return measure(network, samples, looks, rng, told_share(step, steps))

    def report(state: Mapping[str, Tensor]) -> Report:
        return evaluate(state, held) if held else {}

    Training(network, options.out / f"{stage}.pt", schedule, {}).run(losses_of, report)


def told_share(step: int, steps: int) -> float:
    """`TOLD_SHARE` in the first part of the training, then 0."""
    return TOLD_SHARE if step < TOLD_UNTIL * steps else 0.0


_Stage = tuple[
    nn.Module, Callable[..., dict[str, Tensor]], Callable[[Mapping[str, Tensor], Samples], Report]
]
"""Network, its losses, and its figures on held-back faces."""


def _feature(stage: str) -> _Stage:
    region = FEATURES[stage]
    return FeatureNetworks(region), feature_losses, partial(evaluate_feature, region)


def _face(stage: str, samples: Samples, folder: Path) -> _Stage:
    face = FaceNetworks(reader := FaceReader(), painter := FacePainter())
    if stage == "reader":
        start_from_samples(reader, painter, samples)
        return reader, reader_losses, evaluate_reader
    if stage == "painter":
        start_from_samples(reader, painter, samples)
        return painter, painter_losses, evaluate_painter
    for name, network in (("reader", reader), ("painter", painter)):
        path = folder / f"{name}.pt"
        if not path.exists():
            raise BadDataError(f"{path}: not there; train it first (--stage {name})")
        network.load_state_dict(torch.load(path, weights_only=True)["average"])
    return face, step_losses, evaluate_face


def step_losses(
    network: FaceNetworks, samples: Samples, looks: int, rng: np.random.Generator
) -> dict[str, Tensor]:
    """One step of the face's two networks: each look is read from one and painted on two others."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    triples = draw_triples(samples, looks, rng, READING_SHARE)
    shown = photographed(triples.references, generator)
    seen, clean, wanted = relit_sources(triples, generator)
    with torch.autocast("cpu", torch.bfloat16):
        own, codes = network.read(shown)
        change = network.paint(seen, codes.repeat_interleave(2, 0))
    losses = painting_losses(change, clean, wanted, seen.regions)
    if triples.known:
        worn, regions = triples.references.image[triples.known], shown.regions[triples.known]
        truth = worn_change(worn, triples.bare, regions)
        reading = reading_losses(own[triples.known], truth, regions)
        losses["reading"] = READING_WEIGHT * torch.stack(list(reading.values())).sum()
    return losses


@torch.no_grad()
def evaluate_reader(state: Mapping[str, Tensor], held: Samples) -> Report:
    """Mean losses of the reader on made-up faces, and those of reading nothing."""
    reader = FaceReader().eval()
    reader.load_state_dict(state)
    found: dict[str, list[float]] = {}
    for row in range(len(held)):
        worn = batch([sample(held, row, "truth", False)])
        change = worn_change(worn.image, to_tensor([held.bare[row]]), worn.regions)
        codes = reader(worn.image, worn.regions)
        for prefix, said in (("", codes), ("none_", torch.zeros_like(codes))):
            for name, loss in reading_losses(said, change, worn.regions).items():
                found.setdefault(prefix + name, []).append(float(loss))
    return {name: round(float(np.mean(values)), 4) for name, values in found.items()}


def evaluate_painter(state: Mapping[str, Tensor], held: Samples) -> Report:
    """`evaluate` of the painter after a perfect reader."""
    painter = FacePainter().eval()
    painter.load_state_dict(state)

    def paint_looks(rows: list[int], sources: Faces) -> Tensor:
        worn = batch([sample(held, row, "truth", False) for row in rows])
        bare = to_tensor([held.bare[row] for row in rows])
        change = worn_change(worn.image, bare, worn.regions)
        return paint(painter, sources, on_template(perfect_codes(worn, change), worn))

    return evaluate(paint_looks, held)


def evaluate_face(state: Mapping[str, Tensor], held: Samples, pairs: int = 48) -> Report:
    """`evaluate` of both networks."""
    network = FaceNetworks(FaceReader(), FacePainter()).eval()
    network.load_state_dict(state)

    def paint_looks(rows: list[int], sources: Faces) -> Tensor:
        references = batch([sample(held, row, "worn", False) for row in rows])
        return network.paint(sources, network.read(references)[1])

    return evaluate(paint_looks, held, pairs)


@torch.no_grad()
def evaluate(
    paint_looks: Callable[[list[int], Faces], Tensor], held: Samples, pairs: int = 48
) -> Report:
    """Mean ΔE2000 to the truth by region, of the result and of doing nothing.

    Args:
        paint_looks: rows of the references and bare faces to the change of these.
        held: samples of held-back faces.
        pairs: how many of its makeups to look at, if there are as many.
    """
    found: dict[str, list[float]] = {}
    pairs = min(pairs, len(held) // held.faces)
    for first in range(0, pairs, 8):
        makeups = range(first, min(first + 8, pairs))
        sources = batch([sample(held, i * held.faces + 1, "bare", False) for i in makeups])
        change = paint_looks([i * held.faces for i in makeups], sources)
        result = apply_change(sources.image, change).clamp(0, 1)
        for picture, i in zip(to_pictures(result), makeups, strict=True):
            row = i * held.faces + 1
            truth = rgb2lab(held.truth[row][..., ::-1])
            for prefix, image in (("", picture), ("none_", held.bare[row])):
                distance = deltaE_ciede2000(truth, rgb2lab(image[..., ::-1]))
                for region in REGION_WEIGHTS:
                    here = held.bare_regions[row] == region
                    if here.any():
                        name = prefix + region.name.lower()
                        found.setdefault(name, []).append(float(distance[here].mean()))
    return {name: round(float(np.mean(values)), 3) for name, values in found.items()}


if __name__ == "__main__":
    main()
