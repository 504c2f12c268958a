"""What bare faces look like in everyday photos: which portraits are lit so, and the colours that
people's lips and eyes have: `python -m makeup_training.mobile.everyday --data DIR`.

How opaque a lipstick is can only be told by what lips look like without. A reader learns that from
the portraits, and most of these teach it wrong: some wear lipstick already, have eyes deep in
shadow, or stand in light that is more uneven and warmer than in everyday photos; and they are few
enough to be known by heart. So only faces in everyday light are made up, and each time lips and
eyes get other colours first (`with_other_features`): such as people have whose skin looks like that
in that light, by a linear model of the most evenly lit portraits, which the command prints.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from makeup_kernels import Region
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis
from makeup_training.data.portraits import BadDataError, Portrait, PortraitFile, regions_of
from makeup_training.data.readers import open_collection
from makeup_training.mobile.closeups import cut, view
from makeup_training.mobile.networks import (
    GAMMA,
    cheek_light,
    evidence,
    region_shares,
    weighted_mean,
)

Floats = NDArray[np.float64]

Range = tuple[float, float]


@dataclass(frozen=True)
class Limits:
    """Which faces count as everyday and bare, see `Tone`.

    Attributes:
        light, red: most that the skin's log light deviates from its mean, and its redness.
        cast: least and most blueness of the cheeks.
        features: least and most darkness, redness and blueness of lips and eyes.
    """

    light: float
    red: float
    cast: Range
    features: dict[Region, tuple[Range, Range, Range]]


_LIPS = ((-0.5, 0.95), (-0.2, 0.8), (-0.2, 0.6))

EVEN = Limits(
    0.72,
    0.2,
    (-0.42, 0.0),
    {Region.LIPS: _LIPS, Region.EYES: ((-0.2, 0.65), (-0.2, 0.2), (-0.15, 0.25))},
)
"""Of the faces that the model is made from. In everyday photos the skin deviates by 0.59 and 0.16
at most, and 96 of 100 casts are within; of the portraits, one in five stands in such light. Several
of these wear lipstick, and two in three have darker eyes; in everyday photos 8 in 100 have."""

EVERYDAY = Limits(
    0.85,
    0.23,
    (-0.5, 0.02),
    {Region.LIPS: _LIPS, Region.EYES: ((-0.5, 1.1), (-0.3, 0.3), (-0.3, 0.3))},
)
"""Of the faces that are made up: one portrait in four."""

LEAST_FACES = 20

KEPT = 0.5
"""Correlation of a feature's new colour with its own."""

MOST = 1.7
"""Standard deviations that chance moves a colour."""

SOFTNESS = {Region.LIPS: 320, Region.EYES: 110}
"""Picture heights per standard deviation of the border of a changed feature."""


@dataclass(frozen=True)
class Features:
    """Colours that lips or eyes have: normal around an affine function of the cheeks' light.

    Attributes:
        weights: (4, 3), of 1 and the cheeks' redness, blueness and mean log light.
        spread: (3, 3), lower triangular: the square root of the covariance around it.
    """

    weights: tuple[tuple[float, ...], ...]
    spread: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(cls, cheeks: Floats, colors: Floats) -> "Features":
        """Of faces' cheeks (N, 3) and colours (N, 3), see `Tone`.

        Raises:
            BadDataError: they are fewer than `LEAST_FACES`.
        """
        if len(cheeks) < LEAST_FACES:
            raise BadDataError(
                f"{len(cheeks)} faces in even light have bare lips or eyes, a model needs"
                f" {LEAST_FACES}; add portraits that do"
            )
        known = _with_one(cheeks)
        weights = np.linalg.lstsq(known, colors, rcond=None)[0]
        spread = np.linalg.cholesky(np.cov((colors - known @ weights).T))
        return cls(*(tuple(tuple(row) for row in m.round(3).tolist()) for m in (weights, spread)))

    def another(self, cheeks: Floats, own: Floats, rng: np.random.Generator) -> Floats:
        """A colour (3,) for a face whose own is known."""
        middle = _with_one(cheeks[None])[0] @ np.array(self.weights)
        spread = np.array(self.spread)
        far = 2 * np.sqrt((spread**2).sum(axis=1))
        chance = spread @ np.clip(rng.normal(size=3), -MOST, MOST)
        kept = KEPT * np.clip(own - middle, -far, far)
        color: Floats = middle + kept + np.sqrt(1 - KEPT**2) * chance
        return color


BORN = {
    Region.LIPS: Features(
        (
            (0.812, 0.631, 0.206),
            (-0.499, 0.1, 0.156),
            (-0.066, 0.216, -0.118),
            (0.119, 0.211, 0.067),
        ),
        ((0.235, 0, 0), (0.068, 0.131, 0), (-0.002, 0.042, 0.082)),
    ),
    Region.EYES: Features(
        (
            (0.499, 0.073, 0.038),
            (0.074, 0.018, -0.052),
            (0.298, 0.051, 0.013),
            (0.027, 0.038, -0.005),
        ),
        ((0.139, 0, 0), (0.013, 0.051, 0), (-0.003, -0.022, 0.04)),
    ),
}
"""What `main` prints of the training's portraits. Of the lips of 142 people in everyday photos it
is off by 0.00 in darkness, 0.01 in redness and 0.02 in blueness, of their eyes by -0.01, -0.03 and
0.04."""


@dataclass(frozen=True)
class Tone:
    """Colours of a bare face, in log light; redness is red minus green, blueness blue minus green.

    Attributes:
        uneven: (2,), how much mean light and redness deviate over the skin.
        cheeks: (3,), their redness, blueness and mean light (`cheek_light`).
        features: (3,) each: how much darker than the skin around lips and eyes are, how much
            redder, how much bluer.
    """

    uneven: Floats
    cheeks: Floats
    features: dict[Region, Floats]

    @classmethod
    @torch.no_grad()
    def of(cls, face: FaceAnalysis) -> "Tone":
        """Measure a face."""
        image, regions = tensors_of(face)
        light = evidence(image, regions)[:, :3]
        skin = region_shares(regions)[:, Region.SKIN - 1 : Region.SKIN]
        values = torch.stack([light.mean(1), light[:, 2] - light[:, 1]], 1)
        uneven = weighted_mean((values - weighted_mean(values, skin)).square(), skin).sqrt()
        cheeks = cheek_light(image, regions)
        features = {}
        for region in BORN:
            tone = view(region, cut(region, image), cut(region, regions), cheeks)[2]
            own, around = tone[0, :6, 0, 0].double().numpy().reshape(2, 3)
            redder, bluer, lighter = _color(own - around)
            features[region] = np.array([-lighter, redder, bluer])
        return cls(
            uneven[0, :, 0, 0].double().numpy(),
            _color(cheeks[0, :, 0, 0].double().numpy()),
            features,
        )

    def lit(self, limits: Limits) -> bool:
        """Whether the light is within limits."""
        least, most = limits.cast
        even = self.uneven[0] < limits.light and self.uneven[1] < limits.red
        return bool(even and least < self.cheeks[1] < most)

    def bare(self, limits: Limits, region: Region) -> bool:
        """Whether lips or eyes are within limits."""
        least, most = np.transpose(limits.features[region])
        own = self.features[region]
        return bool(((own > least) & (own < most)).all())

    @property
    def usable(self) -> bool:
        """Whether the face may be made up."""
        return self.lit(EVERYDAY) and all(self.bare(EVERYDAY, region) for region in BORN)


def measured(
    files: list[PortraitFile], analyzer: BundledFaceAnalyzer
) -> Iterator[tuple[Portrait, Tone]]:
    """Bare faces and their tones; what is left out for bad labels is printed."""
    for file in files:
        try:
            portrait = file.load()
        except BadDataError as error:
            print(f"left out: {error}", flush=True)
            continue
        yield portrait, Tone.of(analyzer.analyze(portrait.image, portrait.landmarks))


def tensors_of(face: FaceAnalysis) -> tuple[Tensor, Tensor]:
    """Its crop, (1, 3, 256, 256) in [0, 1], and its regions, (1, 256, 256)."""
    image = torch.from_numpy(face.crop).permute(2, 0, 1)[None].float() / 255
    return image, torch.from_numpy(face.regions)[None]


def with_other_features(face: Portrait, tone: Tone, rng: np.random.Generator) -> Portrait:
    """The same face, born with lips and eyes of other colours."""
    regions = regions_of(face, "sdk")
    image = face.image.astype(np.float32)
    for region, features in BORN.items():
        own = tone.features[region]
        darker, redder, bluer = features.another(tone.cheeks, own, rng) - own
        green = -darker - (redder + bluer) / 3
        shift = np.array([green + bluer, green, green + redder], np.float32)
        sigma = image.shape[0] / SOFTNESS[region]
        soft = cv2.GaussianBlur((regions == region).astype(np.float32), (0, 0), sigma)
        image = image * np.exp(soft[..., None] * (shift / GAMMA))
    return replace(face, image=np.clip(image + 0.5, 0, 255).astype(np.uint8))


def main() -> None:
    """Command line: print `BORN`, made from the portraits of a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the faces folder")
    options = parser.parse_args()
    faces = measured(open_collection(options.data).bare, BundledFaceAnalyzer(threads=1))
    even = [tone for _, tone in faces if tone.lit(EVEN)]
    for region in BORN:
        bare = [tone for tone in even if tone.bare(EVEN, region)]
        cheeks = np.array([tone.cheeks for tone in bare])
        features = Features.fit(cheeks, np.array([tone.features[region] for tone in bare]))
        print(f"{region.name.lower()}, {len(bare)} faces: {features}")


def _color(light: Floats) -> Floats:
    """BGR log light to redness, blueness and mean."""
    blue, green, red = light
    return np.array([red - green, blue - green, light.mean()])


def _with_one(cheeks: Floats) -> Floats:
    return np.column_stack([np.ones(len(cheeks)), cheeks])


if __name__ == "__main__":
    main()
