"""The scaling curves as one SVG, in the style of `makeup bench --plot`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path
from typing import Any

from makeup_engines.files import write_atomically
from makeup_sdk.bench.plot import COLORS, STYLE, text_at

_WIDTH, _PANEL_WIDTH, _PANEL_HEIGHT = 1080, 440, 220
_LEFT, _TOP, _GAP_X, _GAP_Y = 72, 110, 96, 104

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


def write_plot(path: Path, data: Mapping[str, Any]) -> None:
    """Draw the curves of a scaling result."""
    height = _TOP + 2 * (_PANEL_HEIGHT + _GAP_Y) - 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<style>{STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="var(--ground)"/>',
        text_at(32, 34, "How cost grows, milliseconds", "title"),
        text_at(32, 56, _machine(data["machine"]), "faint"),
    ]
    for number, (title, names, logarithmic) in enumerate(PANELS):
        x = _LEFT + (number % 2) * (_PANEL_WIDTH + _GAP_X)
        y = _TOP + (number // 2) * (_PANEL_HEIGHT + _GAP_Y)
        curves = [data["curves"][name] for name in names]
        parts += _panel(title, curves, (x, y), logarithmic)
    write_atomically(path, "\n".join([*parts, "</svg>\n"]).encode())


def _machine(machine: Mapping[str, Any]) -> str:
    return f"{machine['cpu']}, {machine['threads']} threads, {machine['isa']}"


@dataclass(frozen=True)
class _Axes:
    """Where values lie in a panel; both axes linear from 0, or both logarithmic."""

    left: float
    bottom: float
    logarithmic: bool
    x: tuple[float, float]
    ms: tuple[float, float]

    def at(self, x: float, ms: float) -> tuple[float, float]:
        across = self._share(x, *self.x) * _PANEL_WIDTH
        return self.left + across, self.bottom - self._share(ms, *self.ms) * _PANEL_HEIGHT

    def _share(self, value: float, low: float, high: float) -> float:
        if not self.logarithmic:
            return value / high
        return log10(max(value, low) / low) / log10(high / low)


def _panel(
    title: str, curves: Sequence[Mapping[str, Any]], place: tuple[float, float], logarithmic: bool
) -> list[str]:
    left, top = place
    xs = [x for curve in curves for x in curve["x"]]
    times = [ms for curve in curves for ms in curve["ms"]]
    axes = _Axes(
        left,
        top + _PANEL_HEIGHT,
        logarithmic,
        (min(xs) / 1.5, max(xs) * (1.2 if logarithmic else 1.05)),
        (min(times) / 1.5, max(times) * 1.08),
    )
    parts = [text_at(left, top - 30, title, "head"), *_grid(axes), *_marks(axes, curves[0])]
    for curve, color, dashes in zip(curves, (COLORS[0], COLORS[2]), ("", "6 5"), strict=True):
        parts += _line(axes, curve, color, dashes)
        name = curve["title"].split(": ")[-1]
        parts.append(f'<rect x="{left}" y="{top - 20}" width="11" height="11" fill="{color}"/>')
        parts.append(text_at(left + 16, top - 10, name, "faint"))
        left += 44 + 7 * len(name)
    if logarithmic:
        fit = curves[0]["fit"]
        words = (
            f"one line for both: ms = {fit['constant']:.2g} + {fit['slope']:.2g} x pairs, "
            f"R² {fit['r2']:.3f}"
        )
        parts.append(text_at(place[0] + _PANEL_WIDTH, axes.bottom - 10, words, "faint", "end"))
    return parts


def _grid(axes: _Axes) -> list[str]:
    """Horizontal lines with their milliseconds."""
    parts = []
    for ms in _ticks(*axes.ms, axes.logarithmic):
        y = axes.at(axes.x[0], ms)[1]
        right = axes.left + _PANEL_WIDTH
        parts.append(
            f'<line class="line" x1="{axes.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(text_at(axes.left - 8, y + 4, f"{ms:g}", "faint", "end"))
    return parts


def _marks(axes: _Axes, curve: Mapping[str, Any]) -> list[str]:
    """Labels below the axis, in a second row where they would touch."""
    labels = dict(zip(curve["x"], curve["labels"], strict=True))
    if axes.logarithmic:
        labels = {x: f"{x:,.0f}" for x in _ticks(*axes.x, True)}
    parts = []
    ends = [-1e9, -1e9]
    for x, label in sorted(labels.items()):
        across = axes.at(x, axes.ms[0])[0]
        row = 0 if across - ends[0] > 44 else 1
        ends[row] = across
        parts.append(text_at(across, axes.bottom + 18 + 15 * row, label, "faint", "middle"))
    return parts


def _line(axes: _Axes, curve: Mapping[str, Any], color: str, dashes: str) -> list[str]:
    """The fit as a line, else the points joined; and the points."""
    fit, xs = curve["fit"], curve["x"]
    points = [axes.at(x, ms) for x, ms in zip(xs, curve["ms"], strict=True)]
    path = points
    if fit:
        steps = [min(xs) * (max(xs) / min(xs)) ** (i / 40) for i in range(41)]
        path = [axes.at(x, fit["constant"] + fit["slope"] * x) for x in steps]
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in path)
    parts = [
        f'<polyline class="curve" points="{joined}" stroke="{color}" stroke-dasharray="{dashes}"/>'
    ]
    for (x, y), ms, label in zip(points, curve["ms"], curve["labels"], strict=True):
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}">'
            f"<title>{label}: {ms:.2f} ms</title></circle>"
        )
    return parts


def _ticks(least: float, most: float, logarithmic: bool) -> list[float]:
    if logarithmic:
        powers = range(-3, 12)
        return [10.0**power for power in powers if least <= 10.0**power <= most]
    step = 10.0 ** int(log10(most)) if most >= 1 else 0.1
    while most / step < 3:
        step /= 2
    while most / step > 6:
        step *= 2
    return [step * number for number in range(int(most / step) + 1)]
