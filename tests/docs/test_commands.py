"""Every command shown in pages and READMEs exists and accepts the shown options."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from makeup_sdk.cli import app
from makeup_training.cli import app as training

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


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command below one, with its full name; of groups, those that run by themselves too."""
    inner = getattr(command, "commands", {})
    if not inner or command.invoke_without_command:
        yield name, command
    for key, each in inner.items():
        yield from commands(each, f"{name} {key}")


def examples(command: Any) -> list[str]:
    """The examples in a command's help."""
    lines = [line.strip() for line in (command.help or "").splitlines()]
    return [line for line in lines if re.match("makeup(-train)? ", line)]


COMMANDS = [
    *commands(typer.main.get_command(app), "makeup"),
    *commands(typer.main.get_command(training), "makeup-train"),
]
HELPED = [(f"{name} --help", line) for name, command in COMMANDS for line in examples(command)]


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_reports_in_one_way(name: str, command: Any) -> None:
    """Two examples in its help, `--json`, and `--quiet` or `-q`."""
    if command.help.startswith("Not available"):
        pytest.skip("needs the train extra")
    assert [line for line in examples(command) if line.startswith(name)][1:]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--json", "--quiet", "-q"} <= options


def test_every_command_is_known() -> None:
    known = {name.removeprefix("makeup ") for name, _ in COMMANDS}
    assert {"apply", "stream", "bench", "bench compare", "look show", "engines verify"} < known
    assert {"export", "makeup-train"} < known


@pytest.mark.parametrize(("page", "line"), shown_commands() + HELPED)
def test_shown_command(page: str, line: str) -> None:
    program, *words = shlex.split(line, comments=True)
    for joined in ("&&", "|", "||", "&"):
        words = words[: words.index(joined)] if joined in words else words
    if program == "makeup-train":
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
