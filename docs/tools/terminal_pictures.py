"""Make the pictures of the terminal in the documentation: commands and what they print, as SVG.

    python docs/tools/terminal_pictures.py

Run it again after a change of what these commands say, look at the pictures, and commit them.
"""

import contextlib
import io
import os
import re
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console

from makeup_kernels import terminal
from makeup_sdk.cli import app

IMAGES = Path(__file__).parents[1] / "images"
DEMO = resources.files("makeup_sdk") / "assets" / "demo"
PICTURES = {
    "terminal-apply": "makeup apply photos/ --look soft-glam -o made-up/",
    "terminal-look": "makeup look show soft-glam",
    "terminal-doctor": "makeup doctor",
}
"""Command by file name."""

_WIDTH = 80


def main() -> None:
    """Write every picture to `docs/images/`."""
    os.environ["MAKEUP_CACHE"] = "~/.cache/makeup-sdk"  # as it reads on a user's machine
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.mkdir("photos")
        for face, name in (("light", "anna"), ("medium", "bea"), ("dark", "carla")):
            shutil.copy(str(DEMO / f"{face}.jpg"), f"photos/{name}.jpg")
        cv2.imwrite("photos/wall.jpg", np.full((300, 400, 3), 190, np.uint8))
        for name, command in PICTURES.items():
            svg = _picture(command)
            (IMAGES / f"{name}.svg").write_text(svg, encoding="utf-8")
            print(f"{name}.svg: {len(svg) // 1024} KB")


class _Screen(Console):
    """Wraps long lines, as a terminal does, in place of leaving them whole."""

    def print(self, *objects: Any, soft_wrap: bool | None = None, **options: Any) -> None:
        super().print(*objects, **options)


def _picture(command: str) -> str:
    """A command and what it prints, as SVG without fonts from elsewhere."""
    screen = _Screen(width=_WIDTH, record=True, file=io.StringIO())
    screen.print(f"[bold green]$[/] [bold]{command}[/]", highlight=False)

    def on_screen(**options: Any) -> Console:
        return Console(quiet=True) if options.get("stderr") else screen

    terminal.Console = on_screen  # type: ignore[assignment, misc]
    with contextlib.suppress(SystemExit):  # a photo without a face ends it with status 1
        app(command.split()[1:], standalone_mode=False)
    svg = screen.export_svg(title="makeup-sdk", unique_id=command.split()[1])
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    main()
