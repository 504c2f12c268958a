"""Looks on the shipped faces."""

from functools import cache

from makeup_kernels import Region
from makeup_kernels.types import Image
from makeup_sdk.colors import to_hex
from makeup_sdk.faces import FaceAnalysis
from makeup_sdk.faces.demo_face import demo_face, demo_photo
from makeup_sdk.looks.content import LookContent, painted
from makeup_sdk.makeup.style import Style
from makeup_sdk.models.base import Model
from makeup_sdk.models.registry import DEFAULT_MODEL, open_model


def preview(look: LookContent, face: str) -> Image:
    """See `Look.preview`."""
    photo, found = demo_photo(face)
    return _worn(look, found, photo)


def colors(look: LookContent) -> dict[Region, str]:
    """See `Look.colors`."""
    face = demo_face()
    picture = _worn(look, face, face.crop)
    return {
        region: to_hex(picture[face.regions == region].mean(axis=0))
        for region in sorted(look.regions)
    }


def _worn(look: LookContent, face: FaceAnalysis, photo: Image) -> Image:
    """A copy of a photo with the look on its face."""
    is_style = isinstance(look.makeup, Style)
    model = _shipped_model("region-gan" if is_style else DEFAULT_MODEL)
    return painted(look.made_for(model).painter(model), look.regions, face, photo)


@cache
def _shipped_model(name: str) -> Model:
    """A model that looks are shown with."""
    return open_model(name)
