"""The scaling curves as one SVG."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from makeup_kernels.files import write_atomically

PANELS = (
    ("Threads", ("threads: stream", "threads: attentive morph"), False),
    ("Faces, 1920x1080", ("faces: image", "faces: stream"), False),
    ("Frame size, 1 face", ("pixels: image", "pixels: stream"), False),
    (
        "attentive_morph: pairs of cells of one region",
        ("grid: face grows with the grid", "grid: same 400 cells on larger grids"),
        True,
    ),
)
"""Title, curves, and whether both axes are logarithmic."""

_STYLES = (("#3f86d9", "-"), ("#d4722a", "--"))


def write_plot(path: Path, data: Mapping[str, Any]) -> None:
    """Draw the curves of a scaling result."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    machine = data["machine"]
    figure.suptitle(
        f"How cost grows, milliseconds: {machine['cpu']}, {machine['threads']} threads, "
        f"{machine['isa']}"
    )
    for axes, (title, names, logarithmic) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        axes.set_title(title)
        for name, (color, line) in zip(names, _STYLES, strict=True):
            _draw(axes, data["curves"][name], color, line)
        if logarithmic:
            axes.loglog()
        else:
            first = data["curves"][names[0]]
            axes.set_xticks(first["x"], first["labels"])
            axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    picture = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "scaling", "svg.fonttype": "none"}):  # same bytes again
        figure.savefig(picture, format="svg", metadata={"Date": None})
    write_atomically(path, picture.getvalue())


def _draw(axes: Axes, curve: Mapping[str, Any], color: str, line: str) -> None:
    """Draw the points, and the fit as a line or, without a fit, lines between the points."""
    fit, xs, name = curve["fit"], curve["x"], curve["title"].split(": ")[-1]
    axes.plot(xs, curve["ms"], "o", color=color)
    if fit:
        steps = np.geomspace(min(xs), max(xs), 41)
        name += f": {fit['constant']:.2g} + {fit['slope']:.2g} x, R² {fit['r2']:.3f}"
        axes.plot(steps, fit["constant"] + fit["slope"] * steps, line, color=color, label=name)
    else:
        axes.plot(xs, curve["ms"], line, color=color, label=name)
