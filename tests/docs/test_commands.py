"""Every command that pages and READMEs show is one that there is, with options that it takes."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from makeup_sdk.cli import app

ROOT = Path(__file__).parents[2]
TEXTS = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
    ROOT / "README.md",
]
_LINE = re.compile(r"^(?:\$ |    )(makeup(?:-train)? [^\n]*)$", re.MULTILINE)


def shown_commands() -> list[tuple[str, str]]:
    """Page and command line of everything shown that starts with `makeup`."""
    return [
        (str(path.relative_to(ROOT)), line)
        for path in TEXTS
        for line in _LINE.findall(path.read_text(encoding="utf-8"))
    ]


def resolve(command: Any, words: list[str], name: str) -> None:
    """Parse words as the command would, without running it.

    Raises:
        Exception: a usage error of the command line's library.
    """
    if not hasattr(command, "commands") or (
        command.invoke_without_command and (not words or words[0].startswith("-"))
    ):
        command.make_context(name, words)
        return
    if words[0] not in command.commands:
        raise KeyError(f"{name} has no command {words[0]!r}")
    resolve(command.commands[words[0]], words[1:], words[0])


def helped_commands(command: Any, name: str) -> list[tuple[str, str]]:
    """Each command, and the examples in its help."""
    lines = [line.strip() for line in (command.help or "").splitlines()]
    found = [(f"{name} --help", line) for line in lines if line.startswith("makeup ")]
    for key, inner in getattr(command, "commands", {}).items():
        found += helped_commands(inner, f"{name} {key}")
    return found


HELPED = helped_commands(typer.main.get_command(app), "makeup")


def test_help_has_examples() -> None:
    known = {name for name, _ in HELPED}
    for name in (
        *("apply", "stream", "serve", "demo", "doctor", "models", "shades", "catalogue", "build"),
        *("bench", "look encode", "look colors", "look products", "look mix", "look show"),
    ):
        assert f"makeup {name} --help" in known


@pytest.mark.parametrize(("page", "line"), shown_commands() + HELPED)
def test_shown_command(page: str, line: str) -> None:
    program, *words = shlex.split(line, comments=True)
    for joined in ("&&", "|", "|| "):
        words = words[: words.index(joined)] if joined in words else words
    if program == "makeup-train":
        from makeup_training.cli import app as training

        resolve(typer.main.get_command(training), words, program)
        return
    command: Any = typer.main.get_command(app)
    if words[0] in ("export", "import"):
        pytest.importorskip("torch", reason="needs the train extra")
    resolve(command, words, program)


def test_an_option_that_is_not_there_is_found() -> None:
    with pytest.raises(Exception, match="No such option: --colour"):
        resolve(typer.main.get_command(app), ["demo", "--colour", "red"], "makeup")


def test_commands_are_shown() -> None:
    shown = {line.split()[1] for _, line in shown_commands() if line.startswith("makeup ")}
    assert {"demo", "apply", "look", "stream", "serve", "doctor", "build", "export"} <= shown
