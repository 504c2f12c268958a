"""Plot a report as SVG that follows the reader's light or dark theme."""

from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from makeup_kernels import InvalidInputError
from makeup_kernels.files import write_atomically
from makeup_sdk.bench.report import Measurement, Report, Samples, samples_of
from makeup_sdk.bench.tables import describe_machine

_WIDTH, _ROW, _TOP, _BOTTOM = 1080, 92, 104, 56
_LEFT, _RIGHT = 32, 32
_GAP = 56
_BAR = 22
_BINS = 48
COLORS = ("#3f86d9", "#1e9e87", "#d4722a", "#c04a8a", "#8a6fd1", "#8a8f98")
"""Colours of the stages in order; contrast of at least 3:1 on black and on white."""

STYLE = """
svg { --ground: #ffffff; --text: #1c2330; --faint: #5d6675; --line: #d5dae2; --shape: #7d8899; }
@media (prefers-color-scheme: dark) {
  svg { --ground: #14181f; --text: #e8ecf2; --faint: #a3acba; --line: #39414e; --shape: #8e99aa; }
}
text { font: 13px system-ui, sans-serif; fill: var(--text); }
.title { font-size: 19px; font-weight: 600; }
.head { font-size: 14px; font-weight: 600; }
.faint { fill: var(--faint); font-size: 12px; }
.inside { fill: #ffffff; font-size: 12px; font-weight: 600; }
.line { stroke: var(--line); }
.mark { stroke: var(--text); stroke-width: 1.5; }
.curve { fill: none; stroke-width: 2; }
"""
"""Style sheet of all plots: colours by theme, kinds of text and lines."""


def save_plot(path: str | Path, report: Report) -> None:
    """Write the plot of a report atomically.

    Raises:
        InvalidInputError: the suffix is not .svg, or the folder does not exist.
    """
    path = Path(path)
    if path.suffix.lower() != ".svg":
        raise InvalidInputError(f"--plot {path}: plots are SVG files; end the name in .svg")
    write_atomically(path, plot(report).encode())


def plot(report: Report) -> str:
    """SVG: per scenario a bar of its stages' medians, and the distribution of its latencies."""
    rows = report.results
    stages = list(dict.fromkeys(name for row in rows for name in row.stages))
    colors = {name: COLORS[min(i, len(COLORS) - 1)] for i, name in enumerate(stages)}
    half = (_WIDTH - _LEFT - _RIGHT - _GAP) // 2
    right = _LEFT + half + _GAP
    height = _TOP + len(rows) * _ROW + _BOTTOM
    longest = max(sum(samples.p50 for samples in row.stages.values()) for row in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        "<title>Milliseconds per frame, by stage, and their distribution</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="var(--ground)"/>',
        text_at(_LEFT, 34, "Milliseconds per frame", "title"),
        text_at(_LEFT, 66, "Median of each stage", "head"),
        text_at(right, 66, "Distribution of whole frames, each on its own scale", "head"),
        *_legend(colors, _LEFT, 88),
    ]
    for number, row in enumerate(rows):
        y = _TOP + number * _ROW
        parts.append(f'<line class="line" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts += _stage_bar(row, colors, (_LEFT, y, half), longest)
        parts += _distribution(samples_of(row.total), right, y, half)
    parts.append(text_at(_LEFT, height - 22, describe_machine(report), "faint"))
    return "\n".join([*parts, "</svg>\n"])


def text_at(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """A text element; `kind` is a class of `STYLE`, `anchor` start, middle or end."""
    name = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{name}>{escape(words)}</text>'


def _legend(colors: dict[str, str], x: float, y: float) -> list[str]:
    parts = []
    for name, color in colors.items():
        parts.append(f'<rect x="{x}" y="{y - 10}" width="11" height="11" rx="2" fill="{color}"/>')
        parts.append(text_at(x + 16, y, name, "faint"))
        x += 34 + 7 * len(name)
    return parts


def _stage_bar(
    row: Measurement, colors: dict[str, str], place: tuple[float, float, float], longest: float
) -> list[str]:
    x, y, width = place
    room = width - 64  # for the sum behind the longest bar
    parts = [text_at(x, y + 28, row.scenario.label)]
    total = 0.0
    left = x
    for name, samples in row.stages.items():
        part = samples.p50 / longest * room
        total += samples.p50
        parts.append(
            f'<rect x="{left:.1f}" y="{y + 40}" width="{part:.2f}" height="{_BAR}" '
            f'fill="{colors[name]}"><title>{escape(name)} {samples.p50:.2f} ms, '
            f"p95 {samples.p95:.2f} ms</title></rect>"
        )
        if part > 32:
            parts.append(
                text_at(left + part / 2, y + 55.5, f"{samples.p50:.1f}", "inside", "middle")
            )
        left += part
    parts.append(text_at(left + 8, y + 56, f"{total:.1f}"))
    return parts


def _distribution(samples: Samples, x: float, y: float, width: float) -> list[str]:
    """A histogram with marks at p50, p95 and p99."""
    values = np.asarray(samples.values)
    low, high = float(values.min()), float(values.max())
    high = max(high, low * 1.01 + 1e-3)
    counts, _ = np.histogram(values, _BINS, (low, high))
    base, tall = y + 68.0, 40.0
    step = width / _BINS
    parts = [
        f'<rect x="{x + i * step:.1f}" y="{base - tall * count / counts.max():.1f}" '
        f'width="{step - 1:.1f}" height="{tall * count / counts.max():.1f}" fill="var(--shape)"/>'
        for i, count in enumerate(counts)
        if count
    ]
    parts.append(f'<line class="line" x1="{x}" x2="{x + width}" y1="{base}" y2="{base}"/>')
    label_end = -1e9
    for name in ("p50", "p95", "p99"):
        value = getattr(samples, name)
        at = x + (value - low) / (high - low) * width
        words = f"{name} {value:.1f}"
        start = min(max(at - 3.6 * len(words), x, label_end + 6), x + width - 7 * len(words))
        label_end = start + 7 * len(words)
        parts.append(
            f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{base - tall}" y2="{base + 4}"/>'
        )
        parts.append(text_at(start, y + 22, words, "faint"))
    parts.append(text_at(x, y + 84, f"{low:.1f}", "faint"))
    parts.append(text_at(x + width, y + 84, f"{high:.1f} ms", "faint", "end"))
    return parts
