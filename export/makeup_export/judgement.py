"""Judge a network on the shipped faces: is makeup transferred, and is the face preserved?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from makeup_export.faces import AlignedFace
from makeup_export.graph_modules import ModelGraphs
from makeup_export.rewrites import HALF_RANGE
from makeup_kernels import Region

LEAST_ARRIVAL, LEAST_STRUCTURE = 0.15, 0.5
"""Below these a network has hardly learnt: no makeup is transferred, or the face is lost."""

JUDGED = ("psgan", "psgan-pose", "psgan-sr", "ssat")
"""Models that put a reference's makeup on a face."""

_REGIONS = (Region.LIPS, Region.EYES)
_SKIN_LUMINANCE, _LUMINANCE = 0.2, np.array([0.0722, 0.7152, 0.2126])
"""Linear luminance of skin in standard light; shares of blue, green and red in luminance."""
_FLOOR = 0.012
"""Added to linear light before its logarithm."""


@dataclass(frozen=True)
class Judgement:
    """Medians over pairs of shipped faces.

    Attributes:
        arrival: how far the mean colours of lips and eyes, relative to the skin, move from the
            source's to the reference's: 0 not at all, 1 completely.
        structure: cosine between the image gradients of the source and of the network's result.
    """

    arrival: float
    structure: float

    @property
    def warning(self) -> str | None:
        """A warning if the network has hardly learnt, else None."""
        if self.arrival >= LEAST_ARRIVAL and self.structure >= LEAST_STRUCTURE:
            return None
        return (
            f"this network has hardly learnt: arrival {self.arrival:.2f} (expected at least "
            f"{LEAST_ARRIVAL}), structure {self.structure:.2f} (at least {LEAST_STRUCTURE}); "
            "train it for longer before it meets a face"
        )


def judge(model: ModelGraphs, pairs: Sequence[tuple[AlignedFace, AlignedFace]]) -> Judgement:
    """Run a network on pairs of faces and compare.

    Args:
        model: takes a source and a reference face.
        pairs: on crops of its size.
    """
    view = model.constants.get("view")
    arrivals, structures = [], []
    for pair in pairs:
        source, reference = (_in_its_light(f, view) for f in pair) if view is not None else pair
        with torch.no_grad():
            image = _picture(model.truth(source, reference), source)
            if view is not None:  # the painted change is the difference of two passes
                rebuilt = _picture(model.truth(source, source), source)
                change = image - rebuilt
                structures.append(_likeness(rebuilt, source.image))
            else:
                change = image - source.image
                structures.append(_likeness(image, source.image))
        arrivals.append(_arrival(source, reference, change))
    return Judgement(median(arrivals), median(structures))


def _in_its_light(face: AlignedFace, view: Mapping[str, Any]) -> AlignedFace:
    """A face relative to its skin, as pixel values of a network with this view.

    In log light, or in CIELAB in standard light, b* first.
    """
    encoded = face.image.astype(np.float64) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    skin = face.regions == Region.SKIN
    if "lab" in view:
        lit = linear * (_SKIN_LUMINANCE / np.median(linear[skin] @ _LUMINANCE))
        lab = cv2.cvtColor(lit[..., ::-1].astype(np.float32), cv2.COLOR_LRGB2LAB)[..., ::-1]
        seen = np.clip((lab - np.median(lab[skin], axis=0)) / view["lab"], -1, 1)
    else:
        light = np.log(linear + _FLOOR)
        above = light - np.median(light[skin], axis=0)
        seen = np.clip((above + view["offset"]) / view["range"], -1, 1)
    return replace(face, image=(HALF_RANGE * (1 + seen)).astype(np.float32))


def _picture(planes: NDArray[Any], source: AlignedFace) -> NDArray[np.float32]:
    """float32 (S, S, 3) pixel values; the first image of models that return several."""
    side = source.image.shape[0]
    return HALF_RANGE * (1 + planes[:3, :side, :side].transpose(1, 2, 0))


def _arrival(source: AlignedFace, reference: AlignedFace, change: NDArray[Any]) -> float:
    wanted, got = [], []
    for region in _REGIONS:
        here, there = source.regions == region, reference.regions == region
        if not here.any() or not there.any():
            continue
        skin, other = source.regions == Region.SKIN, reference.regions == Region.SKIN
        own = source.image[here].mean(axis=0) - source.image[skin].mean(axis=0)
        lent = reference.image[there].mean(axis=0) - reference.image[other].mean(axis=0)
        wanted.append(lent - own)
        got.append(change[here].mean(axis=0) - change[skin].mean(axis=0))
    a, b = np.concatenate(wanted), np.concatenate(got)
    return float(a @ b / max(a @ a, 1e-6))


def _likeness(image: NDArray[Any], source: NDArray[Any]) -> float:
    grads = []
    for picture in (image, source):
        grey = cv2.GaussianBlur(np.asarray(picture, np.float32).mean(axis=2), (0, 0), 1.0)
        grads.append(np.concatenate([g.ravel() for g in np.gradient(grey)]))
    a, b = grads
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-6))
