"""Stand-ins: modules for sessions, and the SDK's faces in the form of the export's pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeup_engines import GraphSpec
from makeup_export.faces import AlignedFace
from makeup_export.graph_modules import ModelGraphs
from makeup_sdk.faces import FaceAnalysis
from makeup_sdk.faces.parsing import face_classes
from makeup_sdk.models.papers.faces import NetworkFace


@dataclass(frozen=True)
class ModuleSession:
    """A `Session` that runs a module of a network."""

    graphs: ModelGraphs
    name: str
    spec: GraphSpec
    device: str = "cpu"
    backend: str = "module"

    def run(self, inputs: Mapping[str, Any], outputs: Any = None) -> dict[str, Any]:
        assert outputs is None
        assert inputs.keys() == self.graphs.graphs[self.name].inputs.keys()
        return self.graphs.run(self.name, inputs)


@dataclass(frozen=True)
class KnownFace(AlignedFace):
    """A face of the export's own pipeline, with the region map of the SDK's analyser."""

    region_map: NDArray[np.uint8]

    @property
    def regions(self) -> NDArray[np.uint8]:
        return self.region_map


def as_exported(face: FaceAnalysis, size: int, *, rounded: bool = False) -> KnownFace:
    """What the export's pipeline is given for a face of the SDK."""
    seen = NetworkFace.of(face, size)
    landmarks = np.rint(seen.landmarks) if rounded else seen.landmarks
    classes = face_classes(seen.landmarks, seen.regions)
    return KnownFace("face", np.asarray(seen.image, np.uint8), landmarks, classes, seen.regions)
