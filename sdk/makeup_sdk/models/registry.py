"""Models by name, or by the path of a bundle."""

from pathlib import Path

from makeup_engines import Bundle
from makeup_kernels import BundleError, InvalidInputError
from makeup_kernels.files import as_path
from makeup_sdk.makeup.appearance import Appearance
from makeup_sdk.makeup.base import Makeup
from makeup_sdk.makeup.product_json import ProductMakeup
from makeup_sdk.makeup.references import References
from makeup_sdk.makeup.style import Style
from makeup_sdk.models.base import Model, ModelOptions
from makeup_sdk.models.facts import FACTS, MODELS
from makeup_sdk.models.mobile.model import MobileModel
from makeup_sdk.models.papers.graphs import Graphs
from makeup_sdk.models.papers.reference_model import PAINTERS, ReferenceModel, painter_class
from makeup_sdk.models.papers.region_gan import StyleModel
from makeup_sdk.models.products.model import ProductsModel
from makeup_sdk.weights import open_shipped, shipped_names

DEFAULT_MODEL = "mobile"

MAKEUPS: dict[str, type[Makeup]] = {
    makeup.kind: makeup for makeup in (Appearance, ProductMakeup, References, Style)
}
"""Kinds of makeup that look files may contain."""


def shipped_models() -> tuple[str, ...]:
    """Names for `open_model`: models without weights, and those with shipped weights."""
    folders = shipped_names()
    return tuple(name for name in FACTS if name in MODELS or name in folders)


def shipped_styles(name: str) -> tuple[str, ...]:
    """The names of styles that a shipped model wears; none for models of photos or products."""
    if name not in shipped_names():
        return ()
    return tuple(open_shipped(name).manifest.constants.get("style_names", ()))


def open_model(model: str | Path | Model, options: ModelOptions | None = None) -> Model:
    """Open a model by name or bundle; an open model is returned unchanged.

    Args:
        model: one of `shipped_models`, the path of a bundle (a directory or a zip), or a model.
        options: see `ModelOptions`; an open model keeps its own.

    Raises:
        InvalidInputError: no model of this name, and no such bundle; or a backend for a model
            without networks.
        BundleError: the bundle is damaged, or not a makeup model's.
        BackendUnavailableError: the backend cannot run here.
    """
    if not isinstance(model, (str, Path)):
        if not hasattr(model, "painter"):
            raise InvalidInputError(
                f"model: got {type(model).__name__}, expected one of {MODELS}, the path of a "
                "bundle, or a Model"
            )
        return model
    options = options or ModelOptions()
    if model in MODELS:
        if options.backend != "auto":
            raise InvalidInputError(
                f"backend {options.backend!r}: the model {str(model)!r} has no networks that it "
                "could run; choose another model, or leave the backend out"
            )
        return MobileModel() if model == "mobile" else ProductsModel()
    bundle = bundle_of(model)
    assert bundle is not None  # only those of MODELS have none
    return _open_bundle(bundle, options)


def bundle_of(model: str | Path) -> Bundle | None:
    """The bundle of a model, by its name or path; None for models without networks.

    Args:
        model: a shipped model or network, or the path of a bundle (a directory or a zip).

    Raises:
        InvalidInputError: no model of this name, and no such bundle.
        BundleError: the bundle is damaged.
    """
    if model in MODELS:
        return None
    if model in shipped_names():
        return open_shipped(str(model))
    if as_path(model, "model").exists():
        return Bundle.open(model)
    known = f"expected one of {', '.join(shipped_models())}, or the path of a bundle"
    if model in FACTS:
        raise InvalidInputError(
            f"model: no weights of {str(model)!r} ship with this version; {known} that "
            f"`makeup export {model}` wrote"
        )
    raise InvalidInputError(f"model: {str(model)!r} is unknown; {known}")


def _open_bundle(bundle: Bundle, options: ModelOptions) -> Model:
    """A model from its bundle.

    Raises:
        BundleError: the bundle is damaged, or not a known makeup model's.
        BackendUnavailableError: the backend cannot run here.
    """
    name = bundle.manifest.model
    if name == StyleModel.name:
        return StyleModel(Graphs.open(bundle, StyleModel.SIGNATURE, options))
    if name not in PAINTERS:
        known = ", ".join([*PAINTERS, StyleModel.name])
        raise BundleError(
            f"{bundle.path}: a bundle of {name!r}, which the engine cannot put on faces; expected "
            f"one of {known}"
        )
    signature = painter_class(name, bundle.manifest.graphs).SIGNATURE
    return ReferenceModel(name, Graphs.open(bundle, signature, options))
