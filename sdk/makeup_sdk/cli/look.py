"""`makeup look`: make, mix and show look files."""

from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from rich.console import Console

from makeup_kernels import CROP_SIZE, InvalidInputError
from makeup_sdk.cli.options import parse_share
from makeup_sdk.images import write_image
from makeup_sdk.look import SHIPPED_LOOKS, Look
from makeup_sdk.makeup.product_json import ProductMakeup, product_lines
from makeup_sdk.models.registry import DEFAULT_MODEL

app = typer.Typer(help="Make, mix and show look files.", no_args_is_help=True)

Output = Annotated[Path, typer.Option("--output", "-o", help="The .look file to write.")]


@app.command()
def encode(
    reference: Annotated[Path, typer.Argument(help="Photo of a made-up face.")],
    output: Output,
    title: Annotated[str | None, typer.Option(help="Default: the photo's name.")] = None,
    model: Annotated[
        str, typer.Option(help="What shall put the makeup on: a model's name, or a bundle.")
    ] = DEFAULT_MODEL,
) -> None:
    """Read the makeup of a photo into a look file, for one model.

    makeup look encode reference.jpg -o red.look

    makeup look encode reference.jpg --model psgan -o red.look
    """
    _save(Look.from_photo(reference, title=title, model=model), output)


@app.command()
def colors(
    output: Output,
    lips: Annotated[str | None, typer.Option(help="Lipstick, e.g. #b3123a.")] = None,
    eyes: Annotated[str | None, typer.Option(help="Eye shadow.")] = None,
    blush: Annotated[str | None, typer.Option(help="Blush.")] = None,
    brows: Annotated[str | None, typer.Option(help="Brow tint.")] = None,
    finish: Annotated[str, typer.Option(help="Lipstick: natural, matte or gloss.")] = "natural",
    title: Annotated[str, typer.Option(help="What to call it.")] = "colours",
) -> None:
    """Make a look file from colours, for any model.

    makeup look colors --lips '#b3123a' --finish gloss -o lips.look

    makeup look colors --eyes teal --blush salmon -o spring.look
    """
    look = Look.from_colors(
        lips=lips, eyes=eyes, blush=blush, brows=brows, finish=finish, title=title
    )
    _save(look, output)


@app.command()
def products(
    file: Annotated[
        str, typer.Argument(help="A .json file of products, or a designed look that ships.")
    ],
    output: Output,
    over: Annotated[
        Path | None, typer.Option(help="A .look file that the products are worn over.")
    ] = None,
) -> None:
    """Make a look file from products: lipstick, shadow, liner, … by colour, finish and shape.

    makeup look products mine.json -o mine.look

    makeup look products smoky --over red.look -o both.look
    """
    named = file in SHIPPED_LOOKS and not Path(file).exists()
    look = Look.shipped(file) if named else Look.from_json_file(file)
    if over is not None:
        assert isinstance(look.makeup, ProductMakeup)
        look = Look.load(over).with_products(look.makeup.products)
    _save(look, output)


@app.command()
def mix(
    shares: Annotated[list[str], typer.Argument(help="FILE.look=SHARE, two or more.")],
    output: Output,
    title: Annotated[str, typer.Option(help="What to call it.")] = "mix",
) -> None:
    """Average look files, e.g. a.look=0.7 b.look=0.3.

    makeup look mix red.look=0.7 lips.look=0.3 -o mix.look
    """
    pairs = [parse_share(entry) for entry in shares]
    _save(Look.mix({Look.load(path): share for path, share in pairs}, title=title), output)


@app.command()
def show(
    path: Annotated[str, typer.Argument(help="A .look file, or a designed look that ships.")],
    picture: Annotated[
        Path | None, typer.Option(help="Also draw it on the template face, to this image.")
    ] = None,
) -> None:
    """Describe a look: its title, kind, regions and products.

    makeup look show red.look

    makeup look show soft-glam --picture soft-glam.jpg
    """
    named = path in SHIPPED_LOOKS and not Path(path).exists()
    look = Look.shipped(path) if named else Look.load(path)
    console = Console()
    console.print(f"title    {look.title}", markup=False, soft_wrap=True)
    console.print(f"kind     {look.makeup.kind}", markup=False)
    console.print("regions  " + ", ".join(sorted(region.name.lower() for region in look.regions)))
    made_of = look.makeup.products if isinstance(look.makeup, ProductMakeup) else look.products
    for line in product_lines(made_of):
        console.print(f"product  {line}", markup=False, soft_wrap=True)
    if picture is not None:
        size = (2 * CROP_SIZE, 2 * CROP_SIZE)
        write_image(picture, cv2.resize(look.swatch(), size).astype(np.uint8))
        console.print(f"picture  {picture}", markup=False, soft_wrap=True)


def _save(look: Look, output: Path) -> None:
    if output.suffix != ".look":
        raise InvalidInputError(f"{output}: look files end in .look")
    if not output.parent.is_dir():
        raise InvalidInputError(f"{output.parent}: no such folder; create it first")
    look.save(output)
    size = output.stat().st_size / 1024
    Console().print(f"wrote {output} ({size:.0f} KB)", markup=False, soft_wrap=True)
