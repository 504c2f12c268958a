"""Report files: round trips, and errors for invalid files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from makeup_sdk import InvalidInputError
from makeup_sdk.bench import Report, Samples, compare_reports, load_report


def test_percentiles_of_a_known_row() -> None:
    samples = Samples(tuple(float(n) for n in range(101, 0, -1)))
    assert (samples.p50, samples.p95, samples.p99) == (51, 96, 100)
    assert samples.summary() == {"p50": 51, "p95": 96, "p99": 100, "mean": 51}


def test_what_is_saved_is_loaded(make_report: Callable[..., Report], tmp_path: Path) -> None:
    report = make_report([8.0, 16.0, 12.0])
    report.save(tmp_path / "a.json")
    assert load_report(tmp_path / "a.json") == report


def test_the_file_tells_readers_what_they_need(make_report: Callable[..., Report]) -> None:
    data = json.loads(make_report([8.0, 12.0, 16.0]).to_json())
    assert data["schema"] == "makeup-bench/1"
    entry = data["results"][0]
    assert (entry["path"], entry["width"], entry["height"], entry["faces"]) == (
        "stream",
        1280,
        720,
        1,
    )
    assert entry["end_to_end"]["p50"] == 12
    assert entry["model_only"]["p50"] == 9  # 75 %
    assert entry["stages"]["analyze"]["samples"] == [2, 3, 4]
    assert data["memory"]["peak"] == 150


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a report of `makeup bench`, or damaged"),
        (b"\xff\xfe", "not a report of `makeup bench`, or damaged"),
        (b"[1, 2]", "is no object"),
        (b'{"schema": "makeup-bench/2"}', "schema 'makeup-bench/2', this release reads"),
        (b'{"schema": "makeup-bench/1"}', "not a report of `makeup bench`, or damaged"),
        (b"[" * 100_000, "not a report of `makeup bench`, or damaged"),
    ],
)
def test_other_files_are_refused(content: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"report\.json") as caught:
        load_report(path)
    assert complaint in str(caught.value)


def test_a_missing_file_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no such file; make one with `makeup bench -o"):
        load_report(tmp_path / "none.json")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_anywhere_is_refused_or_harmless(
    make_report: Callable[..., Report], tmp_path: Path, data: st.DataObject
) -> None:
    """One value of the file replaced by another kind of thing: an error of ours, or a report."""
    whole = json.loads(make_report([1.0, 2.0]).to_json())
    place: dict | list = whole
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.booleans()):
            break
        place = inner
    anything = st.sampled_from(
        [None, True, -1, 1e400, "x", [], {}, [None], {"samples": [0]}, 2**80]
    )
    place[key] = data.draw(anything)
    path = tmp_path / "damaged.json"
    path.write_text(json.dumps(whole))
    try:
        report = load_report(path)
    except InvalidInputError:
        return
    for result in report.results:
        assert result.total.p50 >= 0
    assert json.loads(report.to_json())["schema"] == "makeup-bench/1"


def test_published_reports_have_no_samples(
    make_report: Callable[..., Report], tmp_path: Path
) -> None:
    report = make_report([1.0, 2.0, 4.0, 8.00049])
    report.without_samples().save(tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    assert "samples" not in text
    total = load_report(tmp_path / "a.json").results[0].total
    assert (total.p50, total.p95, total.mean) == (3.0, 7.4, 3.75)
    with pytest.raises(InvalidInputError, match="the report holds no samples; measure again with"):
        compare_reports(load_report(tmp_path / "a.json"), report)
