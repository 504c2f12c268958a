"""Bytes of the demo pictures."""

from pathlib import Path

DEMO = Path(__file__).parents[3] / "sdk" / "makeup_sdk" / "assets" / "demo"


def file_of(name: str) -> bytes:
    """The content of a demo picture's file."""
    return (DEMO / name).read_bytes()
