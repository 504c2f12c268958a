"""Training examples: pairs of faces, styled faces, and how they become batches.

Example i of a data set is a pure function of its settings and i. So a resumed run sees the same
examples as an uninterrupted one, with any number of workers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from makeup_kernels import Region
from makeup_training.cosmetics import Face, Makeup, random_makeup, render
from makeup_training.data.parsing_classes import region_gan_classes
from makeup_training.data.portraits import BadDataError, Portrait, PortraitFile, framed, regions_of
from makeup_training.data.pseudo_pairs import pseudo_pair
from makeup_training.data.readers import AttributeFace
from makeup_training.networks.inputs import FaceBatch
from makeup_training.networks.region_gan import REGION_BITS

WARP_ONLY: Mapping[Region, float] = {
    Region.LIPS: 1.0,
    Region.SKIN: 1.0,
    Region.EYES: 1.0,
    Region.BROWS: 1.0,
}
"""SSAT's pseudo pairs: only the warped reference."""


class Pair(NamedTuple):
    """A bare face and a face with makeup; tensors of a batch have a leading B.

    Attributes:
        source: the bare face.
        reference: the face with makeup.
        source_parsing, reference_parsing: uint8 (B, S, S), MT classes.
        transfer: float (B, 3, S, S) in [−1, 1], ground truth: the source with the reference's
            makeup; None if unknown.
        removal: float (B, 3, S, S), ground truth: the reference without makeup; None if unknown.
        pseudo_transfer, pseudo_removal: float (B, 3, S, S), pseudo pairs; None if not requested.
    """

    source: FaceBatch
    reference: FaceBatch
    source_parsing: Tensor
    reference_parsing: Tensor
    transfer: Tensor | None
    removal: Tensor | None
    pseudo_transfer: Tensor | None
    pseudo_removal: Tensor | None


class StyledFace(NamedTuple):
    """A face in one style, and its target style; tensors of a batch have a leading B.

    Attributes:
        face: the given face.
        classes: uint8 (B, S, S), the four classes of the mask network.
        style, target_style: int64 (B,).
        region_bits: int64 (B, 3), eye shadow, lips, base; at least one is 1.
        other: float (B, 3, S, S) in [−1, 1], the face with the target style in all regions; None if
            unknown.
        attribute_image: float (B, 3, S, S), a face of the attributes' data set; None without one.
        attributes, target_attributes: int64 (B, A), 0 or 1; None without such a data set.
    """

    face: FaceBatch
    classes: Tensor
    style: Tensor
    target_style: Tensor
    region_bits: Tensor
    other: Tensor | None
    attribute_image: Tensor | None
    attributes: Tensor | None
    target_attributes: Tensor | None


@dataclass(frozen=True)
class ExampleOptions:
    """Options of a data set's examples.

    Attributes:
        size: side of the crops in pixels.
        seed: seed of all random draws.
        regions: the rule of `portraits.regions_of`.
        augment: whether faces are augmented.
        triples: repeat only this many first examples, unaugmented; 0 for no limit.
        pseudo_share: shares of the pseudo pairs; None leaves them out.
    """

    size: int = 256
    seed: int = 0
    regions: str = "sdk"
    augment: bool = True
    triples: int = 0
    pseudo_share: Mapping[Region, float] | None = None

    def draw(self, index: int) -> np.random.Generator:
        """The random generator of example `index`."""
        number = index % self.triples if self.triples else index
        return np.random.default_rng([self.seed, number])

    def framed(self, file: PortraitFile, rng: np.random.Generator) -> Portrait:
        """Read, align and augment a face."""
        return framed(file.load(), self.size, rng if self.augment and not self.triples else None)


class PairDataset(Dataset[Pair]):
    """Pairs painted by the renderer, or drawn from photos without and with makeup.

    Args:
        bare: faces without makeup.
        made_up: faces with makeup; None: the renderer paints bare ones, with ground truth.
        options: options of the examples.

    Raises:
        BadDataError: too few faces.
    """

    def __init__(
        self,
        bare: Sequence[PortraitFile],
        made_up: Sequence[PortraitFile] | None,
        options: ExampleOptions,
    ) -> None:
        least = 2 if made_up is None else 1
        if len(bare) < least or (made_up is not None and not made_up):
            counted = "" if made_up is None else f" and {len(made_up)} made-up"
            raise BadDataError(
                f"the data set has {len(bare)} bare{counted} faces, expected at least {least} of "
                "each kind"
            )
        self.bare, self.made_up, self.options = bare, made_up, options
        self._kept: dict[int, Pair] = {}

    def __getitem__(self, index: int) -> Pair:
        limit = self.options.triples
        if not limit:
            return self._make(index)
        if index % limit not in self._kept:
            self._kept[index % limit] = self._make(index)
        return self._kept[index % limit]

    def _make(self, index: int) -> Pair:
        rng = self.options.draw(index)
        if self.made_up is None:
            return self._painted(rng)
        source = self.options.framed(self.bare[rng.integers(len(self.bare))], rng)
        reference = self.options.framed(self.made_up[rng.integers(len(self.made_up))], rng)
        return self._pair(source, reference, None, None)

    def _painted(self, rng: np.random.Generator) -> Pair:
        first, second = rng.choice(len(self.bare), 2, replace=False)
        source = self.options.framed(self.bare[first], rng)
        bare_reference = self.options.framed(self.bare[second], rng)
        makeup = random_makeup(rng)
        truth = painted(source, makeup, rng)
        reference = painted(bare_reference, makeup, rng)
        return self._pair(source, reference, truth.image, bare_reference.image)

    def _pair(
        self,
        source: Portrait,
        reference: Portrait,
        transfer: NDArray[np.uint8] | None,
        removal: NDArray[np.uint8] | None,
    ) -> Pair:
        regions = [regions_of(face, self.options.regions) for face in (source, reference)]
        pseudo: list[NDArray[np.uint8] | None] = [None, None]
        share = self.options.pseudo_share
        if share is not None:
            pseudo = [
                pseudo_pair(source, reference, *regions, share),
                pseudo_pair(reference, source, *regions[::-1], share),
            ]
        return Pair(
            face_tensors(source, regions[0]),
            face_tensors(reference, regions[1]),
            torch.from_numpy(source.parsing),
            torch.from_numpy(reference.parsing),
            *(None if p is None else image_tensor(p) for p in (transfer, removal, *pseudo)),
        )


@dataclass(frozen=True)
class StyleOptions:
    """The styles of the region-sensitive GAN.

    Attributes:
        names: names of the styles; the first is bare skin, the others are the renderer's, or (with
            photos of makeup) a single other one.
        one_look_each: a style is one exact makeup instead of a family, so that style and region
            bits determine the ground truth.
        attribute_faces: faces of the joint training; may be empty.
    """

    names: Sequence[str]
    one_look_each: bool = False
    attribute_faces: Sequence[AttributeFace] = field(default_factory=list)


class StyledFaceDataset(Dataset[StyledFace]):
    """Faces in a style, and another target style for some of their regions.

    With the renderer, one of the two styles is always bare and the truth is exact; with photos the
    truth is unknown.

    Args:
        bare: faces without makeup.
        made_up: faces with makeup; None: the renderer paints bare ones.
        options: options of the examples.
        styles: the styles.

    Raises:
        BadDataError: no faces.
    """

    def __init__(
        self,
        bare: Sequence[PortraitFile],
        made_up: Sequence[PortraitFile] | None,
        options: ExampleOptions,
        styles: StyleOptions,
    ) -> None:
        if not bare or (made_up is not None and not made_up):
            raise BadDataError("the data set has no faces, expected at least one")
        self.bare, self.made_up, self.options, self.styles = bare, made_up, options, styles
        self._kept: dict[int, tuple[Portrait, Portrait | None, int]] = {}

    def __getitem__(self, index: int) -> StyledFace:
        bare, worn, style = self._faces(index)
        # direction and regions vary from epoch to epoch, even with a fixed set of faces
        rng = np.random.default_rng([self.options.seed, index, 1])
        forth = bool(rng.random() < 0.5)
        bits = np.zeros(REGION_BITS, np.int64)
        while not bits.any():
            bits = rng.integers(0, 2, REGION_BITS) if rng.random() < 0.5 else bits + 1
        if worn is None:  # a photo: the target is the style that it does not wear
            face, other, styles = bare, None, (style, 1 - style)
        else:
            face, other = (bare, worn) if forth else (worn, bare)
            styles = (0, style) if forth else (style, 0)
        regions = regions_of(face, self.options.regions)
        return StyledFace(
            face_tensors(face, regions),
            torch.from_numpy(region_gan_classes(regions)),
            torch.tensor(styles[0]),
            torch.tensor(styles[1]),
            torch.from_numpy(bits),
            None if other is None else image_tensor(other.image),
            *self._attributes(rng),
        )

    def _faces(self, index: int) -> tuple[Portrait, Portrait | None, int]:
        """A bare face, the same face painted (None for a photo), and the style."""
        limit = self.options.triples
        if limit and index % limit in self._kept:
            return self._kept[index % limit]
        rng = self.options.draw(index)
        if self.made_up is None:
            bare = self.options.framed(self.bare[rng.integers(len(self.bare))], rng)
            style = int(rng.integers(1, len(self.styles.names)))
            drawn = rng
            if self.styles.one_look_each:
                drawn = np.random.default_rng([self.options.seed, style, 2])
            makeup = random_makeup(drawn, self.styles.names[style])
            faces: tuple[Portrait, Portrait | None, int] = (bare, painted(bare, makeup, rng), style)
        else:
            style = int(rng.integers(2))
            files = self.made_up if style else self.bare
            faces = (self.options.framed(files[rng.integers(len(files))], rng), None, style)
        if limit:
            self._kept[index % limit] = faces
        return faces

    def _attributes(
        self, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor] | tuple[None, None, None]:
        faces = self.styles.attribute_faces
        if not faces:
            return None, None, None
        own, other = (faces[i] for i in rng.integers(len(faces), size=2))
        image = own.load(self.options.size)
        return (
            image_tensor(image),
            torch.tensor(own.attributes),
            torch.tensor(other.attributes),
        )


def painted(portrait: Portrait, makeup: Makeup, rng: np.random.Generator) -> Portrait:
    """The portrait with a makeup.

    Raises:
        BadDataError: a face that cannot be painted.
    """
    # ears and neck are background to the renderer: it never paints them
    parse = np.where(portrait.parsing > 10, 0, portrait.parsing).astype(np.uint8)
    face = Face(portrait.image, portrait.landmarks, parse)
    image = render(face.image, face.landmarks, makeup, rng, face.parse)
    return Portrait(portrait.name, image, portrait.landmarks, portrait.parsing)


def face_tensors(portrait: Portrait, regions: NDArray[np.uint8]) -> FaceBatch:
    """One face as unbatched tensors."""
    return FaceBatch(
        image_tensor(portrait.image),
        torch.from_numpy(regions),
        torch.from_numpy(portrait.landmarks),
    )


def image_tensor(image: NDArray[np.uint8]) -> Tensor:
    """uint8 (H, W, 3) BGR to float32 (3, H, W), RGB in [−1, 1]."""
    rgb = torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)))
    return rgb.float() / 127.5 - 1


def collate(examples: Sequence[Any]) -> Any:
    """Collate examples of one kind: tensors are stacked, named tuples kept, None stays None."""
    first = examples[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return torch.stack(list(examples))
    return type(first)(*(collate(column) for column in zip(*examples, strict=True)))


def moved(batch: Any, device: torch.device) -> Any:
    """Move a batch to a device."""
    if batch is None:
        return None
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    return type(batch)(*(moved(value, device) for value in batch))
