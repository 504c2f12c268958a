"""What the commands of every room share: their reports, `--json` and `--quiet`, and how they end.

Imported by commands alone, as it needs typer and rich.
"""

import json
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from makeup_kernels.errors import MakeupError
from makeup_kernels.files import how_to_mend

JsonOption = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print failures alone.")]
NamesOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print names alone.")]
"""`--quiet` of commands that list things."""


class Reporter:
    """What a command says: lines and tables for people, or JSON for programs.

    Args:
        quiet: say nothing but failures.
        as_json: say nothing but what is given to `json`.

    Attributes:
        console: standard output for people; silent if one of the two is on.
        progress: standard error for progress bars; silent likewise.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.console = Console(quiet=quiet or as_json)
        self.progress = Console(stderr=True, quiet=quiet or as_json)
        self._failures = Console(quiet=as_json)

    def say(self, text: str, style: str | None = None) -> None:
        """A line for people, which is never cut, so that it can be copied."""
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def table(self, table: Table) -> None:
        """A table for people."""
        self.console.print(table)

    def failure(self, text: str) -> None:
        """A line that `--quiet` shows too."""
        self._failures.print(text, style="red", markup=False, highlight=False, soft_wrap=True)

    def names(self, names: Iterable[str]) -> None:
        """Under `--quiet` of commands that list things: their names, a line each."""
        if self.quiet and not self.as_json:
            for name in names:
                typer.echo(name)

    def json(self, value: Any, *, indent: int | None = 2) -> None:
        """The report, or a line of it, under `--json`; paths become text, NumPy's numbers plain."""
        if self.as_json:
            typer.echo(json.dumps(value, indent=indent, default=_plain))


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def in_words(error: MakeupError | OSError) -> str:
    """An error's message; of the system's own errors the file and what is wrong with it."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; {how_to_mend(error.errno)}"
    return str(error)


def run(app: typer.Typer) -> None:
    """Run a command; an error of ours ends it with its message and exit status 1."""
    try:
        app()
    except (MakeupError, OSError) as error:
        Console(stderr=True).print(
            f"error: {in_words(error)}", style="bold red", markup=False, soft_wrap=True
        )
        sys.exit(1)
