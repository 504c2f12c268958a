"""Paint the training samples of `mobile`: `python -m makeup_training.mobile.samples --data DIR`.

One makeup goes on several faces; any two of these are a training triple (bare source, made-up
reference, truth). The faces stand in everyday light, and their lips and eyes get other colours
before they are made up (`everyday`). Crops, landmarks and region maps are those that the product's
own face analysis finds, so that its errors are part of what the network learns to live with.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, Region, crop_face
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis
from makeup_training.cosmetics import random_makeup, render
from makeup_training.data.portraits import BadDataError, Portrait, PortraitFile
from makeup_training.data.readers import open_collection
from makeup_training.mobile.everyday import Tone, measured, tensors_of, with_other_features
from makeup_training.mobile.networks import cheek_light
from makeup_training.mobile.worn import NUMBERS, numbers

LANDMARK_JITTER = 0.012
"""Standard deviation of the landmarks that the analysis starts from, in pupil distances."""

BARE_LIPS_SHARE = 0.12
"""How many of the makeups leave the lips alone, which `random_makeup` never does."""

MIN_SCORE = 0.5

_FIELDS: dict[str, tuple[tuple[int, ...], type]] = {
    "bare": ((CROP_SIZE, CROP_SIZE, 3), np.uint8),
    "truth": ((CROP_SIZE, CROP_SIZE, 3), np.uint8),
    "bare_regions": ((CROP_SIZE, CROP_SIZE), np.uint8),
    "bare_landmarks": ((68, 2), np.float32),
    "worn": ((CROP_SIZE, CROP_SIZE, 3), np.uint8),
    "worn_regions": ((CROP_SIZE, CROP_SIZE), np.uint8),
    "worn_landmarks": ((68, 2), np.float32),
    "bare_cheeks": ((3,), np.float32),
    "worn_cheeks": ((3,), np.float32),
    "lips": ((NUMBERS[Region.LIPS],), np.float32),
    "eyes": ((NUMBERS[Region.EYES],), np.float32),
}


@dataclass(frozen=True)
class Samples:
    """Painted faces, memory-mapped; face i wears makeup i // `faces`.

    Attributes:
        bare: uint8 (N, 256, 256, 3), BGR: the crop of the bare face.
        truth: likewise: the same crop of the face wearing its makeup.
        bare_regions, bare_landmarks: uint8 (N, 256, 256), float32 (N, 68, 2): found on `bare`.
        worn: uint8 (N, 256, 256, 3), BGR: the made-up face in the crop that its own analysis found.
        worn_regions, worn_landmarks: found on `worn`.
        bare_cheeks, worn_cheeks: float32 (N, 3), `cheek_light` of each crop.
        lips, eyes: float32 (N, 12), (N, 32): what each wears (`worn.numbers`).
        faces: faces per makeup.
    """

    bare: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    bare_regions: NDArray[np.uint8]
    bare_landmarks: NDArray[np.float32]
    worn: NDArray[np.uint8]
    worn_regions: NDArray[np.uint8]
    worn_landmarks: NDArray[np.float32]
    bare_cheeks: NDArray[np.float32]
    worn_cheeks: NDArray[np.float32]
    lips: NDArray[np.float32]
    eyes: NDArray[np.float32]
    faces: int

    @classmethod
    def open(cls, folder: Path) -> "Samples":
        """Open what `main` wrote."""
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _FIELDS}
        return cls(**arrays, faces=int((folder / "faces.txt").read_text()))

    def __len__(self) -> int:
        return len(self.bare)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the faces folder")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the samples, 0.7 MB each"
    )
    parser.add_argument("--makeups", type=int, default=6000)
    parser.add_argument("--faces", type=int, default=4, help="faces that wear each makeup")
    parser.add_argument("--held", action="store_true", help="paint the held-back faces instead")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    collection = open_collection(options.data)
    files = collection.held_bare if options.held else collection.bare
    paint(files, options.out, options.makeups, options.faces, options.seed)


def paint(files: list[PortraitFile], folder: Path, makeups: int, faces: int, seed: int) -> None:
    """Write `makeups` · `faces` samples to a folder; the same arguments write the same samples."""
    cv2.setNumThreads(1)
    analyzer = BundledFaceAnalyzer(threads=1)
    people = _everyday_people(files, analyzer)
    folder.mkdir(parents=True, exist_ok=True)
    count = makeups * faces
    arrays = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=kind, shape=(count, *shape)
        )
        for name, (shape, kind) in _FIELDS.items()
    }
    for number in range(makeups):
        rng = np.random.default_rng([seed, number])
        makeup = random_makeup(rng)
        if rng.random() < BARE_LIPS_SHARE:
            makeup = replace(makeup, lipstick=None)
        done = 0
        while done < faces:
            face = with_other_features(*people[int(rng.integers(len(people)))], rng)
            hand = np.random.default_rng(int(rng.integers(2**63)))
            painted = render(face.image, face.landmarks, makeup, hand, face.parsing)
            bare = analyzer.analyze(face.image, _jittered(face.landmarks, rng))
            worn = analyzer.analyze(painted, _jittered(face.landmarks, rng))
            if min(bare.score, worn.score) < MIN_SCORE:
                continue
            row = number * faces + done
            _store(arrays, row, bare, worn, crop_face(painted, bare.matrix))
            arrays["lips"][row] = numbers(makeup, Region.LIPS)
            arrays["eyes"][row] = numbers(makeup, Region.EYES)
            done += 1
        if (number + 1) % 100 == 0:
            print(f"{number + 1}/{makeups} makeups", flush=True)
    for array in arrays.values():
        array.flush()
    (folder / "faces.txt").write_text(str(faces))


def _everyday_people(
    files: list[PortraitFile], analyzer: BundledFaceAnalyzer
) -> list[tuple[Portrait, Tone]]:
    """Those that may be made up."""
    people = [(face, tone) for face, tone in measured(files, analyzer) if tone.usable]
    if not people:
        raise BadDataError(
            f"none of {len(files)} bare faces stands in everyday light with bare lips, see"
            " makeup_training.mobile.everyday; add portraits that do"
        )
    print(f"{len(people)} of {len(files)} faces are lit as in everyday photos", flush=True)
    return people


def _jittered(landmarks: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    pupils = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    spread = LANDMARK_JITTER * float(np.hypot(*(pupils[1] - pupils[0])))
    moved = landmarks + rng.normal(0, spread, landmarks.shape)
    return moved.astype(np.float32)


def _store(
    arrays: dict[str, NDArray[np.generic]],
    row: int,
    bare: FaceAnalysis,
    worn: FaceAnalysis,
    truth: NDArray[np.uint8],
) -> None:
    arrays["bare"][row] = bare.crop
    arrays["truth"][row] = truth
    arrays["bare_regions"][row] = bare.regions
    arrays["bare_landmarks"][row] = bare.crop_landmarks
    arrays["worn"][row] = worn.crop
    arrays["worn_regions"][row] = worn.regions
    arrays["worn_landmarks"][row] = worn.crop_landmarks
    arrays["bare_cheeks"][row] = _cheeks(bare)
    arrays["worn_cheeks"][row] = _cheeks(worn)


def _cheeks(face: FaceAnalysis) -> NDArray[np.float32]:
    light: NDArray[np.float32] = cheek_light(*tensors_of(face)).numpy()
    return light[0, :, 0, 0]


if __name__ == "__main__":
    main()
