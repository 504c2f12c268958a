"""The makeup regions of a face and their ids in a region map."""

from enum import IntEnum


class Region(IntEnum):
    """Ids of a region map: uint8 (H, W), one id per pixel.

    Eyeballs, teeth, hair, glasses, hats and hands are `NONE`.
    """

    NONE = 0
    LIPS = 1
    SKIN = 2
    EYES = 3
    """The eye-shadow area: skin of the eyelids and around the eye, below the brow."""
    BROWS = 4
