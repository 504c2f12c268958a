"""Record the inputs of the landmark, region and lip networks, to calibrate int8.

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
"""Number of faces to calibrate on; more make no visible difference."""


class _Recorder:
    """A session that records its inputs."""

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
    """The inputs of both graphs on the first face of evenly spaced pictures.

    Args:
        pictures: files; those that are no picture or show no face are skipped.
        faces: number of faces.

    Returns:
        float32 arrays `GRAPH/INPUT`; the first axis counts the runs.

    Raises:
        SystemExit: too few pictures show a face.
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
