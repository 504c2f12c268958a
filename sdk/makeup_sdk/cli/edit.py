"""`makeup edit`: swap eyes, mouth, skin or hair, or reshape a face by its redrawn label."""

from pathlib import Path
from typing import Annotated

import typer

from makeup_kernels import InvalidInputError
from makeup_kernels.terminal import JsonOption, QuietOption, Reporter
from makeup_sdk.cli.options import ThreadsOption
from makeup_sdk.cli.photo_jobs import beside
from makeup_sdk.editor import PortraitEditor
from makeup_sdk.images import read_image, read_photo, write_image, write_photo
from makeup_sdk.models.papers.portrait_label import draw_label, read_label


def edit(
    source: Annotated[Path, typer.Argument(help="Photo to edit.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Edited photo; default: NAME-edited beside it."),
    ] = None,
    face: Annotated[Path | None, typer.Option(help="Photo to take skin, eyes, mouth from.")] = None,
    mouth: Annotated[Path | None, typer.Option(help="Photo to take the mouth from.")] = None,
    eyes: Annotated[Path | None, typer.Option(help="Photo to take the eyes from.")] = None,
    skin: Annotated[Path | None, typer.Option(help="Photo to take skin, nose, brows from.")] = None,
    hair: Annotated[Path | None, typer.Option(help="Photo to take the hair from.")] = None,
    label: Annotated[Path | None, typer.Option(help="Redrawn label (PNG).")] = None,
    write_label: Annotated[
        Path | None, typer.Option(help="Write the photo's label to this file, to redraw it (PNG).")
    ] = None,
    model: Annotated[str, typer.Option(help="portrait-edit, or a bundle.")] = "portrait-edit",
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Edit a portrait: swap parts with other people's, or reshape the face by its label.

    Write the label with --write-label, redraw it in any paint program with the same colours, and
    pass it with --label.

    makeup edit photo.jpg --mouth smile.jpg --hair other.jpg

    makeup edit photo.jpg --write-label label.png
    """
    given = {"face": face, "mouth": mouth, "eyes": eyes, "skin": skin, "hair": hair}
    parts = {part: path for part, path in given.items() if path is not None}
    edits = bool(parts) or label is not None
    if not edits and (output is not None or write_label is None):
        raise InvalidInputError(
            "nothing to edit; pass --mouth, --eyes, --skin, --hair or --face PHOTO, --label PNG, "
            "or --write-label PNG"
        )
    reporter = Reporter(quiet=quiet, as_json=as_json)
    editor = PortraitEditor(model, threads=threads)
    photo = read_photo(source)
    if write_label is not None:
        if write_label.suffix.lower() != ".png":
            raise InvalidInputError(f"--write-label {write_label}: expected a .png, which is exact")
        write_image(write_label, draw_label(editor.label(photo.image)))
        reporter.say(f"wrote the label: {write_label}")
    if edits:
        output = output or beside(source, "-edited")
        height, width = photo.image.shape[:2]
        drawn = None if label is None else read_label(read_image(label), (height, width))
        write_photo(output, photo.wearing(editor.edit(photo.image, parts, drawn)))
        reporter.say(f"wrote the edited photo: {output}")
    reporter.json({"photo": source, "output": output, "label": write_label, "parts": list(parts)})
