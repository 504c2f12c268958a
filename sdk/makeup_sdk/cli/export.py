"""Commands of other packages, found by the entry-point group `makeup.commands`.

`makeup export` and `makeup import` belong to makeup_export, which the SDK does not import. Each
entry point is a function that adds its commands to the application.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer

GROUP = "makeup.commands"


def add_commands(app: typer.Typer) -> None:
    """Let every installed entry point add its commands.

    If an entry point's packages are missing, a command of its name says what to install.
    """
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            register: Any = entry.load()
            register(app)
        except ImportError as error:
            _add_refusal(app, entry, str(error))


def _add_refusal(app: typer.Typer, entry: EntryPoint, problem: str) -> None:
    @app.command(
        entry.name, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
    )
    def refuse() -> None:
        """Not available in this installation."""
        raise typer.BadParameter(f"{entry.name}: {problem}; run `pip install '.[train]'`")
