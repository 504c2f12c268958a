"""Train the lip net: `python -m makeup_training.faces.train_lips --data DIR --out DIR`.

DIR is the faces folder (train/, detect/). The shipped landmark and region net frames the mouths, so
train it first. Resumes from the checkpoint in --out if there is one. The masks are rough: a net
trained on them and on the mean output of two earlier nets (`--teachers`) matches held-back masks
better than either.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from makeup_sdk.faces import BundledFaceAnalyzer
from makeup_training.faces.data import load_crops
from makeup_training.faces.lip_samples import LipSamples, lip_samples
from makeup_training.faces.networks import LipNet
from makeup_training.faces.train_landmarks import whole_pictures
from makeup_training.faces.training import Schedule, Training
from makeup_training.precision import has_bfloat16

ENTROPY_WEIGHT = 4.0

TEACHERS_WEIGHT = 0.5
"""Weight of the teachers' mean output in the cross-entropy's target; the rest is the mask."""

OUTLINED_SHARE, OUTLINED_UNTIL = 0.3, 0.6
"""Fraction of steps on faces whose lips are labelled only by landmarks, and until which fraction of
the training. They double the number of faces; masks are more precise."""

CLEAR_SHARE, CLEAR_FROM = 0.7, 0.8
"""Fraction of steps on faces neither occluded nor relit, and from which fraction of the training:
for sub-pixel accuracy."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the faces folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--views", type=int, default=12, help="samples of each picture")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--teachers", type=Path, nargs="*", default=[], help="earlier checkpoints")
    train(parser.parse_args())


def train(options: argparse.Namespace) -> None:
    """Train to `options.steps`, checkpointing every 100 steps."""
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    analyzer = BundledFaceAnalyzer(threads=options.threads)
    crops, held_crops = (
        load_crops(options.data / "train", side=384, held=held) for held in (False, True)
    )
    samples = lip_samples(crops, analyzer, options.views, options.seed)
    whole = whole_pictures(options.data)
    outlined = lip_samples(whole, analyzer, options.views // 2, options.seed + 1)
    held = lip_samples(held_crops, analyzer, 0, options.seed)
    clear = lip_samples(crops, analyzer, options.views, options.seed + 2, clear=True)
    counts = len(samples.image), len(outlined.image), len(held.image)
    print("{} samples, {} outlined only, {} held back".format(*counts), flush=True)
    torch.manual_seed(options.seed)
    network = LipNet().to(memory_format=torch.channels_last)
    schedule = Schedule(options.steps, options.rate, clip=5.0, save_every=100, report_every=500)
    teachers = [_teacher(path) for path in options.teachers]

    def losses_of(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([options.seed, step])
        drawn = samples
        if step >= CLEAR_FROM * options.steps and rng.random() < CLEAR_SHARE:
            drawn = clear
        if step < OUTLINED_UNTIL * options.steps and rng.random() < OUTLINED_SHARE:
            drawn = outlined
        rows = rng.integers(len(drawn.image), size=options.batch)
        return lip_losses(network, drawn, rows.tolist(), teachers)

    training = Training(network, options.out / "lips.pt", schedule, {})
    training.run(losses_of, lambda state: evaluate_lips(state, held))


def lip_losses(
    network: LipNet, samples: LipSamples, rows: list[int], teachers: Sequence[LipNet] = ()
) -> dict[str, Tensor]:
    """Cross-entropy against the mask (mixed with the teachers, if any); 1 - soft IoU per face."""
    image, regions, lips = _batch(samples, rows)
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16(torch.device("cpu"))):
        odds = network(image, regions)
    fine = _enlarged(odds.float(), lips)
    share = fine.sigmoid()
    both = (share * lips).sum((1, 2))
    union = share.sum((1, 2)) + lips.sum((1, 2)) - both
    wanted = lips
    if teachers:
        with torch.no_grad():
            said = [_enlarged(teacher(image, regions), lips).sigmoid() for teacher in teachers]
        wanted = torch.lerp(lips, torch.stack(said).mean(0), TEACHERS_WEIGHT)
    entropy = F.binary_cross_entropy_with_logits(fine, wanted)
    return {"entropy": ENTROPY_WEIGHT * entropy, "iou": (1 - (both + 1) / (union + 1)).mean()}


@torch.no_grad()
def evaluate_lips(state: Mapping[str, Tensor], held: LipSamples) -> dict[str, float]:
    """Mean IoU on held-back faces."""
    network = LipNet()
    network.load_state_dict(state)
    network.eval()
    found: list[float] = []
    for start in range(0, len(held.image), 32):
        image, regions, lips = _batch(held, list(range(start, min(start + 32, len(held.image)))))
        guess, truth = _enlarged(network(image, regions), lips) > 0, lips > 0
        both, union = (guess & truth).sum((1, 2)), (guess | truth).sum((1, 2))
        found += (both / union.clamp(min=1)).tolist()
    return {"iou": round(float(np.mean(found)), 4)}


def _teacher(checkpoint: Path) -> LipNet:
    network = LipNet().eval()
    network.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    return network.to(memory_format=torch.channels_last)


def _enlarged(odds: Tensor, lips: Tensor) -> Tensor:
    size = int(lips.shape[1]), int(lips.shape[2])
    return F.interpolate(odds[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def _batch(samples: LipSamples, rows: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    image = torch.from_numpy(samples.image[rows]).permute(0, 3, 1, 2).float() / 255
    regions = torch.from_numpy(samples.regions[rows].astype(np.float32))
    return image, regions, torch.from_numpy(samples.lips[rows]).float()


if __name__ == "__main__":
    main()
