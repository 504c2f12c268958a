"""The `makeup` command."""

from typing import Annotated

import typer

from makeup_kernels import terminal
from makeup_sdk import __version__
from makeup_sdk.cli import (
    apply,
    bench,
    catalogue,
    demo,
    doctor,
    edit,
    engines,
    export,
    look,
    models,
    serve,
    shades,
    stream,
)

app = typer.Typer(
    help="Real-time makeup try-on: put the makeup of any reference photo on a face.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("apply")(apply.apply)
app.command("edit")(edit.edit)
app.command("stream")(stream.stream)
app.command("models")(models.models)
app.command("shades")(shades.shades)
app.command("catalogue")(catalogue.catalogue)
app.command("doctor")(doctor.doctor)
app.command("serve")(serve.serve)
app.command("build")(engines.build_command)
app.add_typer(engines.app, name="engines")
app.add_typer(look.app, name="look")
app.add_typer(bench.app, name="bench")
export.add_commands(app)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"makeup-sdk {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Real-time makeup try-on: put the makeup of any reference photo on a face."""


def main() -> None:
    """Run the command; a `MakeupError` ends it with the message and exit status 1."""
    terminal.run(app)
