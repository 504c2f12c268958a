"""`makeup shades`: a shop's catalogue on a photo, and which shade somebody wears."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from makeup_kernels import InvalidInputError
from makeup_sdk.images import read_image, write_image
from makeup_sdk.shades import match_shades, read_catalogue, sheet, try_on


def shades(
    what: Annotated[
        str,
        typer.Argument(
            help="The catalogue (.csv: sku, name, product, hex, finish, opacity); or `match`."
        ),
    ],
    first: Annotated[Path, typer.Argument(help="The photo.")],
    second: Annotated[
        Path | None, typer.Argument(help="After `match` and the photo: the catalogue.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The sheet to write, .jpg or .png.")
    ] = None,
    strength: Annotated[float, typer.Option(help="In [0, 1.5].")] = 1.0,
    columns: Annotated[int, typer.Option(help="Tiles in a row; 0: about square.", min=0)] = 0,
    product: Annotated[
        str, typer.Option(help="What `match` looks at: lipstick, eyeshadow, foundation.")
    ] = "lipstick",
    top: Annotated[int, typer.Option(help="How many matches are printed.", min=1)] = 10,
) -> None:
    """Try a catalogue on a photo, or find the shade of it that somebody wears.

    makeup shades catalogue.csv photo.jpg -o sheet.jpg

    makeup shades match reference.jpg catalogue.csv
    """
    if what == "match":
        if second is None:
            raise InvalidInputError(
                "shades match: no catalogue; expected `makeup shades match PHOTO CATALOGUE`"
            )
        _match(first, second, product, top)
        return
    if second is not None:
        raise InvalidInputError(
            f"shades: {what!r} is unknown; expected `makeup shades CATALOGUE PHOTO -o SHEET` or "
            "`makeup shades match PHOTO CATALOGUE`"
        )
    if output is None:
        raise InvalidInputError("shades: give the sheet to write: -o sheet.jpg")
    catalogue = read_catalogue(what)
    tried = try_on(catalogue, read_image(first), strength=strength)
    steps = track(tried, "shades", total=len(catalogue), console=Console(stderr=True))
    write_image(output, sheet(steps, columns))
    Console().print(f"wrote {output} ({len(catalogue)} shades)", markup=False, soft_wrap=True)


def _match(photo: Path, catalogue: Path, product: str, top: int) -> None:
    matches = match_shades(read_image(photo), read_catalogue(catalogue), product)
    table = Table(show_edge=False)
    for title in ("", "sku", "name", "colour", "distance (CIEDE2000)"):
        table.add_column(title)
    for number, match in enumerate(matches[:top], 1):
        shade = match.shade
        distance = f"{match.distance:.1f} ± {match.uncertainty:.1f}"
        color = str(vars(shade.product)["color"])
        table.add_row(str(number), shade.sku, shade.name, color, distance)
    Console().print(table)
