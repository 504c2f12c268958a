"""What a system is to the training: a pass with the look, and one with none."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from makeup_training.networks.inputs import FaceBatch
from makeup_training.systems.faces import FaceStore
from makeup_training.systems.pairs import PairSampler


class Passes(NamedTuple):
    """What a learner gives for a batch; the images are float (B, 3, S, S).

    Attributes:
        face: the faces that were painted.
        result: with the look.
        nothing: with none.
        change: the change of log light that was wanted.
    """

    face: FaceBatch
    result: Tensor
    nothing: Tensor
    change: Tensor


class Learner(ABC):
    """A system in training.

    Attributes:
        name: of the system.
        network: what is trained.
        facts: what the weights' users must know, kept with them.
    """

    name: ClassVar[str]
    network: nn.Module
    facts: ClassVar[Mapping[str, Any]] = {}

    @property
    def files(self) -> Mapping[str, nn.Module]:
        """The networks that are exported, by the name of their file."""
        return {"generator": self.network}

    def sampler(
        self, store: FaceStore, size: int, batch: tuple[int, int], *, held: bool = False
    ) -> Any:
        """Draws a batch for each step; pairs unless a system says otherwise."""
        return PairSampler(store, size, batch, held=held)

    @abstractmethod
    def passes(self, batch: Any) -> Iterator[Passes]:
        """Run the network on a batch."""

    def extra_terms(self) -> dict[str, Tensor]:
        """Further weighted losses of the last passes."""
        return {}
