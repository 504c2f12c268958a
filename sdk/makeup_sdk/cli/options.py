"""Options that several commands share."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from makeup_kernels import InvalidInputError, Region
from makeup_sdk.frame import StrengthLike
from makeup_sdk.looks.look import Look
from makeup_sdk.makeup.base import MAKEUP_REGIONS

LookOption = Annotated[
    str,
    typer.Option(
        help="Reference photo; a .look file; a designed look (`makeup look list`); style:NAME "
        "(region-gan); bare removes makeup (ssat)."
    ),
]
RegionOption = Annotated[
    list[str] | None,
    typer.Option(help="Paint only this region, e.g. lips or eyes=0.6. May be repeated."),
]
StrengthOption = Annotated[float, typer.Option(help="0 (bare) to 1 (the full look); at most 1.5.")]
ToneOption = Annotated[float, typer.Option(help="Transfer of the reference's skin tone, 0 to 1.")]
ModelOption = Annotated[
    str, typer.Option(help="Model that applies the makeup: a name or a bundle.")
]
BackendOption = Annotated[str, typer.Option(help="Backend of the networks.")]
ThreadsOption = Annotated[int | None, typer.Option(help="CPU threads; default all cores.")]

NAMES = {region.name.lower(): region for region in MAKEUP_REGIONS}


def parse_strength(strength: float, regions: Iterable[str]) -> StrengthLike:
    """Parse `--strength 0.8 --region lips=1 --region eyes` as a strength.

    Without `--region` it covers all regions; with it only the named ones, at `strength` or at the
    number after the =.

    Raises:
        InvalidInputError: unknown region, or no number after the =.
    """
    chosen: dict[Region, float] = {}
    for entry in regions:
        name, _, amount = entry.partition("=")
        if name not in NAMES:
            raise InvalidInputError(
                f"--region {entry}: unknown region {name!r}; expected one of {', '.join(NAMES)}"
            )
        try:
            chosen[NAMES[name]] = float(amount) if amount else strength
        except ValueError:
            raise InvalidInputError(
                f"--region {entry}: {amount!r} is not a number; write for example {name}=0.6"
            ) from None
    return chosen or strength


def parse_look(text: str) -> Look | str:
    """Parse `--look`: "style:NAME" is a style, "bare" removes makeup.

    Everything else goes to `MakeupEngine` unchanged. An existing file of the same name has
    precedence.

    Raises:
        InvalidInputError: no name after "style:".
    """
    if Path(text).exists():
        return text
    if text == "bare":
        return Look.bare()
    kind, separator, name = text.partition(":")
    if separator and kind == "style":
        if not name:
            raise InvalidInputError("--look style: expected a name, for example style:smoky")
        return Look.from_style(name)
    return text


def parse_share(entry: str) -> tuple[str, float]:
    """Split `FILE=0.7` into path and share; the share defaults to 1.

    Raises:
        InvalidInputError: no number after the last =.
    """
    path, separator, share = entry.rpartition("=")
    if not separator or Path(entry).exists():
        return entry, 1.0
    try:
        return path, float(share)
    except ValueError:
        raise InvalidInputError(
            f"{entry}: {share!r} is not a number; write for example {path}=0.7"
        ) from None
