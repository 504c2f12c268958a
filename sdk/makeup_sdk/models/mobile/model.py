"""`mobile` as a `Model`: the shipped networks, or a bundle of the same kind."""

import numpy as np

from makeup_engines import Bundle, Session, SessionOptions
from makeup_kernels import BundleError
from makeup_kernels.types import FloatArray
from makeup_sdk.faces.layout import FaceLayout
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.makeup.codes import MobileMakeup, template_layout
from makeup_sdk.makeup.fields import MakeupFields
from makeup_sdk.models.base import FACES_AT_ONCE, ModelOptions, Painter
from makeup_sdk.models.classic.paint import ClassicPainter
from makeup_sdk.models.mobile.layout import LaidCodes
from makeup_sdk.models.mobile.paint import MobilePainter
from makeup_sdk.weights import open_shipped


class MobileModel:
    """Our own model: a reader network once per look, a painter network per frame. See `Model`.

    Args:
        options: how its graphs run.
        bundle: default the shipped one.

    Raises:
        BundleError: the bundle is missing, damaged or of another model.
        BackendUnavailableError: the backend cannot run here.
    """

    name = "mobile"
    kind = MobileMakeup.kind
    wears = frozenset({kind, MakeupFields.kind})
    regions = frozenset(MAKEUP_REGIONS)

    def __init__(self, options: ModelOptions | None = None, bundle: Bundle | None = None) -> None:
        options = options or ModelOptions()
        if bundle is None:
            bundle = open_shipped("mobile")
        else:
            _check_graphs(bundle)
        self._bundle, self.options = bundle, options
        on_gpu = options.device == "cuda"
        self.session = bundle.session(
            "painter",
            backend="torch" if on_gpu and options.backend == "auto" else options.backend,
            threads=options.threads,
            options=SessionOptions(cuda_graph=on_gpu, batch=FACES_AT_ONCE if on_gpu else 1),
        )
        self._reader: Session | None = None

    def encode(self, face: FaceAnalysis) -> MobileMakeup:
        """Read the makeup of a reference face.

        The face is read twice, as it is and in a mirror, so that light from one side cancels out.
        """
        if self._reader is None:
            self._reader = self._bundle.session(
                "reader", backend=self.options.backend, threads=self.options.threads
            )
        layout = FaceLayout(face.crop_landmarks, face.regions)
        layouts = layout, layout.mirrored()
        found = self._reader.run(
            {
                "image": np.stack([face.crop, face.crop[:, ::-1]]),
                "regions": np.stack([layout.regions for layout in layouts]),
                "landmarks": np.stack([layout.landmarks for layout in layouts]),
            }
        )["codes"]
        laid = [
            LaidCodes(codes, layout, self.options.threads).on(template_layout())
            for codes, layout in zip(found, layouts, strict=True)
        ]
        return MobileMakeup(_mean_of_both(*laid))

    def painter(self, makeup: MobileMakeup | MakeupFields) -> Painter:
        """Prepare a makeup to be painted; colour cards are put on as `classic` does."""
        if isinstance(makeup, MakeupFields):
            return ClassicPainter(makeup, self.options.threads)
        return MobilePainter(makeup, self.session, self.options.threads)


def _check_graphs(bundle: Bundle) -> None:
    """Raises BundleError unless its graphs take and give what those of the shipped bundle do."""
    shipped = open_shipped("mobile").manifest.graphs
    for name, spec in shipped.items():
        found = bundle.manifest.graphs.get(name)
        if found is None or (found.inputs, found.outputs) != (spec.inputs, spec.outputs):
            raise BundleError(
                f"{bundle.path}: graph {name!r} is missing or has other inputs and outputs than a "
                "bundle of 'mobile'; export it again with makeup_training.mobile.export"
            )


def _mean_of_both(straight: FloatArray, mirrored: FloatArray) -> FloatArray:
    """Their mean; where one shows nothing (a side turned away), the other alone."""
    seen = straight.any(axis=0).astype(np.float32), mirrored.any(axis=0).astype(np.float32)
    mean: FloatArray = (straight + mirrored) / np.maximum(seen[0] + seen[1], 1)
    return mean
