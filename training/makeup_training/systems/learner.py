"""Interface of a system to its training: network, faces, and the losses of a batch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from makeup_training.networks.inputs import FaceBatch
from makeup_training.systems.faces import FaceStore, build
from makeup_training.systems.objective import ChangeWeights, change_terms
from makeup_training.systems.pairs import LIGHT_OFFSET, LIGHT_RANGE, PairSampler


class Passes(NamedTuple):
    """A learner's results for a batch; images are float (B, 3, S, S).

    Attributes:
        face: the source faces.
        result: the network's output with the look.
        nothing: the output without a look.
        change: the target change of log light.
    """

    face: FaceBatch
    result: Tensor
    nothing: Tensor
    change: Tensor


class SystemLearner(ABC):
    """A system in training.

    Attributes:
        name: name of the system.
        folder: name of the folder of its faces, beside the run.
        network: the network to train.
        facts: facts for users of the weights, saved with them.
        layout: memory format in which the network trains fastest.
    """

    name: ClassVar[str]
    folder: ClassVar[str] = "faces"
    network: nn.Module
    facts: ClassVar[Mapping[str, Any]] = {}
    layout: ClassVar[torch.memory_format] = torch.channels_last

    @property
    def files(self) -> Mapping[str, nn.Module]:
        """The networks to export, by file name."""
        return {"generator": self.network}

    def rate_of(self, parameter: str) -> float:
        """Times the plan's learning rate, for a parameter of the network."""
        return 1.0

    @staticmethod
    def build_faces(data: Path, folder: Path, progress: Callable[[str], None]) -> None:
        """Prepare the faces that `open_faces` opens, from the faces folder."""
        build(data, folder, progress=progress)

    @staticmethod
    def open_faces(folder: Path) -> Any:
        """The training faces."""
        return FaceStore.open(folder)

    @abstractmethod
    def sampler(self, store: Any, size: int, batch: tuple[int, int], *, held: bool = False) -> Any:
        """A sampler that draws a batch for each step."""

    @abstractmethod
    def terms(self, batch: Any, *, mixed: bool) -> dict[str, Tensor]:
        """The weighted losses of a batch.

        Args:
            batch: a batch from the sampler.
            mixed: run the networks in bfloat16; losses stay float32.
        """


class Learner(SystemLearner):
    """A system that learns changes: one pass with the look, one without.

    Attributes:
        lab: whether it sees and makes CIELAB in place of log light (`PairSampler`).
    """

    lab: ClassVar[bool] = False

    @property
    def bare_skin(self) -> float:
        """Value of bare skin in its images."""
        return 0.0 if self.lab else LIGHT_OFFSET / LIGHT_RANGE

    def sampler(
        self, store: FaceStore, size: int, batch: tuple[int, int], *, held: bool = False
    ) -> PairSampler:
        return PairSampler(store, size, batch, held=held, lab=self.lab)

    @abstractmethod
    def passes(self, batch: Any) -> Iterator[Passes]:
        """Run the network on a batch."""

    def extra_terms(self) -> dict[str, Tensor]:
        """Additional weighted losses of the last passes."""
        return {}

    def terms(self, batch: Any, *, mixed: bool) -> dict[str, Tensor]:
        """See `SystemLearner.terms`."""
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            passes = [*self.passes(batch)]
        terms: dict[str, Tensor] = {}
        for face, result, nothing, change in passes:
            images = face.image, result.float(), nothing.float()
            found = change_terms(*images, change, face.regions, ChangeWeights(), lab=self.lab)
            for name, value in found.items():
                terms[name] = terms[name] + value if name in terms else value
        return terms | self.extra_terms()
