"""Published figures: medians and quantiles with three decimals of a microsecond, no samples."""

import json
from pathlib import Path

import pytest
from published import published_suite

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def test_statistics_of_known_samples() -> None:
    data = [n / 3e3 for n in range(1, 102)]
    stats = {"min": data[0], "q1": data[25], "median": data[50], "q3": data[75]}
    bench = {
        "group": "g",
        "name": "test_x",
        "fullname": "a::test_x",
        "extra_info": {"ours": True},
        "stats": {**stats, "data": data, "rounds": 101, "outliers": "4;4", "ops": 1.0},
    }
    suite = {
        "machine_info": {"cpu": "A"},
        "commit_info": {"id": "1", "time": "2026", "dirty": False, "branch": "main"},
        "benchmarks": [bench],
        "datetime": "2026",
    }
    found = published_suite(suite)
    assert found["commit_info"] == {"id": "1", "time": "2026", "dirty": False}
    assert found["benchmarks"][0]["stats"] == {
        "min": 0.000333333,
        "q1": 0.008666667,
        "median": 0.017,
        "q3": 0.025333333,
        "p95": 0.032,
        "rounds": 101,
    }
    assert published_suite(found) == found


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.name)
def test_no_raw_samples(path: Path) -> None:
    text = path.read_text()
    assert '"samples"' not in text
    assert not [b for b in json.loads(text).get("benchmarks", ()) if "data" in b["stats"]]
