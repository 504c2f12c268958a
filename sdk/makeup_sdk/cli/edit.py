"""`makeup edit`: other people's eyes, mouth or skin, and faces redrawn by their label."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from makeup_kernels import InvalidInputError
from makeup_sdk.cli.options import ThreadsOption
from makeup_sdk.editor import PortraitEditor
from makeup_sdk.images import read_image, read_photo, write_image, write_photo
from makeup_sdk.models.papers.portrait_label import draw_label, read_label


def edit(
    source: Annotated[Path, typer.Argument(help="Photo to edit.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Edited photo.")] = None,
    face: Annotated[Path | None, typer.Option(help="Photo that lends skin, eyes, mouth.")] = None,
    mouth: Annotated[Path | None, typer.Option(help="Photo that lends the mouth.")] = None,
    eyes: Annotated[Path | None, typer.Option(help="Photo that lends the eyes.")] = None,
    skin: Annotated[Path | None, typer.Option(help="Photo that lends skin, nose, brows.")] = None,
    label: Annotated[Path | None, typer.Option(help="Redrawn label to follow.")] = None,
    write_label: Annotated[
        Path | None, typer.Option(help="Write the photo's label as a picture to redraw, PNG.")
    ] = None,
    model: Annotated[str, typer.Option(help="portrait-edit, or a bundle.")] = "portrait-edit",
    threads: ThreadsOption = None,
) -> None:
    """Edit a portrait: swap parts with other people's, or redraw the face's label.

    Write the label with --write-label, redraw it in any paint program in the colours that it has,
    and give it back with --label.
    """
    given = {"face": face, "mouth": mouth, "eyes": eyes, "skin": skin}
    parts = {part: path for part, path in given.items() if path is not None}
    if output is None and write_label is None:
        raise InvalidInputError("nothing to write; pass -o OUT.png, or --write-label LABEL.png")
    if output is not None and not parts and label is None:
        raise InvalidInputError(
            "nothing to edit; pass --mouth, --eyes, --skin or --face PHOTO, or --label PNG"
        )
    console = Console()
    editor = PortraitEditor(model, threads=threads)
    photo = read_photo(source)
    if write_label is not None:
        if write_label.suffix.lower() != ".png":
            raise InvalidInputError(f"--write-label {write_label}: expected a .png, which is exact")
        write_image(write_label, draw_label(editor.label(photo.image)))
        console.print(f"label: {write_label}", markup=False, soft_wrap=True)
    if output is not None:
        height, width = photo.image.shape[:2]
        drawn = None if label is None else read_label(read_image(label), (height, width))
        write_photo(output, photo.wearing(editor.edit(photo.image, parts, drawn)))
        console.print(f"edited: {output}", markup=False, soft_wrap=True)
