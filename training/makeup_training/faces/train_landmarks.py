"""Train the landmark and region net: `python -m makeup_training.faces.train_landmarks --data DIR`.

DIR is the faces folder (train/, detect/). Resumes from the checkpoint in --out if there is one.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from makeup_kernels import Region
from makeup_training.faces.data import FacePicture, load_crops, load_pictures
from makeup_training.faces.landmark_samples import (
    IGNORED,
    CropSample,
    aligned_sample,
    face_sample,
    faceless_sample,
    without_doubtful_labels,
)
from makeup_training.faces.networks import REGIONS, LandmarkRegionNet
from makeup_training.faces.training import Ahead, Schedule, Training
from makeup_training.precision import has_bfloat16

LIP_WEIGHT, BROW_WEIGHT, NEAR = 3.0, 1.0, 7
"""Extra weight of pixels whose 7 × 7 window contains lips or brows."""

WING, WING_CURVE = 0.10, 0.02
FACELESS_SHARE = 0.12
SIDE = 320
"""Side of the crops in memory, pixels."""

LEAST_WIDTH = 70
"""Minimum width of a face in a whole picture, pixels."""

WHOLE_SHARE = 0.35
"""Probability of drawing a whole picture, relative to a crop."""

COARSE_SHARE = 0.45
"""Fraction of steps on crops 32 pixels smaller, at two thirds of the cost. After these steps the
network reads its training crops once and doubtful labels are dropped."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the faces folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log")
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--size", type=int, default=160, help="side of the network's input")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2.5e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    train(parser.parse_args())


def train(options: argparse.Namespace) -> None:
    """Train to `options.steps`, checkpointing every 100 steps."""
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    crops = load_crops(options.data / "train", side=SIDE, held=False)
    pictures = crops + whole_pictures(options.data)
    shares = shares_of(len(crops), len(pictures))
    held = load_crops(options.data / "train", side=SIDE, held=True)
    print(f"{len(crops)} crops, {len(pictures) - len(crops)} pictures, {len(held)} held back")

    torch.manual_seed(options.seed)
    network = LandmarkRegionNet(options.width).to(memory_format=torch.channels_last)
    facts = {"width": options.width, "size": options.size}
    schedule = Schedule(options.steps, options.rate, clip=5.0, save_every=100)
    training = Training(network, options.out / "landmarks.pt", schedule, facts)
    coarse = round(COARSE_SHARE * options.steps)

    def draw_batch(step: int) -> list[CropSample]:
        rng = np.random.default_rng([options.seed, step])
        size = options.size if step >= coarse else options.size - 32
        return [_draw(pictures, shares, size, rng) for _ in range(options.batch)]

    ahead = Ahead(draw_batch)

    def losses_of(step: int) -> dict[str, Tensor]:
        if step == max(training.first, coarse):
            state = training.average.state
            pictures[: len(crops)] = cleaned(crops, state, options.width, options.size)
        samples = ahead.batch(step)
        return batch_losses(network, samples)

    training.run(losses_of, lambda state: evaluate(state, options.width, options.size, held))


def whole_pictures(data: Path) -> list[FacePicture]:
    """Pictures of `detect/` with a large enough face, cut to its surroundings; no region maps."""
    whole = [with_room(p) for p in load_pictures(data / "detect", held=False)]
    return [p for p in whole if np.ptp(p.landmarks[:, 0]) > LEAST_WIDTH]


def shares_of(crops: int, pictures: int) -> NDArray[np.float64]:
    """Probability of each picture; the crops come first."""
    shares = np.array([1.0] * crops + [WHOLE_SHARE] * (pictures - crops))
    return shares / shares.sum()


def batch_losses(network: LandmarkRegionNet, samples: list[CropSample]) -> dict[str, Tensor]:
    """The losses of landmarks (wing), regions (cross-entropy and dice) and score, weighted."""
    return answer_losses(answers(network, samples), samples)


def answers(network: LandmarkRegionNet, samples: list[CropSample]) -> tuple[Tensor, Tensor, Tensor]:
    """Landmarks, confidences and region logits of a batch, in half precision where useful."""
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16(torch.device("cpu"))):
        found: tuple[Tensor, Tensor, Tensor] = network(to_input([s.image for s in samples]))
    return found


def answer_losses(
    answer: tuple[Tensor, Tensor, Tensor], samples: list[CropSample]
) -> dict[str, Tensor]:
    """`batch_losses`, given the results of `answers`."""
    points, confidence, logits = answer
    landmarks = torch.from_numpy(np.stack([s.landmarks for s in samples]))
    regions = torch.from_numpy(np.stack([s.regions for s in samples])).long()
    is_face = torch.tensor([s.is_face for s in samples])
    faces, judged = is_face != 0, is_face >= 0
    score = F.binary_cross_entropy_with_logits(confidence[judged], is_face[judged].float())
    entropy, dice = region_losses(logits, regions)
    return {
        "landmarks": 10 * wing_loss(points[faces], landmarks[faces]),
        "regions": entropy,
        "dice": dice,
        "score": 0.3 * score,
    }


def region_losses(logits: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy weighted near lips and brows, and 1 - soft Dice of the four regions.

    Both over the whole batch.
    logits (B, 5, S, S); regions int64 (B, S, S), 255 is ignored.
    """
    log_share = F.log_softmax(logits.float().contiguous(), dim=1).transpose(0, 1).flatten(1)
    target = regions.flatten()
    classes = torch.arange(REGIONS)[:, None]
    is_region = (target == classes).float()
    known = is_region.sum(dim=0)
    weight = known * pixel_weights(regions).flatten()
    entropy = -(log_share * is_region).sum(dim=0) @ weight / weight.sum()
    share = log_share.exp() * known
    both = (share * is_region).sum(dim=1)
    return entropy, 1 - (2 * both / (share.sum(dim=1) + is_region.sum(dim=1) + 1))[1:].mean()


def pixel_weights(regions: Tensor) -> Tensor:
    """(B, S, S): 1, larger near the thin regions, whose IoU depends on their edges."""
    thin = torch.stack([regions == Region.LIPS, regions == Region.BROWS], dim=1).float()
    near = F.max_pool2d(thin, NEAR, stride=1, padding=NEAR // 2)
    return 1 + LIP_WEIGHT * near[:, 0] + BROW_WEIGHT * near[:, 1]


def wing_loss(points: Tensor, target: Tensor) -> Tensor:
    """Wing loss (Feng et al., 2018) of the distance in units of the pupil distance."""
    eyes = target[:, 36:42].mean(1) - target[:, 42:48].mean(1)
    unit = eyes.norm(dim=1).clamp(min=0.08)
    error = (points - target).abs() / unit[:, None, None]
    curved = WING * torch.log1p(error / WING_CURVE)
    offset = WING - WING * float(np.log1p(WING / WING_CURVE))
    loss = torch.where(error < WING, curved, error - offset)
    weight = torch.ones(68, 1)
    weight[:17] = 0.6
    return (loss * weight).mean()


def to_input(images: list[NDArray[np.uint8]]) -> Tensor:
    """uint8 (S, S, 3) pictures as float32 (B, 3, S, S) in 0..1, channels last."""
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return stacked.float().div_(255).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def cleaned(
    crops: list[FacePicture], state: Mapping[str, Tensor], width: int, size: int
) -> list[FacePicture]:
    """The crops without the region labels that the network currently contradicts."""
    network = LandmarkRegionNet(width)
    network.load_state_dict(state)
    network.eval()
    result = []
    for start in range(0, len(crops), 32):
        batch = crops[start : start + 32]
        logits = network(to_input([aligned_sample(p, size).image for p in batch]))[2].numpy()
        result += [
            without_doubtful_labels(p, answer, size)
            for p, answer in zip(batch, logits, strict=True)
        ]
    dropped = np.mean([(p.regions == IGNORED).mean() for p in result if p.regions is not None])
    print(f"doubtful labels dropped: {100 * dropped:.2f} % of the pixels", flush=True)
    return result


@torch.no_grad()
def evaluate(
    state: Mapping[str, Tensor], width: int, size: int, held: list[FacePicture]
) -> dict[str, float]:
    """Mean errors (% of the pupil distance) and IoUs on aligned held-back crops."""
    network = LandmarkRegionNet(width)
    network.load_state_dict(state)
    network.eval()
    inner, outer, scores = [], [], []
    hits, unions = np.zeros(REGIONS), np.zeros(REGIONS)
    for start in range(0, len(held), 32):
        samples = [aligned_sample(p, size) for p in held[start : start + 32]]
        points, confidence, logits = network(to_input([s.image for s in samples]))
        for sample, found in zip(samples, points.numpy(), strict=True):
            eyes = sample.landmarks[36:42].mean(0) - sample.landmarks[42:48].mean(0)
            error = 100 * np.hypot(*(found - sample.landmarks).T) / np.hypot(*eyes)
            inner.append(error[17:].mean())
            outer.append(error.mean())
        scores += confidence.sigmoid().tolist()
        truth = np.stack([s.regions for s in samples])
        guess = logits.argmax(1).numpy()
        for region in range(REGIONS):
            hits[region] += ((truth == region) & (guess == region)).sum()
            unions[region] += ((truth == region) | (guess == region)).sum()
    iou = hits / unions
    names = ("none", "lips", "skin", "eyes", "brows")
    report = {"inner": np.mean(inner), "all": np.mean(outer), "score": np.mean(scores)}
    report |= dict(zip(names, iou, strict=True))
    return {name: round(float(value), 4) for name, value in report.items()}


def _draw(
    pictures: list[FacePicture], shares: NDArray[np.float64], size: int, rng: np.random.Generator
) -> CropSample:
    if rng.random() < FACELESS_SHARE:
        return faceless_sample(pictures, size, rng)
    return face_sample(pictures, int(rng.choice(len(pictures), p=shares)), size, rng)


def with_room(picture: FacePicture) -> FacePicture:
    """A whole picture cut to the surroundings of its face and shrunk to at most 320."""
    low, high = picture.landmarks.min(axis=0), picture.landmarks.max(axis=0)
    reach = 1.3 * float((high - low).max())
    height, width = picture.image.shape[:2]
    middle = (low + high) / 2
    x0, y0 = np.clip(np.floor(middle - reach), 0, [width - 1, height - 1]).astype(int)
    x1, y1 = np.clip(np.ceil(middle + reach), [x0 + 1, y0 + 1], [width, height]).astype(int)
    image = picture.image[y0:y1, x0:x1]
    scale = min(1.0, 400 / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    landmarks = (picture.landmarks - [x0, y0] + 0.5) * scale - 0.5
    return FacePicture(picture.name, small, landmarks.astype(np.float32), region_scale=1 / scale)


if __name__ == "__main__":
    main()
