"""Check installed packages for known vulnerabilities.

    python tests/hardening/audit.py SITE_PACKAGES

Runs this interpreter's `pip-audit` on a folder of packages. Exits with status 1 if one of them has
a known vulnerability. If pip-audit is not installed or cannot reach its database, prints that and
exits with 0, so that machines without a network can run the checks.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def audit(folder: str) -> dict[str, Any] | str:
    """What pip-audit reports on a folder of packages, or why it cannot."""
    with tempfile.TemporaryDirectory() as work:
        report = Path(work) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "--path", folder, "--format", "json"]
        command += ["--output", str(report), "--progress-spinner", "off"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            return "no answer within 300 s"
        if not report.is_file():  # pip-audit writes it before it complains of vulnerabilities
            return (done.stderr.strip().splitlines() or ["no report"])[-1]
        content: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return content


def summarise(report: dict[str, Any] | str) -> tuple[str, int]:
    """The text to print, and the exit status."""
    if isinstance(report, str):
        return f"not audited: {report}", 0
    packages = report["dependencies"]
    looked_up = [package for package in packages if "vulns" in package]
    lines = [
        f"{package['name']} {package['version']}: {trouble['id']}, mended in "
        f"{', '.join(trouble['fix_versions']) or 'no release yet'}"
        for package in looked_up
        for trouble in package["vulns"]
    ]
    if packages and not looked_up:
        lines.append("not audited: the data base knows none of the packages; is it a mirror?")
    else:
        lines.append(f"{len(looked_up)} of {len(packages)} packages audited")
    return "\n".join(lines), int(any(package["vulns"] for package in looked_up))


def main() -> None:
    """Audit a folder, print what was found."""
    parser = argparse.ArgumentParser(description="Look up known vulnerabilities.")
    parser.add_argument("folder", help="site-packages of the environment to look at")
    text, status = summarise(audit(parser.parse_args().folder))
    print(text)
    sys.exit(status)


if __name__ == "__main__":
    main()
