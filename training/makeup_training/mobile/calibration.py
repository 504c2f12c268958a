"""What the painter is given, to calibrate int8 on.

    python -m makeup_training.mobile.calibration --run DIR --samples DIR --out FILE

The looks of made-up faces as the trained reader reads them, laid on other, bare faces; for
`makeup quantise --inputs FILE`.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch

from makeup_training.mobile.batches import batch, sample
from makeup_training.mobile.model import Mobile, on_faces
from makeup_training.mobile.samples import Samples


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write")
    parser.add_argument("--looks", type=int, default=32)
    options = parser.parse_args()
    record(options.run, Samples.open(options.samples), options.looks, options.out)


@torch.no_grad()
def record(run: Path, samples: Samples, looks: int, path: Path) -> None:
    """Write the painter's inputs for the first `looks` makeups, each on another face."""
    network = Mobile.load(run)
    images, regions, laid = [], [], []
    for makeup in range(min(looks, len(samples) // samples.faces)):
        row = makeup * samples.faces
        codes = network.read(batch([sample(samples, row, "worn", False)]))
        bare = sample(samples, row + 1, "bare", False)
        images.append(bare[0])
        regions.append(bare[1].regions)
        laid.append(on_faces(codes, batch([bare]))[0].numpy())
    inputs = {"image": images, "regions": regions, "codes": laid}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file, **{f"painter/{name}": np.stack(values) for name, values in inputs.items()}
        )
    os.replace(partial, path)


if __name__ == "__main__":
    main()
