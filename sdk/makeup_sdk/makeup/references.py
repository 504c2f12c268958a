"""Looks made of reference faces, for models that read a whole face."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, InvalidInputError, Region
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.geometry import mirrored_landmarks
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.base import MAKEUP_REGIONS

MAX_FACES = 16

_ARRAYS: dict[str, tuple[tuple[int, ...], type]] = {
    "crops": ((CROP_SIZE, CROP_SIZE, 3), np.uint8),
    "regions": ((CROP_SIZE, CROP_SIZE), np.uint8),
    "landmarks": ((68, 2), np.float32),
    "shares": ((len(Region),), np.float32),
}


@dataclass(frozen=True)
class References:
    """Reference faces, and the share of each in the makeup of each region.

    Stores faces instead of network features, so that a look works with every network and every
    version of its weights. A network reads the faces once, when the look is applied.

    Attributes:
        faces: at most 16, in coordinates of their own crops (`matrix` is the identity).
        shares: float32 (faces, 5) by region id; a region's shares sum to 1, or are 0.
        bare: whether the faces have no makeup: then the look removes makeup.
    """

    kind: ClassVar[str] = "reference"

    faces: tuple[FaceAnalysis, ...]
    shares: FloatArray
    bare: bool = False

    @classmethod
    def of(cls, *faces: FaceAnalysis, bare: bool = False) -> "References":
        """Faces with equal shares in every region."""
        shares = np.zeros((len(faces), len(Region)), np.float32)
        shares[:, list(MAKEUP_REGIONS)] = 1 / len(faces)
        own = (_on_its_crop(face.crop_landmarks, face.crop, face.regions) for face in faces)
        return cls(tuple(own), shares, bare)

    @classmethod
    def mix(cls, shares: Mapping[Region, list[tuple["References", float]]]) -> "References":
        """Average region by region; the shares of a region are normalised to sum 1.

        Raises:
            InvalidInputError: more than 16 faces, or bare faces mixed with others.
        """
        worn = {id(part): part for parts in shares.values() for part, _ in parts}
        faces = {id(face): face for part in worn.values() for face in part.faces}
        if len(faces) > MAX_FACES:
            raise InvalidInputError(
                f"mix: the looks were made of {len(faces)} photos, expected at most {MAX_FACES}"
            )
        if len({part.bare for part in worn.values()}) > 1:
            raise InvalidInputError("mix: a look that takes makeup off cannot be mixed with others")
        rows = {key: row for row, key in enumerate(faces)}
        mixed = np.zeros((len(faces), len(Region)), np.float32)
        for region, parts in shares.items():
            total = sum(weight for _, weight in parts)
            for part, weight in parts:
                for face, share in zip(part.faces, part.shares, strict=True):
                    mixed[rows[id(face)], region] += share[region] * weight / total
        return cls(tuple(faces.values()), mixed, any(part.bare for part in worn.values()))

    def with_mirrored(self) -> "References":
        """The faces and their mirror images with half the share each, to cancel side light."""
        turned = (
            _on_its_crop(
                mirrored_landmarks(face.crop_landmarks),
                np.ascontiguousarray(face.crop[:, ::-1]),
                np.ascontiguousarray(face.regions[:, ::-1]),
            )
            for face in self.faces
        )
        shares = np.concatenate([self.shares, self.shares]) * np.float32(0.5)
        return References((*self.faces, *turned), shares, self.bare)

    def weights(self) -> FloatArray:
        """float32 (faces, 5) by region id: shares that sum to 1 for each id.

        Regions without makeup, and the area outside all regions, use the mean of the others.
        """
        worn = self.shares.sum(axis=0) > 0
        mean = self.shares[:, worn].mean(axis=1, keepdims=True)
        return np.asarray(np.where(worn, self.shares, mean), np.float32)

    def encoded(self, encode: Callable[[FaceAnalysis], Any]) -> Any:
        """Convert to another kind of `Makeup`; `encode` reads it from one face."""
        makeups = [encode(face) for face in self.faces]
        if len(makeups) == 1:
            return makeups[0]
        parts = {
            region: [
                (makeup, float(share))
                for makeup, share in zip(makeups, self.shares[:, region], strict=True)
                if share > 0
            ]
            for region in MAKEUP_REGIONS
        }
        return type(makeups[0]).mix({region: part for region, part in parts.items() if part})

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """See `Makeup.to_arrays`. The file contains the faces' pictures."""
        return {
            "crops": np.stack([face.crop for face in self.faces]),
            "regions": np.stack([face.regions for face in self.faces]),
            "landmarks": np.stack([face.landmarks for face in self.faces]),
            "shares": self.shares,
            "bare": np.array(self.bare),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "References":
        """See `Makeup.from_arrays`."""
        count = len(arrays["crops"])
        if not 1 <= count <= MAX_FACES:
            raise ValueError(f"{count} faces, expected 1 to {MAX_FACES}")
        for name, (shape, kind) in _ARRAYS.items():
            array = arrays[name]
            if array.shape != (count, *shape) or array.dtype != kind:
                raise ValueError(
                    f"{name} is {array.dtype} {array.shape}, expected {np.dtype(kind)} "
                    f"{(count, *shape)}"
                )
        near = np.abs(arrays["landmarks"]) <= 4 * CROP_SIZE
        if not near.all() or arrays["regions"].max() >= len(Region):
            raise ValueError("landmarks or regions are out of range")
        shares, sums = arrays["shares"], arrays["shares"].sum(axis=0)
        usual = (shares >= 0).all() and (np.isclose(sums, 1, atol=1e-3) | (sums == 0)).all()
        if not usual or not sums.any():
            raise ValueError(f"shares sum to {sums.tolist()}, expected 0 or 1 for each region")
        faces = zip(arrays["landmarks"], arrays["crops"], arrays["regions"], strict=True)
        bare = arrays["bare"]
        if bare.shape != () or bare.dtype != np.bool_:
            raise ValueError(f"bare is {bare.dtype} {bare.shape}, expected bool ()")
        return cls(tuple(_on_its_crop(*face) for face in faces), shares, bool(bare))


def _on_its_crop(landmarks: FloatArray, crop: Image, regions: Image) -> FaceAnalysis:
    return FaceAnalysis(landmarks, 1.0, np.eye(2, 3), crop, regions)
