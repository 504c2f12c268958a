"""The models that the page offers, and what each can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from makeup_sdk.models.facts import FACTS
from makeup_sdk.models.registry import shipped_models, shipped_styles


@dataclass(frozen=True)
class Offer:
    """One model.

    Attributes:
        name: as outfits name it.
        does: in a few words.
        styles: names that it wears; such a model takes no photos.
        removes: whether it takes makeup off.
    """

    name: str
    does: str
    styles: tuple[str, ...]
    removes: bool


@cache
def offers() -> Mapping[str, Offer]:
    """The shipped models that wear photos or styles, by name."""
    found = (
        Offer(name, FACTS[name].does, shipped_styles(name), FACTS[name].removes)
        for name in shipped_models()
    )
    return {offer.name: offer for offer in found if FACTS[offer.name].kind != "products"}
