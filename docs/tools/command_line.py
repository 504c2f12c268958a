"""MkDocs hook: replaces `{{ command line }}` by the reference of the commands."""

from collections.abc import Iterator
from typing import Any

import typer

_MARKER = "{{ command line }}"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marker of a page with the reference."""
    if _MARKER not in markdown:
        return markdown
    return markdown.replace(_MARKER, "\n\n".join(_reference()))


def _reference() -> Iterator[str]:
    from makeup_sdk.cli import app

    yield from _describe(typer.main.get_command(app), "makeup")
    from makeup_training.cli import app as training

    yield from _describe(typer.main.get_command(training), "makeup-train")


def _describe(command: Any, name: str) -> Iterator[str]:
    """A command, or every command of a group, in the order of its help."""
    inner = getattr(command, "commands", {})
    if inner and not command.invoke_without_command:
        for key, each in inner.items():
            yield from _describe(each, f"{name} {key}")
        return
    yield f"## {name}"
    yield "\n".join(map(_line, (command.help or "").splitlines()))
    rows = [_row(parameter) for parameter in command.params if parameter.name != "help"]
    if rows:
        head = ["| argument or option | meaning | default |", "|---|---|---|"]
        yield "\n".join(head + rows)
    for key, each in inner.items():
        yield from _describe(each, f"{name} {key}")


def _line(line: str) -> str:
    """A line of a command's help; examples, which are commands, as code."""
    line = line.strip()
    return f"`{line}`" if line.startswith("makeup ") else line


def _row(parameter: Any) -> str:
    argument = parameter.param_type_name == "argument"
    many = "…" if parameter.nargs == -1 else ""
    names = (
        [parameter.name.upper() + many]
        if argument
        else [*parameter.opts, *parameter.secondary_opts]
    )
    default = parameter.default
    shown = "required" if parameter.required else ""
    if default is not None and default is not False and not parameter.required:
        shown = f"`{default}`" if default != "" else ""
    text = (getattr(parameter, "help", None) or "").replace("|", "\\|")
    return f"| {', '.join(f'`{name}`' for name in names)} | {text} | {shown} |"
