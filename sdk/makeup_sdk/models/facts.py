"""Short descriptions of the models, for users who choose one."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ModelFacts:
    """One model.

    Attributes:
        does: its purpose in a few words.
        takes: the input of its looks.
    """

    does: str
    takes: str


FACTS: Mapping[str, ModelFacts] = {
    "mobile": ModelFacts("transfer of what a photo shows; the default", "a photo"),
    "products": ModelFacts("lipstick, shadow, liner … by colour, finish and shape", "products"),
    "psgan": ModelFacts("transfer by attention", "photos"),
    "psgan-pose": ModelFacts("transfer by pose correction", "photos"),
    "psgan-sr": ModelFacts("transfer and super-resolution of small faces", "photos"),
    "ssat": ModelFacts("transfer and removal", "photos, or bare faces"),
    "region-gan": ModelFacts("a style on chosen regions", "the name of a style"),
    "portrait-edit": ModelFacts("eyes, mouth and skin of another face; edits portraits", "photos"),
}
"""All models by name, with or without shipped weights."""
MODELS = ("mobile", "products")
"""Models that need no weights."""
