"""The bundles that ship with the package, one folder a model."""

from pathlib import Path

from makeup_engines import Bundle

FOLDER = Path(__file__).parent
"""Holds one folder a bundle."""


def open_shipped(name: str) -> Bundle:
    """A shipped bundle by the name of its folder.

    Raises:
        BundleError: the installation is missing it, or it is damaged.
    """
    return Bundle.open(FOLDER / name)


def shipped_names() -> list[str]:
    """Names of the shipped bundles, sorted."""
    return sorted(
        path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__"
    )
