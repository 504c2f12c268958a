"""The audit fails on a known vulnerability, and on nothing else."""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

CLEAN = {"name": "numpy", "version": "2.0", "vulns": []}
SKIPPED = {"name": "makeup-sdk", "skip_reason": "not found on PyPI"}
BAD = {
    "name": "pillow",
    "version": "9.0",
    "vulns": [
        {"id": "PYSEC-1", "fix_versions": ["9.1", "10.0"]},
        {"id": "X-2", "fix_versions": []},
    ],
}


@pytest.fixture
def audit():
    path = Path(__file__).with_name("audit.py")
    spec = importlib.util.spec_from_file_location("audit", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("packages", "status", "text"),
    [
        ([CLEAN, SKIPPED], 0, "1 of 2 packages audited"),
        (
            [CLEAN, BAD],
            1,
            (
                "pillow 9.0: PYSEC-1, mended in 9.1, 10.0\n"
                "pillow 9.0: X-2, mended in no release yet\n"
                "2 of 2 packages audited"
            ),
        ),
        ([SKIPPED], 0, "not audited: the data base knows none of the packages; is it a mirror?"),
    ],
)
def test_reports(packages, status, text, audit, monkeypatch):
    def run(command: list[str], **_: object) -> SimpleNamespace:
        report = Path(command[command.index("--output") + 1])
        report.write_text(json.dumps({"dependencies": packages, "fixes": []}))
        return SimpleNamespace(returncode=status, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    assert audit.summarise(audit.audit("here")) == (text, status)


def test_no_network(audit, monkeypatch):
    said = SimpleNamespace(returncode=1, stderr="Traceback\nConnectionError: no route\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: said)
    text = "not audited: ConnectionError: no route"
    assert audit.summarise(audit.audit("here")) == (text, 0)


def test_no_answer(audit, monkeypatch):
    def run(command: list[str], timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    assert audit.summarise(audit.audit("here")) == ("not audited: no answer within 300 s", 0)
