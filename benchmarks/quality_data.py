"""Data of `quality.py` and `arrival.py`: faces, and pairs with known makeup."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region
from makeup_kernels.types import Image
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis
from makeup_training.cosmetics import Makeup, random_makeup, render
from makeup_training.data.portraits import Portrait, regions_of
from makeup_training.data.readers import open_collection

REGIONS = (Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS)


def people(data: Path) -> list[Portrait]:
    """The real people of `val/`, none of whom is in any training set."""
    collection = open_collection(data / "val")
    files = [*collection.bare, *collection.held_bare]
    return [file.load() for file in sorted(files, key=lambda file: file.name)]


@dataclass(frozen=True)
class Pair:
    """A bare source, another person's photo with makeup, and the source with that makeup.

    Attributes:
        source: the bare portrait.
        reference: uint8 (384, 384, 3), BGR.
        truth: uint8 (384, 384, 3), BGR.
        makeup: the makeup.
    """

    source: Portrait
    reference: Image
    truth: Image
    makeup: Makeup


def pairs(faces: list[Portrait], count: int, seed: int, style: str | None = None) -> Iterator[Pair]:
    """Random pairs in random makeup by the renderer; the same seed gives the same pairs."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        source, other = (faces[i] for i in rng.choice(len(faces), 2, replace=False))
        makeup = random_makeup(rng, style)
        hands = [np.random.default_rng(int(n)) for n in rng.integers(0, 2**63, size=2)]
        reference, truth = (
            render(face.image, face.landmarks, makeup, hand, face.parsing)
            for face, hand in zip((other, source), hands, strict=True)
        )
        yield Pair(source, reference, truth, makeup)


def analysed(analyzer: BundledFaceAnalyzer, photo: Image) -> FaceAnalysis | None:
    """The most confident face of a photo."""
    found = analyzer.detect(photo, 1)
    return analyzer.analyze(photo, found[0]) if found else None


def labelled_regions(face: Portrait) -> NDArray[np.uint8]:
    """uint8 (H, W): the regions that the labels give, in which errors are measured."""
    return regions_of(face, "sdk")
