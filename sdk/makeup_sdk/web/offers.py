"""The models that the page offers, and their abilities."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from makeup_sdk.models.facts import FACTS
from makeup_sdk.models.registry import shipped_models, shipped_styles


@dataclass(frozen=True)
class Offer:
    """One model.

    Attributes:
        name: the model's name in outfits.
        does: a short description.
        styles: names of its styles; a model with styles accepts no reference photos.
        removes: whether it can remove makeup.
    """

    name: str
    does: str
    styles: tuple[str, ...]
    removes: bool


@cache
def offers() -> Mapping[str, Offer]:
    """The shipped models for reference photos or styles, by name."""
    found = (
        Offer(name, FACTS[name].does, shipped_styles(name), FACTS[name].removes)
        for name in shipped_models()
    )
    return {offer.name: offer for offer in found if FACTS[offer.name].kind != "products"}
