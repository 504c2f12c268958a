"""The models that can be exported: how each is built, loaded and split into graphs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from makeup_export.graph_modules import ModelGraphs
from makeup_export.models.portrait_edit import mobile_portrait_graphs, portrait_edit_graphs
from makeup_export.models.psgan import psgan_graphs, psgan_pose_graphs
from makeup_export.models.psgan_sr import mobile_psgan_sr_graphs, psgan_sr_graphs
from makeup_export.models.region_gan import RegionMakeup, region_gan_graphs
from makeup_export.models.ssat import ssat_graphs
from makeup_export.onnx_graphs import ExportError
from makeup_training.checkpoints import (
    load_portrait_editor,
    load_psgan,
    load_ssat,
    load_weights,
    read_metadata,
    read_tensors,
)
from makeup_training.networks.portrait_edit import PortraitEditor
from makeup_training.networks.portrait_mobile import MobilePortraitEditor
from makeup_training.networks.psgan import PSGANGenerator
from makeup_training.networks.psgan_pose import PoseCorrectedGenerator
from makeup_training.networks.psgan_sr import PSGANSuperResolution
from makeup_training.networks.psgan_sr_mobile import MobileSuperResolution
from makeup_training.networks.region_gan import LabelLayout
from makeup_training.networks.ssat import SSATGenerator
from makeup_training.trainer.checkpoint import checkpoints

MT = {"name": "MT (Makeup Transfer)", "licence": "research only"}
CELEBA_HQ = {"name": "CelebA-HQ and Helen faces", "licence": "research only"}


@dataclass(frozen=True)
class Settings:
    """Network settings that a weights file may not contain.

    Attributes:
        width: channels of the first stage.
        styles: number of styles of the region-sensitive GAN.
        style_names: one name per style, or none.
        attributes: number of attributes in the region-sensitive GAN's second data set.
        softmax_dim: of SSAT's correspondence: 1 (`00999.pth`, and ours) or 2 (`SSAT.pth`).
        warp: of the pose-corrected PSGAN: "image" or "maps".
        mobile: whether the region-sensitive GAN, portrait editor or low-resolution PSGAN is the
            mobile-class variant.
        maps: channels of gamma and of beta in the PSGAN family.
        normalised: whether SSAT has instance norm.
    """

    width: int = 64
    styles: int = 5
    attributes: int = 0
    softmax_dim: int = 1
    warp: str = "image"
    style_names: tuple[str, ...] = ()
    mobile: bool = False
    maps: int = 1
    normalised: bool = True

    def __post_init__(self) -> None:
        if self.width < 1 or self.softmax_dim not in (1, 2) or self.warp not in ("image", "maps"):
            raise ExportError(
                f"{self}: expected a width of at least 1, softmax_dim 1 or 2, warp image or maps"
            )
        names = self.style_names
        if names and (len(set(names)) != self.styles or len(names) != self.styles):
            raise ExportError(
                f"style names {', '.join(names)}: expected {self.styles} different ones, the "
                "number of styles"
            )
        if not all(names):
            raise ExportError("style names: one is empty; write for example bare,natural,evening")


@dataclass(frozen=True)
class Published:
    """Facts of a published checkpoint, for its bundle's manifest."""

    licence: str
    training_data: tuple[Mapping[str, str], ...]
    load: Callable[[Any, Path], None]


@dataclass(frozen=True)
class Entry:
    """How to build and load one model.

    Attributes:
        build: builds the untrained network.
        published: how to import a published checkpoint; None if there is none.
        file: name of the trained network in our trainer's checkpoints.
    """

    build: Callable[[Settings], nn.Module]
    published: Published | None = None
    file: str = "generator.safetensors"


CATALOGUE: Mapping[str, Entry] = {
    "psgan": Entry(lambda s: PSGANGenerator(s.width, s.maps), Published("MIT", (MT,), load_psgan)),
    "psgan-sr": Entry(
        lambda s: MobileSuperResolution(s.width) if s.mobile else PSGANSuperResolution(s.width)
    ),
    "psgan-pose": Entry(
        lambda s: PoseCorrectedGenerator(s.width, s.maps, warp=s.warp)  # type: ignore[arg-type]
    ),
    "region-gan": Entry(
        lambda s: RegionMakeup(
            LabelLayout(s.styles, s.attributes), s.width, s.style_names, styled=s.mobile
        )
    ),
    "ssat": Entry(
        lambda s: SSATGenerator(
            s.width,
            softmax_dim=s.softmax_dim,  # type: ignore[arg-type]
            normalised=s.normalised,
        ),
        Published("CC-BY-NC-SA-4.0", (MT,), load_ssat),
    ),
    "portrait-edit": Entry(
        lambda s: MobilePortraitEditor(s.width) if s.mobile else PortraitEditor(s.width),
        Published("CC-BY-NC-SA-4.0", (CELEBA_HQ,), load_portrait_editor),
        file="editor.safetensors",
    ),
}
"""The models by name."""


@dataclass(frozen=True)
class Split:
    """How a network is split into graphs.

    Attributes:
        graphs: called with the network and the side of its crops.
        multiple: the side must be a multiple of this, and at least 32.
        only: the only possible side; None for any.
    """

    graphs: Callable[[Any, int], ModelGraphs]
    multiple: int = 4
    only: int | None = None


SPLITS: Mapping[type[nn.Module], Split] = {
    PSGANGenerator: Split(psgan_graphs),
    PSGANSuperResolution: Split(psgan_sr_graphs, multiple=32),
    MobileSuperResolution: Split(mobile_psgan_sr_graphs, multiple=64),
    PoseCorrectedGenerator: Split(psgan_pose_graphs),
    RegionMakeup: Split(region_gan_graphs),
    SSATGenerator: Split(ssat_graphs, multiple=8),
    PortraitEditor: Split(portrait_edit_graphs, only=256),
    MobilePortraitEditor: Split(mobile_portrait_graphs, multiple=16),
}
"""The networks that can be exported; a model of two sizes has two."""


def entry_of(model: str) -> Entry:
    """The entry of a model by name.

    Raises:
        ExportError: an unknown model.
    """
    if model not in CATALOGUE:
        raise ExportError(
            f"model {model!r} cannot be exported; expected one of {', '.join(CATALOGUE)}"
        )
    return CATALOGUE[model]


def load_trained(model: str, weights: Path, settings: Settings) -> nn.Module:
    """The network with weights from our trainer.

    Args:
        model: a key of `CATALOGUE`.
        weights: see `weights_file`; for `region-gan`, a folder with generator and masks.
        settings: see `Settings`.

    Raises:
        ExportError: an unknown model, weights of another model, or see `weights_file`.
        CheckpointError: the file is missing, damaged, or of another network.
    """
    network = entry_of(model).build(settings)
    file = weights_file(model, weights)
    recipe = facts_of(model, weights).get("recipe", model)
    if recipe != model:
        raise ExportError(
            f"{weights}: trained as {recipe}, not {model}; run makeup export {recipe}"
        )
    if isinstance(network, RegionMakeup) and weights.is_dir():
        load_weights(network.generator, file)
        load_weights(network.masks, file.with_name("masks.safetensors"))
    else:
        load_weights(network, file)
    return network.eval()


def weights_file(model: str, weights: Path) -> Path:
    """The file that holds a network, found from `--weights`.

    Args:
        model: a key of `CATALOGUE`.
        weights: a file, returned unchanged; a checkpoint's folder; or the folder of a
            `makeup-train` run, whose newest checkpoint is used.

    Raises:
        ExportError: an unknown model, or a folder without its file.
    """
    name = entry_of(model).file
    if not weights.is_dir():
        return weights
    for folder in (weights, *checkpoints(weights / "checkpoints")[-1:], *checkpoints(weights)[-1:]):
        if (folder / name).is_file():
            return folder / name
    raise ExportError(
        f"{weights}: no {name} in this folder, nor in checkpoints/ below it; expected the folder "
        f"of a run or checkpoint of {model}, or a .safetensors file"
    )


def label_layout(
    model: str, weights: Path, styles: int | None = None, attributes: int | None = None
) -> LabelLayout:
    """The label layout of the region-sensitive GAN: as given, else from its weights.

    Raises:
        ExportError: only the generator of a checkpoint's two files, or attributes that do not fit.
        CheckpointError: the file is missing or damaged.
    """
    if model != "region-gan":
        return LabelLayout()
    file = weights_file(model, weights)
    tensors = read_tensors(file)
    if not weights.is_dir() and "main.0.weight" in tensors:
        raise ExportError(
            f"{weights}: the generator alone; region-gan also needs masks.safetensors beside it: "
            f"give the folder of both, {weights.parent}"
        )
    if attributes is None:
        attributes = len(facts_of(model, weights).get("attributes", ()))
    first = tensors.get("main.0.weight", tensors.get("generator.main.0.weight"))
    names = facts_of(model, weights).get("styles", ())
    if styles is None and names:
        styles = len(names)
    if styles is None and first is not None:
        styles = first.shape[1] - 3 - LabelLayout(0, attributes).channels
        if styles < 1:
            raise ExportError(
                f"{weights}: a label of {first.shape[1] - 3} has no room for {attributes} "
                "attributes and a style; check --attributes"
            )
    return LabelLayout(LabelLayout.styles if styles is None else styles, attributes)


def load_published(model: str, weights: Path, settings: Settings) -> nn.Module:
    """The network with the weights of a published checkpoint.

    Raises:
        ExportError: an unknown model, or one without a published checkpoint.
        CheckpointError: see `load_trained`.
    """
    entry = entry_of(model)
    if entry.published is None:
        known = ", ".join(name for name, other in CATALOGUE.items() if other.published)
        raise ExportError(f"model {model!r} has no published checkpoint; import takes: {known}")
    network = entry.build(settings)
    entry.published.load(network, weights)
    return network.eval()


def graphs_of(model: str, network: nn.Module, size: int) -> ModelGraphs:
    """A trained network split for export.

    Args:
        model: its name, for messages.
        network: of a class of `SPLITS`.
        size: side of the crops, pixels.

    Raises:
        ExportError: a side that its graphs do not support.
    """
    split = SPLITS[type(network)]
    if size < 32 or size % split.multiple or split.only not in (None, size):
        expected = f"{split.only}" if split.only else f"a multiple of {split.multiple}, at least 32"
        raise ExportError(f"size {size} does not fit {model}, expected {expected}")
    return split.graphs(network, size)


def facts_of(model: str, weights: Path) -> Mapping[str, Any]:
    """The metadata that our trainer stores with weights; empty for other kinds of files.

    Raises:
        ExportError: see `weights_file`.
    """
    path = weights_file(model, weights)
    return read_metadata(path) if path.suffix == ".safetensors" and path.is_file() else {}
