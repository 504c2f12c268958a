"""Short descriptions of the models, for users who choose one."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ModelFacts:
    """One model.

    Attributes:
        does: its purpose in a few words.
        takes: the input of its looks.
        kind: kind of makeup that it wears (`Makeup.kind`); every model wears products.
        removes: whether it wears `Look.bare`, which takes makeup off.
    """

    does: str
    takes: str
    kind: str
    removes: bool = False


FACTS: Mapping[str, ModelFacts] = {
    "mobile": ModelFacts("transfer of what a photo shows; the default", "a photo", "mobile"),
    "products": ModelFacts(
        "lipstick, shadow, liner … by colour, finish and shape", "products", "products"
    ),
    "psgan": ModelFacts("transfer by attention", "photos", "reference"),
    "psgan-pose": ModelFacts("transfer by pose correction", "photos", "reference"),
    "psgan-sr": ModelFacts("transfer and super-resolution of small faces", "photos", "reference"),
    "ssat": ModelFacts(
        "transfer; removal in part", "photos, or bare faces", "reference", removes=True
    ),
    "region-gan": ModelFacts("a style on chosen regions", "the name of a style", "style"),
    "portrait-edit": ModelFacts(
        "eyes, mouth and skin of another face; edits portraits", "photos", "reference"
    ),
}
"""All models by name, with or without shipped weights."""
MODELS = ("mobile", "products")
"""Models that need no weights."""
