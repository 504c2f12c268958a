"""The plot: well-formed, to scale, and readable on light and dark ground."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from makeup_sdk import InvalidInputError
from makeup_sdk.bench import Report
from makeup_sdk.bench.plot import COLORS, STYLE, plot, save_plot

SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_bars_are_to_scale(make_report: Callable[..., Report]) -> None:
    root = ElementTree.fromstring(plot(make_report([10.0, 20.0, 30.0])))
    bars = {}
    for rect in root.iter(f"{SVG}rect"):
        title = rect.find(f"{SVG}title")
        if title is not None and title.text:
            bars[title.text.split()[0]] = float(rect.get("width", ""))
    assert bars["generate"] / bars["analyze"] == pytest.approx(3, rel=1e-3)


def test_what_is_written_on_it(make_report: Callable[..., Report]) -> None:
    found = texts(plot(make_report([10.0, 20.0, 30.0])))
    for expected in ("analyze", "generate", "stream 1280x720, 1 face", "p50 20.0", "20.0"):
        assert expected in found
    assert "model mobile, A Processor, 2 of 4 cores, avx2, makeup-sdk 0.1.0" in found


def test_names_cannot_break_the_picture(make_report: Callable[..., Report]) -> None:
    report = make_report([1.0, 1.0])
    report = replace(report, settings={**report.settings, "model": "<script>&"})
    assert any("model <script>&" in text for text in texts(plot(report)))


def test_equal_samples_have_a_distribution_too(make_report: Callable[..., Report]) -> None:
    assert "nan" not in plot(make_report([5.0, 5.0, 5.0]))


def luminance(color: str) -> float:
    """Relative luminance of WCAG 2."""
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_it_can_be_read(theme: int) -> None:
    """Text 4.5:1 and shapes 3:1 against the ground, as WCAG 2 wants them."""
    colors = dict(re.findall(r"--(\w+): (#\w{6})", STYLE.split("@media")[theme]))
    assert contrast(colors["text"], colors["ground"]) > 7
    assert contrast(colors["faint"], colors["ground"]) > 4.5
    for color in (*COLORS, colors["shape"]):
        assert contrast(color, colors["ground"]) > 3


def test_other_formats_are_refused(make_report: Callable[..., Report], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"plot.png: plots are SVG files; end the name"):
        save_plot(tmp_path / "plot.png", make_report([1.0, 2.0]))
