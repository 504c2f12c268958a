"""Train `mobile`: `python -m makeup_training.mobile.train --samples DIR --out DIR`.

DIR holds what `makeup_training.mobile.samples` painted. Resumes from the checkpoint in --out when
there is one.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor, nn
from torch.nn import functional as F

from makeup_kernels import Region
from makeup_sdk.classic.layout import FaceLayout
from makeup_sdk.mobile.layout import STRIDE, template_layout
from makeup_training.faces.training import Schedule, Training
from makeup_training.mobile.lay import Lay
from makeup_training.mobile.light import Relight, degrade
from makeup_training.mobile.networks import CHANGED, Painter, Reader, log_light, region_shares
from makeup_training.mobile.samples import Samples
from makeup_training.mobile.start import start_from_samples

MAP_STRIDE = 2
"""Crop pixels per cell of the change."""

REGION_WEIGHTS = {Region.LIPS: 1.0, Region.SKIN: 3.0, Region.EYES: 1.5, Region.BROWS: 0.5}
"""Weight of each region's mean error; a region's size does not count."""

ROUNDING = 0.01
"""Errors far below this count squared: else no change at all would be a trap."""

READING_WEIGHT, READING_SHARE = 0.1, 0.5
"""Weight of the loss that has the first three codes say how makeup changed the log light of the
reference itself, and the share of references in whose crop the bare face is known."""

BARE_SHARE = 0.08
"""References that wear nothing, and so must change nothing."""


class Mobile(nn.Module):
    """Both networks and the morph between them."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = Reader()
        self.painter = Painter()

    def read(self, faces: "Faces") -> tuple[Tensor, Tensor]:
        """Codes on the faces themselves and on the template, float (B, 16, 64, 64) each."""
        codes = self.reader(faces.image, faces.shares).float()
        lays = [Lay(face, template_layout()) for face in faces.layouts]
        return codes, torch.stack([lay(code) for lay, code in zip(lays, codes, strict=True)])

    def paint(self, faces: "Faces", codes: Tensor) -> Tensor:
        """The change of each face, float (B, 6, 128, 128), 0 outside its regions."""
        lays = [Lay(template_layout(), face) for face in faces.layouts]
        laid = torch.stack([lay(code) for lay, code in zip(lays, codes, strict=True)])
        change = self.painter(faces.image, faces.shares, laid).float()
        return change * faces.inside


@dataclass(frozen=True)
class Faces:
    """A batch of analysed crops.

    Attributes:
        image: float (B, 3, 256, 256), BGR in [0, 1], as the networks see it.
        regions: uint8 (B, 256, 256).
        layouts: landmarks and regions of each.
    """

    image: Tensor
    regions: Tensor
    layouts: list[FaceLayout]

    @property
    def shares(self) -> Tensor:
        """float (B, 4, 64, 64): how much of each cell a region has."""
        return region_shares(self.regions)

    @property
    def inside(self) -> Tensor:
        """float (B, 1, 128, 128): how much of each cell of the change any region has."""
        return F.avg_pool2d((self.regions[:, None] > 0).float(), MAP_STRIDE)


def apply_change(image: Tensor, change: Tensor) -> Tensor:
    """image · (1 + gain) + offset, the change interpolated; float (B, 3, 256, 256)."""
    fine = F.interpolate(change, image.shape[2:], mode="bilinear", align_corners=False)
    return image + fine[:, :3] * image + fine[:, 3:]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--held", type=Path, help="samples of held-back faces, to report on")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, default=4400)
    parser.add_argument("--looks", type=int, default=8, help="references per step")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    train(parser.parse_args())


def train(options: argparse.Namespace) -> None:
    """Train to `options.steps`, from the checkpoint on where there is one."""
    torch.set_num_threads(options.threads)
    samples = Samples.open(options.samples)
    held = Samples.open(options.held) if options.held else None
    torch.manual_seed(options.seed)
    network = Mobile().to(memory_format=torch.channels_last)
    start_from_samples(network.reader, network.painter, samples)
    schedule = Schedule(options.steps, options.rate, clip=1.0, save_every=100, report_every=300)

    def losses_of(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([options.seed, step])
        return step_losses(network, samples, options.looks, rng)

    def report(state: Mapping[str, Tensor]) -> dict[str, float]:
        return evaluate(dict(state), held) if held else {}

    Training(network, options.out / "mobile.pt", schedule, {}).run(losses_of, report)


def step_losses(
    network: Mobile, samples: Samples, looks: int, rng: np.random.Generator
) -> dict[str, Tensor]:
    """One batch: each look is read from one face and painted on two others."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    makeups = len(samples) // samples.faces
    worn, bare, truth, before = [], [], [], []
    for _ in range(looks):
        makeup = int(rng.integers(makeups))
        rows = makeup * samples.faces + rng.permutation(samples.faces)[:3]
        nothing = rng.random() < BARE_SHARE
        draw = rng.random()
        kind = "bare" if nothing else "truth" if draw < READING_SHARE else "worn"
        mirror = bool(rng.random() < 0.5)
        worn.append(_face(samples, int(rows[0]), kind, mirror))
        known = kind != "worn"
        before.append(_face(samples, int(rows[0]), "bare", mirror)[0] if known else None)
        for row in rows[1:]:
            mirror = bool(rng.random() < 0.5)
            bare.append(_face(samples, int(row), "bare", mirror))
            truth.append(_face(samples, int(row), "bare" if nothing else "truth", mirror)[0])
    references, sources = _batch(worn), _batch(bare)
    wanted = _to_tensor(np.stack(truth))
    light = Relight(looks, generator)
    shown = Faces(
        degrade(light(references.image), generator), references.regions, references.layouts
    )
    light = Relight(2 * looks, generator)
    clean, wanted = light(sources.image), light(wanted)
    seen = Faces(degrade(clean, generator), sources.regions, sources.layouts)
    with torch.autocast("cpu", torch.bfloat16):
        own, codes = network.read(shown)
        change = network.paint(seen, codes.repeat_interleave(2, 0))
    cells, wanted = F.avg_pool2d(clean, MAP_STRIDE), F.avg_pool2d(wanted, MAP_STRIDE)
    losses = region_losses(cells + change[:, :3] * cells + change[:, 3:], wanted, sources.regions)
    known = [i for i, image in enumerate(before) if image is not None]
    if known:
        without = _to_tensor(np.stack([before[i] for i in known]))
        losses["reading"] = READING_WEIGHT * reading_loss(
            own[known], references.image[known], without, references.regions[known]
        )
    return losses


def reading_loss(codes: Tensor, worn: Tensor, bare: Tensor, regions: Tensor) -> Tensor:
    """Mean distance of the first three codes from the makeup's change of log light, by region."""
    change = F.avg_pool2d(log_light(worn) - log_light(bare), STRIDE)
    inside = region_shares(regions)
    error = (codes[:, CHANGED] - change).abs().mean(1, keepdim=True)
    area = inside.sum((2, 3))
    return ((error * inside).sum((2, 3)) / area.clamp(min=5)).mean()


def region_losses(result: Tensor, wanted: Tensor, regions: Tensor) -> dict[str, Tensor]:
    """Mean absolute error by region, rounded off near 0, weighted.

    result, wanted (B, 3, 128, 128); regions uint8 (B, 256, 256).
    """
    error = ((result - wanted).square() + ROUNDING**2).sqrt().mean(1) - ROUNDING
    losses = {}
    for region, weight in REGION_WEIGHTS.items():
        here = F.avg_pool2d((regions == region).float()[:, None], MAP_STRIDE)[:, 0]
        mean = (error * here).sum((1, 2)) / here.sum((1, 2)).clamp(min=12)
        losses[region.name.lower()] = weight * mean.mean()
    return losses


@torch.no_grad()
def evaluate(state: dict[str, Tensor], held: Samples, pairs: int = 48) -> dict[str, float]:
    """Mean ΔE2000 to the truth by region, of the result and of doing nothing."""
    network = Mobile()
    network.load_state_dict(state)
    network.eval()
    found: dict[str, list[float]] = {}
    for first in range(0, pairs, 8):
        rows = [(i * held.faces, i * held.faces + 1) for i in range(first, min(first + 8, pairs))]
        references = _batch([_face(held, a, "worn", False) for a, _ in rows])
        sources = _batch([_face(held, b, "bare", False) for _, b in rows])
        change = network.paint(sources, network.read(references)[1])
        result = apply_change(sources.image, change).clamp(0, 1)
        for picture, (_, row) in zip(_to_pictures(result), rows, strict=True):
            truth = rgb2lab(held.truth[row][..., ::-1])
            for prefix, image in (("", picture), ("none_", held.bare[row])):
                distance = deltaE_ciede2000(truth, rgb2lab(image[..., ::-1]))
                for region in REGION_WEIGHTS:
                    here = held.bare_regions[row] == region
                    if here.any():
                        name = prefix + region.name.lower()
                        found.setdefault(name, []).append(float(distance[here].mean()))
    return {name: round(float(np.mean(values)), 3) for name, values in found.items()}


def _face(
    samples: Samples, row: int, kind: str, mirror: bool
) -> tuple[NDArray[np.uint8], FaceLayout]:
    """A crop and its layout: `bare`, `worn`, or `truth`, made-up in the crop of the bare one."""
    place = "worn" if kind == "worn" else "bare"
    image = getattr(samples, kind)[row]
    regions = np.asarray(getattr(samples, f"{place}_regions")[row])
    landmarks = np.asarray(getattr(samples, f"{place}_landmarks")[row])
    layout = FaceLayout(landmarks, regions)
    return (image[:, ::-1], layout.mirrored()) if mirror else (image, layout)


def _batch(faces: list[tuple[NDArray[np.uint8], FaceLayout]]) -> Faces:
    layouts = [layout for _, layout in faces]
    return Faces(
        _to_tensor(np.stack([image for image, _ in faces])),
        torch.from_numpy(np.stack([layout.regions for layout in layouts])),
        layouts,
    )


def _to_tensor(images: NDArray[np.uint8]) -> Tensor:
    stacked = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return stacked.float().div_(255).contiguous(memory_format=torch.channels_last)


def _to_pictures(images: Tensor) -> NDArray[np.uint8]:
    pictures: NDArray[np.uint8] = (
        (images * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    )
    return pictures


if __name__ == "__main__":
    main()
