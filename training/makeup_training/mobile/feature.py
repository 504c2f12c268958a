"""One feature, lips or eyes: its reader and its painter learn together, in their window."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor, nn
from torch.nn import functional as F

from makeup_kernels import Region
from makeup_training.mobile.batches import BARE_SHARE, to_pictures
from makeup_training.mobile.closeups import WINDOWS, CloseUpPainter, CloseUpReader
from makeup_training.mobile.light import Relight, degrade
from makeup_training.mobile.losses import LEAST_AREA, ROUNDING, rounded_cie94
from makeup_training.mobile.model import apply_change
from makeup_training.mobile.networks import GAMMA, MAP_STRIDE
from makeup_training.mobile.samples import Samples


class FeatureNetworks(nn.Module):
    """The reader and the painter of one region."""

    def __init__(self, region: Region) -> None:
        super().__init__()
        self.region = region
        self.reader = CloseUpReader(region)
        self.painter = CloseUpPainter(region)


@dataclass(frozen=True)
class Views:
    """Windows of faces.

    Attributes:
        image: float (B, 3, h, w), BGR in [0, 1].
        regions: uint8 (B, h, w).
        skin: float (B, 3, 1, 1), mean log light of the faces' skin.
    """

    image: Tensor
    regions: Tensor
    skin: Tensor

    def own(self, region: Region) -> Tensor:
        """float (B, 1, h, w): 1 in the region."""
        return (self.regions[:, None] == region).float()


def view(
    samples: Samples, region: Region, rows: list[int], kind: str, mirrors: list[bool]
) -> Views:
    """Windows of samples: `bare`, `worn`, or `truth`, made-up in the crop of the bare face."""
    place = "worn" if kind == "worn" else "bare"

    def cut(name: str) -> Tensor:
        parts = [getattr(samples, name)[row][WINDOWS[region].slices] for row in rows]
        return torch.from_numpy(
            np.stack([part[:, ::-1] if m else part for part, m in zip(parts, mirrors, strict=True)])
        )

    image = cut(kind).permute(0, 3, 1, 2).float() / 255
    skin = torch.from_numpy(np.stack([getattr(samples, f"{place}_skin")[row] for row in rows]))
    return Views(image, cut(f"{place}_regions"), skin[:, :, None, None])


def relit(
    views: Views, region: Region, generator: torch.Generator, also: Tensor | None = None
) -> tuple[Views, Tensor | None]:
    """The same in other light, and `also`, of the same faces, in the same light."""
    gain = Relight(len(views.image), generator).gain(256)
    here = WINDOWS[region].pixels(gain)
    middle = gain[..., 64:224, 48:208].mean((2, 3), keepdim=True)
    lit = Views((views.image * here).clamp(0, 1), views.regions, views.skin + GAMMA * middle.log())
    return lit, None if also is None else (also * here).clamp(0, 1)


def seen(views: Views, generator: torch.Generator) -> Views:
    """The same as a worse camera sees it."""
    return Views(degrade(views.image, generator), views.regions, views.skin)


def feature_losses(
    feature: FeatureNetworks, samples: Samples, looks: int, rng: np.random.Generator
) -> dict[str, Tensor]:
    """One step: each look is read from one face and painted on two others."""
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
        torch.where(bare_look[:, None, None, None], unworn.skin, worn.skin),
    )
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
        codes = feature.reader(shown.image, shown.regions, shown.skin)
        change = feature.painter(
            sources.image, sources.regions, sources.skin, codes.repeat_interleave(2, 0)
        )
    own = clean.own(region)
    result = apply_change(clean.image, change.float() * F.avg_pool2d(own, MAP_STRIDE))
    distance = rounded_cie94(result, wanted_lit, ROUNDING[region]) * own
    mean = distance.sum((1, 2, 3)) / own.sum((1, 2, 3)).clamp(min=LEAST_AREA)
    return {region.name.lower(): mean.mean()}


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
        codes = feature.reader(worn.image, worn.regions, worn.skin)
        change = feature.painter(bare.image, bare.regions, bare.skin, codes)
        result = apply_change(bare.image, change * F.avg_pool2d(own, MAP_STRIDE)).clamp(0, 1)
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
