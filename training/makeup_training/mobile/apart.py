"""Each network of `mobile` alone, before both learn together.

Together from the start the reader would learn by way of a painter that cannot paint yet, and would
find hardly any of the makeup on eyes and skin. Alone it is told what there is to read, and the
painter is told what a perfect reader would say.
"""

import numpy as np
import torch
from torch import Tensor

from makeup_training.mobile.batches import (
    batch,
    draw_triples,
    photographed,
    relit_sources,
    sample,
    to_tensor,
)
from makeup_training.mobile.losses import painting_losses, reading_losses, worn_change
from makeup_training.mobile.model import Faces, on_template, paint
from makeup_training.mobile.networks import CHANGED, CODES, SEEN, FacePainter, FaceReader, evidence
from makeup_training.mobile.samples import Samples


def reader_losses(
    reader: FaceReader, samples: Samples, looks: int, rng: np.random.Generator
) -> dict[str, Tensor]:
    """One step of the reader: 2 · looks made-up faces, whose bare faces are known."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    rows = rng.integers(len(samples), size=2 * looks).tolist()
    mirrors = (rng.random(2 * looks) < 0.5).tolist()
    faces = list(zip(rows, mirrors, strict=True))
    worn = batch([sample(samples, row, "truth", mirror) for row, mirror in faces])
    bare = to_tensor([sample(samples, row, "bare", mirror)[0] for row, mirror in faces])
    shown = photographed(worn, generator)
    with torch.autocast("cpu", torch.bfloat16):
        codes = reader(shown.image, shown.regions)
    return reading_losses(codes, worn_change(worn.image, bare, worn.regions), worn.regions)


def painter_losses(
    painter: FacePainter, samples: Samples, looks: int, rng: np.random.Generator
) -> dict[str, Tensor]:
    """One step of the painter: each look, perfectly read, on two faces."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    triples = draw_triples(samples, looks, rng, known_share=1.0)
    shown = photographed(triples.references, generator)
    worn = triples.references
    codes = perfect_codes(shown, worn_change(worn.image, triples.bare, worn.regions))
    seen, clean, wanted = relit_sources(triples, generator)
    with torch.autocast("cpu", torch.bfloat16):
        laid = on_template(codes, shown)
        change = paint(painter, seen, laid.repeat_interleave(2, 0))
    return painting_losses(change, clean, wanted, seen.regions)


def perfect_codes(worn: Faces, change: Tensor) -> Tensor:
    """What a reader would say that knows the change (B, 3, 64, 64), and adds nothing to it."""
    codes = torch.zeros(len(change), CODES, *change.shape[2:])
    codes[:, CHANGED] = change
    codes[:, SEEN] = evidence(worn.image, worn.regions)
    return codes
