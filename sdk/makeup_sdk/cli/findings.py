"""Findings of `makeup doctor`, and the package versions that the SDK requires."""

import importlib.metadata
import re
from dataclasses import dataclass
from functools import cache

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*([^;]*)")
_BOUND = re.compile(r"(>=|<)\s*([\d.]+)")


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        topic: the checked part.
        state: "ok", "missing" (an optional part), "warning" (works, with a limitation) or "broken"
            (a required part).
        detail: what was found, and why that matters.
        remedy: command that repairs it; empty if there is nothing to do.
    """

    topic: str
    state: str
    detail: str
    remedy: str = ""


@cache
def requirements() -> dict[str, tuple[str, bool]]:
    """Requirements of makeup-sdk by distribution: version bounds, and whether it is mandatory.

    The first mention of a distribution counts. Empty if makeup-sdk is not installed as a package.
    """
    found: dict[str, tuple[str, bool]] = {}
    try:
        lines = importlib.metadata.requires("makeup-sdk") or []
    except importlib.metadata.PackageNotFoundError:
        return found
    for line in lines:
        match = _REQUIREMENT.match(line)
        if match and match[1] != "makeup-sdk":
            found.setdefault(match[1], (match[2].strip(), "extra" not in line))
    return found


def version_of(name: str) -> str | None:
    """Version of an installed distribution; None if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def misfit(name: str, version: str) -> str:
    """The bounds that a distribution's version violates; "" if it fits."""
    bounds, _ = requirements().get(name, ("", True))
    have = _release(version)
    for relation, bound in _BOUND.findall(bounds):
        want = _release(bound)
        if (have < want) if relation == ">=" else (have >= want):
            return bounds
    return ""


def package(name: str, extra: str) -> Finding:
    """Check an optional distribution: missing, of an unsupported version, or fine."""
    version = version_of(name)
    if version is None:
        return Finding(name, "missing", "optional", f"pip install '.[{extra}]'")
    bounds = misfit(name, version)
    if bounds:
        detail = f"{version} is installed, {bounds} is needed"
        return Finding(name, "warning", detail, f"pip install '{name}{bounds}'")
    return Finding(name, "ok", version)


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version without trailing zeros, for comparison."""
    match = re.match(r"[\d.]+", version)
    text = (match[0] if match else "0").strip(".")
    numbers = [int(part) for part in text.split(".") if part]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
