"""The kernels take no more instructions than recorded."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "instructions"))

from count import check, compiler_name, count, missing_tools, recorded


def test_kernels_take_the_recorded_instructions() -> None:
    if missing_tools():
        pytest.skip(f"needs {' and '.join(missing_tools())}: apt-get install g++ valgrind")
    compiler = compiler_name()
    record = recorded(compiler)
    if record is None:
        pytest.skip(
            f"no counts are recorded for {compiler}; record them with "
            "`python benchmarks/instructions/count.py --update`"
        )
    assert check(count(), record) == []


@pytest.mark.parametrize(
    ("counted", "complaint"),
    [
        ({"a": 1000, "b": 500}, None),
        ({"a": 1049, "b": 480}, None),
        ({"a": 1060, "b": 500}, "a: 1,060 instructions, +6.0% against 1,000 (tolerance 5%); find"),
        ({"a": 900, "b": 500}, "a: 900 instructions, -10.0% against 1,000 (tolerance 5%); record"),
        ({"b": 500}, "a: recorded, but no longer counted; record anew with --update"),
        ({"a": 1000, "b": 500, "c": 1}, "c: counted, but not recorded; record it with --update"),
    ],
)
def test_what_is_held_against_the_record(counted: dict[str, int], complaint: str | None) -> None:
    problems = check(counted, {"a": 1000, "b": 500})
    if complaint is None:
        assert problems == []
    else:
        assert len(problems) == 1
        assert problems[0].startswith(complaint)
