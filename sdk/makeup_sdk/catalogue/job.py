"""The definition of a run: settings, looks, photos. Sent to workers as JSON."""

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
        name: the photo's name in the report and in result paths, with slashes.
        address: the photo's path or address.
        version: file attributes from a listing that change with the file; empty if not listed.
    """

    name: str
    address: str
    version: str = ""


@dataclass(frozen=True)
class LookRef:
    """One look.

    Attributes:
        name: the look's name in the report and in result paths.
        data: content of the look file.
    """

    name: str
    data: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the look file."""
        return sha256(self.data)


@dataclass(frozen=True)
class Settings:
    """Settings that all results of an output share.

    Attributes:
        model: name or path of the model.
        model_sha256: digest of the manifests of model and face networks, and of the SDK's version.
        backend: backend of the networks.
        strength: strength by region name, in [0, 1.5].
        tone: see `MakeupEngine`.
        format: suffix of the pictures, without dot.
        size: maximum longer side in pixels; larger photos are shrunk first. 0: no limit.
        max_faces: maximum faces with makeup per photo, by detection score; None: all.
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
    """The part of a run that its workers need.

    Attributes:
        output: address of the results.
        settings: see `Settings`.
        looks: the looks for every photo.
        threads: CPU threads per worker.
    """

    output: str
    settings: Settings
    looks: tuple[LookRef, ...]
    threads: int

    def to_json(self) -> str:
        """The job as one line of JSON."""
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
    """Write the settings to an output, or check that they match the stored ones.

    Raises:
        InvalidInputError: the stored settings differ; the message names the first difference.
        BundleError: the stored settings are damaged.
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
