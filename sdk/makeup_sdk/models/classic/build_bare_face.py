"""Make the bare face from portraits without makeup.

python -m makeup_sdk.models.classic.build_bare_face --data FOLDER
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import MakeupError
from makeup_sdk.faces import BundledFaceAnalyzer, yaw_degrees
from makeup_sdk.images import read_image
from makeup_sdk.models.classic.bare_face import FILE
from makeup_sdk.models.classic.encode import encode

_MIN_SCORE, _MAX_YAW = 0.8, 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of bare-faced portraits")
    parser.add_argument("--skip", default="akeup", help="leave out files whose name contains this")
    parser.add_argument("--count", type=int, default=300, help="how many photos, spread evenly")
    options = parser.parse_args()
    photos = [path for path in sorted(options.data.iterdir()) if options.skip not in path.name]
    step = max(len(photos) // options.count, 1)
    np.savez_compressed(Path(__file__).parent / FILE, fields=build(photos[::step]))


def build(photos: list[Path]) -> NDArray[np.float16]:
    """float16 (3, 128, 128): median fields over photos of bare faces that look at the camera.

    Raises:
        MakeupError: no photo has such a face.
    """
    analyzer = BundledFaceAnalyzer()
    fields = []
    for photo in photos:
        frame = read_image(photo)
        for detection in analyzer.detect(frame, 1):
            face = analyzer.analyze(frame, detection)
            if face.score > _MIN_SCORE and abs(yaw_degrees(face.landmarks)) < _MAX_YAW:
                fields.append(encode(face).fields)
    if not fields:
        raise MakeupError("no usable face in the photos; expected portraits that face the camera")
    return np.median(np.stack(fields), axis=0).astype(np.float16)


if __name__ == "__main__":
    main()
