"""What the landmark, region and lip networks are given on pictures: to calibrate int8 on.

python -m makeup_training.faces.record_inputs --faces PICTURES --out inputs.npz
makeup quantise BUNDLE --inputs inputs.npz --cpu --output BUNDLE_int8
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_sdk.faces import BundledFaceAnalyzer

PICTURES = 64
"""Faces to calibrate on; more change nothing that can be seen."""


class _Recorder:
    """A session that keeps what it was given."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.inputs: list[dict[str, NDArray[np.float32]]] = []

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """See `Session.run`."""
        self.inputs.append({name: np.array(value[0]) for name, value in inputs.items()})
        found: dict[str, Any] = self._session.run(inputs)
        return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, required=True, help="folder of pictures of faces")
    parser.add_argument("--out", type=Path, required=True, help=".npz of arrays GRAPH/INPUT")
    options = parser.parse_args()
    np.savez(options.out, **record(sorted(p for p in options.faces.iterdir() if p.is_file())))


def record(pictures: list[Path], faces: int = PICTURES) -> dict[str, NDArray[np.float32]]:
    """The inputs of both graphs on the first faces of pictures taken evenly.

    Args:
        pictures: what is no picture, or shows no face, is passed over.
        faces: how many to take.

    Returns:
        float32 arrays `GRAPH/INPUT`, whose first axis counts the runs.

    Raises:
        SystemExit: too few of the pictures show a face.
    """
    analyzer = BundledFaceAnalyzer(threads=1, precision="fp32")
    network, lips = _Recorder(analyzer.network.session), _Recorder(analyzer.lips.session)
    analyzer.network.session, analyzer.lips.session = network, lips
    for path in pictures[:: max(1, len(pictures) // (2 * faces))]:
        picture = cv2.imread(str(path))
        if picture is None:
            continue
        for found in analyzer.detect(picture, 1):
            analyzer.analyze(picture, found)
        if len(lips.inputs) == faces:
            break
    if len(lips.inputs) < faces:
        raise SystemExit(
            f"--faces: {len(lips.inputs)} faces in {len(pictures)} files, expected {faces}"
        )
    return {
        f"{graph}/{name}": np.stack([run[name] for run in recorder.inputs])
        for graph, recorder in (("model", network), ("lips", lips))
        for name in recorder.inputs[0]
    }


if __name__ == "__main__":
    main()
