"""A shop's shades: try a catalogue on a photo, and match its shades to a face."""

from makeup_sdk.shades.catalogue import Shade, read_catalogue
from makeup_sdk.shades.match import ShadeMatch, match_shades
from makeup_sdk.shades.try_on import TriedShade, sheet, try_on

__all__ = [
    "Shade",
    "ShadeMatch",
    "TriedShade",
    "match_shades",
    "read_catalogue",
    "sheet",
    "try_on",
]
