"""One feature, lips or eyes: its reader and its painter learn together, in their window."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor, nn

from makeup_kernels import Region
from makeup_sdk.faces.layout import mirrored_landmarks
from makeup_training.mobile.batches import BARE_SHARE, to_pictures
from makeup_training.mobile.closeups import WINDOWS, CloseUpPainter, CloseUpReader, cut
from makeup_training.mobile.light import Relight, degrade
from makeup_training.mobile.losses import LEAST_AREA, ROUNDING, rounded_cie94
from makeup_training.mobile.model import apply_change
from makeup_training.mobile.networks import CHEEKS, CODES, GAMMA, SLOPE
from makeup_training.mobile.samples import Samples
from makeup_training.mobile.worn import NUMBERS

AGREEMENT_WEIGHT = 0.01
"""Of how far the reader is from saying what the renderer would."""

HIDDEN = 64


class FeatureNetworks(nn.Module):
    """The reader and the painter of one region; and, while they learn, one who knows the makeup.

    It turns the renderer's own numbers into codes. The painter learns from those what it can do
    when it is told the truth, the reader learns to say the same.
    """

    def __init__(self, region: Region) -> None:
        super().__init__()
        self.region = region
        self.reader = CloseUpReader(region)
        self.painter = CloseUpPainter(region)
        self.knower = nn.Sequential(
            nn.Linear(NUMBERS[region], HIDDEN), nn.LeakyReLU(SLOPE), nn.Linear(HIDDEN, CODES)
        )


@dataclass(frozen=True)
class Views:
    """Windows of faces.

    Attributes:
        image: float (B, 3, h, w), BGR in [0, 1].
        regions: uint8 (B, h, w).
        cheeks: float (B, 3, 1, 1), see `cheek_light`.
        landmarks: float (B, 68, 2), crop pixels.
    """

    image: Tensor
    regions: Tensor
    cheeks: Tensor
    landmarks: Tensor

    def own(self, region: Region) -> Tensor:
        """float (B, 1, h, w): 1 in the region."""
        return (self.regions[:, None] == region).float()


def view(
    samples: Samples, region: Region, rows: list[int], kind: str, mirrors: list[bool]
) -> Views:
    """Windows of samples: `bare`, `worn`, or `truth`, made-up in the crop of the bare face."""
    place = "worn" if kind == "worn" else "bare"

    def windows(name: str) -> Tensor:
        parts = [getattr(samples, name)[row][WINDOWS[region].pixels] for row in rows]
        return torch.from_numpy(
            np.stack([part[:, ::-1] if m else part for part, m in zip(parts, mirrors, strict=True)])
        )

    image = windows(kind).permute(0, 3, 1, 2).float() / 255
    cheeks = torch.from_numpy(getattr(samples, f"{place}_cheeks")[rows])
    points = getattr(samples, f"{place}_landmarks")
    landmarks = np.stack(
        [
            mirrored_landmarks(points[row]) if m else points[row]
            for row, m in zip(rows, mirrors, strict=True)
        ]
    )
    regions = windows(f"{place}_regions")
    return Views(image, regions, cheeks[:, :, None, None], torch.from_numpy(landmarks))


def relit(
    views: Views, region: Region, generator: torch.Generator, also: Tensor | None = None
) -> tuple[Views, Tensor | None]:
    """The same in other light, and `also`, of the same faces, in the same light."""
    gain = Relight(len(views.image), generator).gain(256)
    here = cut(region, gain)
    middle = gain[(..., *CHEEKS)].mean((2, 3), keepdim=True)
    cheeks = views.cheeks + GAMMA * middle.log()
    lit = replace(views, image=(views.image * here).clamp(0, 1), cheeks=cheeks)
    return lit, None if also is None else (also * here).clamp(0, 1)


def seen(views: Views, generator: torch.Generator) -> Views:
    """The same as a worse camera sees it."""
    return replace(views, image=degrade(views.image, generator))


def feature_losses(
    feature: FeatureNetworks,
    samples: Samples,
    looks: int,
    rng: np.random.Generator,
    told_share: float,
) -> dict[str, Tensor]:
    """One step: each look is read from one face and painted on two others.

    Args:
        feature: what learns.
        samples: to draw from.
        looks: references.
        rng: source of all randomness.
        told_share: of the paintings whose codes come from the one who knows the makeup.
    """
    region = feature.region
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    makeups = rng.integers(len(samples) // samples.faces, size=looks)
    faces = np.stack([rng.permutation(samples.faces)[:3] for _ in makeups])
    rows = makeups[:, None] * samples.faces + faces
    mirrors = (rng.random(rows.shape) < 0.5).tolist()
    nothing = rng.random(looks) < BARE_SHARE
    worn, unworn = (
        view(samples, region, rows[:, 0].tolist(), kind, [m[0] for m in mirrors])
        for kind in ("worn", "bare")
    )
    bare_look = torch.from_numpy(nothing)
    references = Views(
        torch.where(bare_look[:, None, None, None], unworn.image, worn.image),
        torch.where(bare_look[:, None, None], unworn.regions, worn.regions),
        torch.where(bare_look[:, None, None, None], unworn.cheeks, worn.cheeks),
        torch.where(bare_look[:, None, None], unworn.landmarks, worn.landmarks),
    )
    worn_numbers = torch.from_numpy(getattr(samples, region.name.lower())[rows[:, 0]])
    worn_numbers = torch.where(bare_look[:, None], torch.zeros(()), worn_numbers)
    others = rows[:, 1:].flatten().tolist()
    flips = [m for pair in mirrors for m in pair[1:]]
    bare, truth = (view(samples, region, others, kind, flips) for kind in ("bare", "truth"))
    without = bare_look.repeat_interleave(2)[:, None, None, None]
    wanted = torch.where(without, bare.image, truth.image)
    references, _ = relit(references, region, generator)
    clean, wanted_lit = relit(bare, region, generator, wanted)
    assert wanted_lit is not None
    shown, sources = seen(references, generator), seen(clean, generator)
    with torch.autocast("cpu", torch.bfloat16):
        codes = feature.reader(shown.image, shown.regions, shown.cheeks, shown.landmarks)
        known = feature.knower(worn_numbers)[:, :, None, None]
        told = torch.from_numpy(rng.random(2 * looks) < told_share)[:, None, None, None]
        used = torch.where(told, known.repeat_interleave(2, 0), codes.repeat_interleave(2, 0))
        change = feature.painter(sources.image, sources.regions, sources.cheeks, used)
    own = clean.own(region)
    result = apply_change(clean.image, change.float())
    distance = rounded_cie94(result, wanted_lit, ROUNDING[region]) * own
    mean = distance.sum((1, 2, 3)) / own.sum((1, 2, 3)).clamp(min=LEAST_AREA)
    disagreement = (codes.float() - known.float()).square().mean()
    name = region.name.lower()
    return {name: mean.mean(), f"{name}_codes": AGREEMENT_WEIGHT * disagreement}


@torch.no_grad()
def evaluate_feature(
    region: Region, state: Mapping[str, Tensor], held: Samples
) -> dict[str, float]:
    """Mean ΔE2000 to the truth, of the result and of doing nothing; and of the mean colours."""
    feature = FeatureNetworks(region).eval()
    feature.load_state_dict(state)
    name = region.name.lower()
    found: dict[str, list[float]] = {name: [], f"none_{name}": [], f"mean_{name}": []}
    for first in range(0, len(held), 16):
        rows = list(range(first, min(first + 16, len(held))))
        lenders = [row // held.faces * held.faces + (row + 1) % held.faces for row in rows]
        straight = [False] * len(rows)
        worn = view(held, region, lenders, "worn", straight)
        bare, truth = (view(held, region, rows, kind, straight) for kind in ("bare", "truth"))
        own = bare.own(region)
        codes = feature.reader(worn.image, worn.regions, worn.cheeks, worn.landmarks)
        change = feature.painter(bare.image, bare.regions, bare.cheeks, codes)
        result = apply_change(bare.image, change).clamp(0, 1)
        pictures = [
            [rgb2lab(picture[..., ::-1]) for picture in to_pictures(images)]
            for images in (truth.image, result, bare.image)
        ]
        for lab, painted, unpainted, mask in zip(*pictures, own[:, 0].bool().numpy(), strict=True):
            if mask.any():
                found[name].append(float(deltaE_ciede2000(lab, painted)[mask].mean()))
                found[f"none_{name}"].append(float(deltaE_ciede2000(lab, unpainted)[mask].mean()))
                means = lab[mask].mean(0), painted[mask].mean(0)
                found[f"mean_{name}"].append(float(deltaE_ciede2000(*means)))
    return {name: round(float(np.mean(values)), 3) for name, values in found.items()}
