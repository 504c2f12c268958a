"""`makeup shades`: try a catalogue of shades on a photo, or match a shade in a photo."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track
from rich.table import Table

from makeup_kernels import InvalidInputError
from makeup_kernels.terminal import JsonOption, NamesOption, Reporter
from makeup_sdk.cli.photo_jobs import beside
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
        Path | None,
        typer.Option("--output", "-o", help="The sheet; default: NAME-shades beside the photo."),
    ] = None,
    strength: Annotated[float, typer.Option(help="Strength, 0 to 1.5.")] = 1.0,
    columns: Annotated[int, typer.Option(help="Tiles per row; 0: about square.", min=0)] = 0,
    product: Annotated[
        str, typer.Option(help="Product to `match`: lipstick, eyeshadow, foundation.")
    ] = "lipstick",
    top: Annotated[int, typer.Option(help="Number of matches to print.", min=1)] = 10,
    quiet: NamesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Try a catalogue of shades on a photo, or find the shades nearest to a photo's makeup.

    makeup shades catalogue.csv photo.jpg -o sheet.jpg

    makeup shades match reference.jpg catalogue.csv
    """
    reporter = Reporter(quiet=quiet, as_json=as_json)
    if what == "match":
        if second is None:
            raise InvalidInputError(
                "shades match: no catalogue; expected `makeup shades match PHOTO CATALOGUE`"
            )
        _match(first, second, product, top, reporter)
        return
    if second is not None:
        raise InvalidInputError(
            f"shades: {what!r} is unknown; expected `makeup shades CATALOGUE PHOTO -o SHEET` or "
            "`makeup shades match PHOTO CATALOGUE`"
        )
    output = output or beside(first, "-shades")
    catalogue = read_catalogue(what)
    tried = try_on(catalogue, read_image(first), strength=strength)
    steps = track(tried, "shades", total=len(catalogue), console=reporter.progress)
    write_image(output, sheet(steps, columns))
    reporter.say(f"wrote {output} ({len(catalogue)} shades)")
    reporter.names([str(output)])
    reporter.json({"output": output, "shades": [shade.sku for shade in catalogue]})


def _match(photo: Path, catalogue: Path, product: str, top: int, reporter: Reporter) -> None:
    matches = match_shades(read_image(photo), read_catalogue(catalogue), product)[:top]
    listed = []
    table = Table(show_edge=False)
    for title in ("", "sku", "name", "colour", "distance (CIEDE2000)"):
        table.add_column(title)
    for number, match in enumerate(matches, 1):
        shade = match.shade
        distance = f"{match.distance:.1f} ± {match.uncertainty:.1f}"
        color = str(vars(shade.product)["color"])
        table.add_row(str(number), shade.sku, shade.name, color, distance)
        numbers = {"distance": match.distance, "uncertainty": match.uncertainty}
        rounded = {name: round(float(value), 2) for name, value in numbers.items()}
        listed.append({"sku": shade.sku, "name": shade.name, "color": color, **rounded})
    reporter.table(table)
    reporter.names(match.shade.sku for match in matches)
    reporter.json(listed)
