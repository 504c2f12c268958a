"""What the painter is given, to calibrate int8 on.

    python -m makeup_training.mobile.calibration --checkpoint RUN/mobile.pt --samples DIR --out FILE

The looks of made-up faces as the trained reader reads them, laid on other, bare faces; for
`makeup quantise --inputs FILE`.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from makeup_sdk.mobile.layout import template_layout
from makeup_training.mobile.batches import batch, sample
from makeup_training.mobile.lay import Lay
from makeup_training.mobile.model import Mobile
from makeup_training.mobile.samples import Samples


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write")
    parser.add_argument("--looks", type=int, default=32)
    options = parser.parse_args()
    record(options.checkpoint, Samples.open(options.samples), options.looks, options.out)


@torch.no_grad()
def record(checkpoint: Path, samples: Samples, looks: int, path: Path) -> None:
    """Write the painter's inputs for the first `looks` makeups, each on another face."""
    network = Mobile().eval()
    network.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    images, regions, laid = [], [], []
    for makeup in range(min(looks, len(samples) // samples.faces)):
        row = makeup * samples.faces
        _, codes = network.read(batch([sample(samples, row, "worn", False)]))
        image, layout = sample(samples, row + 1, "bare", False)
        images.append(image)
        regions.append(layout.regions)
        laid.append(Lay(template_layout(), layout)(codes[0]).numpy())
    np.savez_compressed(
        path,
        **{
            "painter/image": np.stack(images),
            "painter/regions": np.stack(regions),
            "painter/codes": np.stack(laid),
        },
    )


if __name__ == "__main__":
    main()
