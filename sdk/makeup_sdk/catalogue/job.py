"""What a run is: settings, looks, photos. Goes to workers as JSON."""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from makeup_kernels import BundleError, InvalidInputError
from makeup_kernels.files import sha256
from makeup_sdk.catalogue.storage import Place

SETTINGS = "catalogue.json"


@dataclass(frozen=True)
class PhotoRef:
    """One photo.

    Attributes:
        name: of the photo in the report and in the names of results, with slashes.
        address: where it is read from.
        version: what a listing says that changes with the file; empty if it was not listed.
    """

    name: str
    address: str
    version: str = ""


@dataclass(frozen=True)
class LookRef:
    """One look.

    Attributes:
        name: in the report and in the names of results.
        data: the content of a look file.
    """

    name: str
    data: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the look file."""
        return sha256(self.data)


@dataclass(frozen=True)
class Settings:
    """What all results of an output have in common.

    Attributes:
        model: what puts the makeup on, by name or path.
        model_sha256: of the model's and the face analysis' manifests and this package's version.
        backend: runs the graphs of a bundle.
        strength: per region's name, in [0, 1.5].
        tone: see `MakeupEngine`.
        format: suffix of the pictures, without dot.
        size: longest side in pixels that photos are shrunk to first; 0 leaves them as they are.
        max_faces: faces that are made up in a photo, the most certain ones; None: all.
    """

    model: str
    model_sha256: str
    backend: str
    strength: Mapping[str, float]
    tone: float
    format: str
    size: int
    max_faces: int | None


@dataclass(frozen=True)
class Job:
    """A run, as its workers know it.

    Attributes:
        output: address of the results.
        settings: see there.
        looks: what every photo is to wear.
        threads: CPU threads of each worker.
    """

    output: str
    settings: Settings
    looks: tuple[LookRef, ...]
    threads: int

    def to_json(self) -> str:
        """One line of JSON."""
        looks = [
            {"name": look.name, "data": base64.b64encode(look.data).decode()} for look in self.looks
        ]
        return json.dumps({**asdict(self), "looks": looks})

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """The inverse of `to_json`."""
        values: dict[str, Any] = json.loads(text)
        looks = tuple(
            LookRef(look["name"], base64.b64decode(look["data"])) for look in values.pop("looks")
        )
        return cls(settings=Settings(**values.pop("settings")), looks=looks, **values)


def claim(output: Place, settings: Settings) -> None:
    """Write the settings into an output, or check that it was made with the same.

    Raises:
        InvalidInputError: it was made with others; names the first that differs.
        BundleError: its settings are damaged.
    """
    try:
        text = output.read(SETTINGS)
    except FileNotFoundError:
        output.write(SETTINGS, json.dumps(asdict(settings), indent=2).encode())
        return
    try:
        found = dict(json.loads(text))
    except ValueError:
        raise BundleError(
            f"{output.address}: {SETTINGS} is damaged; choose another --output"
        ) from None
    for key, wanted in asdict(settings).items():
        if found.get(key) != wanted:
            raise InvalidInputError(
                f"{output.address}: made with {key} = {found.get(key)!r}, this run has {wanted!r}; "
                "choose another --output, or the same settings and version of makeup-sdk"
            )
