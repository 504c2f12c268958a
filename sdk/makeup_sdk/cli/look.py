"""`makeup look`: make, mix, list and show looks."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from makeup_kernels import InvalidInputError, Region
from makeup_kernels.terminal import JsonOption, NamesOption, QuietOption, Reporter
from makeup_sdk.cli.options import parse_share
from makeup_sdk.images import write_image
from makeup_sdk.looks.look import Look, look_by_name
from makeup_sdk.looks.shipped import SHIPPED_LOOKS
from makeup_sdk.makeup.product_json import ProductMakeup, product_lines
from makeup_sdk.models.facts import FACTS
from makeup_sdk.models.registry import DEFAULT_MODEL

app = typer.Typer(help="Make, mix, list and show looks.", no_args_is_help=True)

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="The .look file to write; default: NAME.look."),
]


@app.command()
def encode(
    reference: Annotated[Path, typer.Argument(help="Photo of a face with makeup.")],
    output: Output = None,
    title: Annotated[str | None, typer.Option(help="Default: the photo's name.")] = None,
    model: Annotated[
        str, typer.Option(help="Model that will apply the look: a name or a bundle.")
    ] = DEFAULT_MODEL,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Encode the makeup of a photo as a look file, for one model.

    makeup look encode reference.jpg

    makeup look encode reference.jpg --model psgan -o red.look
    """
    look = Look.from_photo(reference, title=title, model=model)
    _save(look, output or reference.with_suffix(".look"), quiet, as_json)


@app.command()
def colors(
    output: Output = None,
    lips: Annotated[str | None, typer.Option(help="Lipstick, e.g. #b3123a.")] = None,
    eyes: Annotated[str | None, typer.Option(help="Eye shadow.")] = None,
    blush: Annotated[str | None, typer.Option(help="Blush.")] = None,
    brows: Annotated[str | None, typer.Option(help="Brow tint.")] = None,
    finish: Annotated[str, typer.Option(help="Lipstick: natural, matte or gloss.")] = "natural",
    title: Annotated[str, typer.Option(help="Title of the look.")] = "colours",
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a look file from colours, for any model.

    makeup look colors --lips '#b3123a' --finish gloss -o lips.look

    makeup look colors --eyes teal --blush salmon -o spring.look
    """
    look = Look.from_colors(
        lips=lips, eyes=eyes, blush=blush, brows=brows, finish=finish, title=title
    )
    _save(look, output or Path(f"{title}.look"), quiet, as_json)


@app.command()
def products(
    file: Annotated[
        str, typer.Argument(help="A .json file of products, or a shipped designed look.")
    ],
    output: Output = None,
    over: Annotated[Path | None, typer.Option(help="A .look file under the products.")] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a look file from products: lipstick, shadow, liner, … by colour, finish and shape.

    makeup look products mine.json

    makeup look products smoky --over red.look -o both.look
    """
    look = look_by_name(file) or Look.from_json_file(file)
    if over is not None:
        assert isinstance(look.makeup, ProductMakeup)
        look = Look.load(over).with_products(look.makeup.products)
    _save(look, output or Path(file).with_suffix(".look"), quiet, as_json)


@app.command()
def mix(
    shares: Annotated[list[str], typer.Argument(help="FILE.look=SHARE, two or more.")],
    output: Output = None,
    title: Annotated[str, typer.Option(help="Title of the look.")] = "mix",
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Mix look files by their shares, e.g. a.look=0.7 b.look=0.3.

    makeup look mix red.look=0.7 lips.look=0.3

    makeup look mix red.look smoky.look --title evening -o evening.look
    """
    pairs = [parse_share(entry) for entry in shares]
    look = Look.mix({Look.load(path): share for path, share in pairs}, title=title)
    _save(look, output or Path(f"{title}.look"), quiet, as_json)


@app.command("list")
def list_(quiet: NamesOption = False, as_json: JsonOption = False) -> None:
    """List the shipped designed looks, for `--look NAME`.

    makeup look list

    makeup look list --quiet
    """
    reporter = Reporter(quiet=quiet, as_json=as_json)
    looks = {name: Look.shipped(name) for name in SHIPPED_LOOKS}
    table = Table("look", "regions", "products", show_edge=False)
    listed = []
    for name, look in looks.items():
        regions = [region.name.lower() for region in sorted(look.regions)]
        assert isinstance(look.makeup, ProductMakeup)
        made_of = [line.split()[0] for line in product_lines(look.makeup.products)]
        table.add_row(name, ", ".join(regions), ", ".join(made_of))
        listed.append({"name": name, "title": look.title, "regions": regions, "products": made_of})
    reporter.table(table)
    reporter.names(looks)
    reporter.json(listed)


@app.command()
def show(
    path: Annotated[str, typer.Argument(help="A .look file, or a shipped designed look.")],
    picture: Annotated[
        Path | None, typer.Option(help="Also write this image of the look on a shipped face.")
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Describe a look: title, models, regions, products, and colours on a face.

    makeup look show red.look

    makeup look show soft-glam --picture soft-glam.jpg
    """
    look = look_by_name(path) or Look.load(path)
    made_of = look.makeup.products if isinstance(look.makeup, ProductMakeup) else look.products
    kind = look.makeup.kind
    facts: dict[str, Any] = {
        "title": look.title,
        "kind": kind,
        "models": [name for name, model in FACTS.items() if kind in ("products", model.kind)],
        "regions": [region.name.lower() for region in sorted(look.regions)],
        "products": product_lines(made_of),
        "colors": {region.name.lower(): color for region, color in _colors(look).items()},
        "picture": picture,
    }
    if picture is not None:
        write_image(picture, look.preview())
    reporter = Reporter(quiet=quiet, as_json=as_json)
    reporter.say(f"title    {look.title}")
    worn_by = "every model" if kind == "products" else ", ".join(facts["models"])
    reporter.say(f"kind     {kind}, worn by {worn_by}")
    reporter.say(f"regions  {', '.join(facts['regions'])}")
    for line in facts["products"]:
        reporter.say(f"product  {line}")
    for region, color in facts["colors"].items():
        reporter.say(f"colour   {region} {color}, on the shipped face")
    if picture is not None:
        reporter.say(f"picture  {picture}")
    reporter.json(facts)


def _colors(look: Look) -> dict[Region, str]:
    """The look's colours on the shipped face; empty if the look cannot be shown."""
    try:
        return look.colors()
    except InvalidInputError:
        return {}


def _save(look: Look, output: Path, quiet: bool, as_json: bool) -> None:
    if output.suffix != ".look":
        raise InvalidInputError(f"{output}: expected a name that ends in .look")
    if not output.parent.is_dir():
        raise InvalidInputError(f"{output.parent}: no such folder; create it first")
    look.save(output)
    size = output.stat().st_size
    reporter = Reporter(quiet=quiet, as_json=as_json)
    reporter.say(f"wrote {output} ({size / 1024:.0f} KB)")
    reporter.json({"title": look.title, "output": output, "bytes": size})
