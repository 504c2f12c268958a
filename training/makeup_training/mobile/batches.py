"""Batches of painted samples: crops to tensors and back, mirrored or not."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from makeup_kernels import CROP_SIZE
from makeup_sdk.faces.layout import FaceLayout
from makeup_training.mobile.light import Relight, degrade
from makeup_training.mobile.model import Faces
from makeup_training.mobile.samples import Samples

BARE_SHARE = 0.08
"""References that wear nothing, and so must change nothing."""


@dataclass(frozen=True)
class Triples:
    """References, and what two other faces look like in each one's makeup.

    Attributes:
        references: B faces that wear makeup.
        known: indices of those whose bare faces are known, K of them.
        bare: float (K, 3, 256, 256), those bare faces.
        sources: 2·B bare faces, two for each reference.
        truth: float (2·B, 3, 256, 256), the same wearing the reference's makeup.
    """

    references: Faces
    known: list[int]
    bare: Tensor
    sources: Faces
    truth: Tensor


def draw_triples(
    samples: Samples, looks: int, rng: np.random.Generator, known_share: float
) -> Triples:
    """Looks at random; a known reference is in the crop of its bare face, the others in their own.

    Args:
        samples: to draw from.
        looks: B.
        rng: source of all randomness.
        known_share: of the references that wear makeup.
    """
    makeups = len(samples) // samples.faces
    references, known, without, sources, truth = [], [], [], [], []
    for look in range(looks):
        makeup = int(rng.integers(makeups))
        rows = makeup * samples.faces + rng.permutation(samples.faces)[:3]
        nothing = rng.random() < BARE_SHARE
        kind = "bare" if nothing else "truth" if rng.random() < known_share else "worn"
        mirror = bool(rng.random() < 0.5)
        references.append(sample(samples, int(rows[0]), kind, mirror))
        if kind != "worn":
            known.append(look)
            without.append(sample(samples, int(rows[0]), "bare", mirror)[0])
        for row in rows[1:]:
            mirror = bool(rng.random() < 0.5)
            sources.append(sample(samples, int(row), "bare", mirror))
            truth.append(sample(samples, int(row), "bare" if nothing else "truth", mirror)[0])
    return Triples(batch(references), known, to_tensor(without), batch(sources), to_tensor(truth))


def sample(
    samples: Samples, row: int, kind: str, mirror: bool
) -> tuple[NDArray[np.uint8], FaceLayout]:
    """A crop and its layout: `bare`, `worn`, or `truth`, made-up in the crop of the bare one."""
    place = "worn" if kind == "worn" else "bare"
    image = getattr(samples, kind)[row]
    regions = np.asarray(getattr(samples, f"{place}_regions")[row])
    landmarks = np.asarray(getattr(samples, f"{place}_landmarks")[row])
    layout = FaceLayout(landmarks, regions)
    return (image[:, ::-1], layout.mirrored()) if mirror else (image, layout)


def batch(faces: list[tuple[NDArray[np.uint8], FaceLayout]]) -> Faces:
    """Crops and layouts as the networks take them."""
    layouts = [layout for _, layout in faces]
    return Faces(
        to_tensor([image for image, _ in faces]),
        torch.from_numpy(np.stack([layout.regions for layout in layouts])),
        layouts,
    )


def photographed(faces: Faces, generator: torch.Generator) -> Faces:
    """The same faces in other light, taken by a worse camera."""
    light = Relight(len(faces.layouts), generator)
    return replace(faces, image=degrade(light(faces.image), generator))


def relit_sources(triples: Triples, generator: torch.Generator) -> tuple[Faces, Tensor, Tensor]:
    """Other light on sources and truth alike: the sources as a worse camera sees them, their
    pixels, and the truth's."""
    light = Relight(len(triples.sources.layouts), generator)
    clean = light(triples.sources.image)
    return replace(triples.sources, image=degrade(clean, generator)), clean, light(triples.truth)


def to_tensor(images: list[NDArray[np.uint8]]) -> Tensor:
    """uint8 (S, S, 3) each to float (B, 3, S, S) in [0, 1]."""
    shape = (0, CROP_SIZE, CROP_SIZE, 3)
    stacked = torch.from_numpy(np.stack(images) if images else np.zeros(shape, np.uint8))
    return (
        stacked.permute(0, 3, 1, 2).float().div_(255).contiguous(memory_format=torch.channels_last)
    )


def to_pictures(images: Tensor) -> NDArray[np.uint8]:
    """float (B, 3, S, S) in [0, 1] to uint8 (B, S, S, 3)."""
    pictures: NDArray[np.uint8] = (
        (images * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    )
    return pictures
