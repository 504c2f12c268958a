"""Options that several commands share."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from makeup_kernels import InvalidInputError, Region
from makeup_sdk.frame import StrengthLike
from makeup_sdk.look import Look
from makeup_sdk.makeup.base import MAKEUP_REGIONS

LookOption = Annotated[
    str,
    typer.Option(
        help="Reference photo; a .look file; a designed look (`makeup look list`); style:NAME "
        "(region-gan); bare takes makeup off (ssat)."
    ),
]
RegionOption = Annotated[
    list[str] | None,
    typer.Option(help="Paint only this region, e.g. lips or eyes=0.6. May be repeated."),
]
StrengthOption = Annotated[float, typer.Option(help="0 (bare) to 1 (the whole look), at most 1.5.")]
ToneOption = Annotated[
    float, typer.Option(help="How far the face takes the shade of the reference's skin, 0 to 1.")
]
ModelOption = Annotated[
    str, typer.Option(help="What puts the makeup on: a model's name, or a bundle.")
]
BackendOption = Annotated[str, typer.Option(help="Runs the graphs of a bundle.")]
ThreadsOption = Annotated[int | None, typer.Option(help="CPU threads; default all cores.")]

NAMES = {region.name.lower(): region for region in MAKEUP_REGIONS}


def parse_strength(strength: float, regions: Iterable[str]) -> StrengthLike:
    """`--strength 0.8 --region lips=1 --region eyes` to a strength.

    Without `--region`, all regions; with it, the named ones alone, at `strength` unless a number
    follows.

    Raises:
        InvalidInputError: unknown region, or no number behind the =.
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
    """What `--look` names: "style:NAME" for models of styles, "bare" to take makeup off; all else
    as `MakeupEngine` takes it.

    A file of that very name comes first.

    Raises:
        InvalidInputError: no name behind "style:".
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
    """`FILE=0.7` to its two halves; without a number the share is 1.

    Raises:
        InvalidInputError: what follows the last = is not a number.
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
