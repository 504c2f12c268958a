"""Write LICENSES.md: the licences of all dependencies that `pyproject.toml` names, and of weights.

    python docs/tools/licences.py           write it
    python docs/tools/licences.py --check   exit with status 1 if it is not what would be written

Names come from `pyproject.toml`, facts on weights and pictures from the files that are
shipped with them. Licences of dependencies are kept here, because packages state them in a dozen
ways; a dependency that is not in the table ends the script.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "LICENSES.md"
SDK = ROOT / "sdk" / "makeup_sdk"

LICENCES = {
    "av": "BSD-3-Clause; wheels bundle FFmpeg, LGPL-3.0-or-later",
    "axe-playwright-python": "MIT; bundles axe-core, MPL-2.0",
    "build": "MIT",
    "clang-format": "Apache-2.0 WITH LLVM-exception",
    "cmake": "Apache-2.0 (the packaging), BSD-3-Clause (CMake)",
    "codespell": "GPL-2.0-only",
    "fastapi": "MIT",
    "fsspec": "BSD-3-Clause",
    "httpx2": "BSD-3-Clause",
    "hypothesis": "MPL-2.0",
    "import-linter": "BSD-2-Clause",
    "kornia": "Apache-2.0",
    "matplotlib": "Matplotlib licence (PSF-based)",
    "mkdocs": "BSD-2-Clause",
    "mkdocs-material": "MIT",
    "mkdocstrings": "ISC",
    "mypy": "MIT",
    "ncnn": "BSD-3-Clause",
    "numpy": "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0",
    "nvidia-pytriton": "Apache-2.0; the wheel bundles the server, BSD-3-Clause",
    "onnx": "Apache-2.0",
    "onnxruntime": "MIT",
    "onnxscript": "MIT",
    "opencv-python-headless": "Apache-2.0; wheels bundle FFmpeg, LGPL-2.1",
    "pillow": "MIT-CMU",
    "pillow-heif": "BSD-3-Clause; wheels bundle libheif and libde265, LGPL-3.0, and x265, GPL-2.0",
    "pillow-jxl-plugin": "GPL-3.0-or-later",
    "playwright": "Apache-2.0",
    "pnnx": "BSD-3-Clause",
    "pre-commit": "MIT",
    "pyarrow": "Apache-2.0",
    "pybind11": "BSD-3-Clause",
    "pycuda": "MIT",
    "pytest": "MIT",
    "pytest-benchmark": "BSD-2-Clause",
    "pytest-xdist": "MIT",
    "pyvirtualcam": "GPL-2.0",
    "ray": "Apache-2.0",
    "rich": "MIT",
    "ruff": "MIT",
    "safetensors": "Apache-2.0",
    "scikit-build-core": "Apache-2.0",
    "scikit-image": "BSD-3-Clause",
    "segno": "BSD-3-Clause",
    "tensorboard": "Apache-2.0",
    "tensorrt": "proprietary: NVIDIA software licence agreement",
    "tomli": "MIT",
    "torch": "BSD-3-Clause AND others",
    "triton": "MIT",
    "tritonclient": "BSD-3-Clause",
    "trustme": "MIT OR Apache-2.0",
    "typer": "MIT",
    "uvicorn": "BSD-3-Clause",
}

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_HEAD = """\
# Licences

makeup-sdk itself is licensed under Apache-2.0 (`LICENSE`). Written by
`python docs/tools/licences.py`; do not edit.

## Dependencies

What `pyproject.toml` names. "run time" comes with every install, an extra only if it is asked for,
"build" while a wheel is compiled. `pyvirtualcam` (extra `camera`), `pillow-jxl-plugin`
(extra `jxl`) and a library in the wheels of `pillow-heif` (extra `heif`) are under the GPL,
`tensorrt` (extra `gpu`) is proprietary: none is needed to run, and none is shipped.

| distribution | used for | licence |
|---|---|---|
"""


def dependencies() -> dict[str, list[str]]:
    """What each distribution is used for, in alphabetical order."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = {
        "run time": project["project"]["dependencies"],
        **project["project"]["optional-dependencies"],
        "build": project["build-system"]["requires"],
    }
    found: dict[str, list[str]] = {}
    for group, lines in groups.items():
        for line in lines:
            match = _NAME.match(line)
            assert match, line
            if match[0] != project["project"]["name"]:
                found.setdefault(match[0], []).append(group)
    return dict(sorted(found.items()))


def render() -> str:
    """The content of LICENSES.md.

    Raises:
        SystemExit: a dependency whose licence is not in the table.
    """
    lines = []
    for name, groups in dependencies().items():
        if name not in LICENCES:
            sys.exit(f"{name}: no licence in {Path(__file__).name}; look it up and add it")
        used = ", ".join(dict.fromkeys(groups))
        lines.append(f"| {name} | {used} | {LICENCES[name]} |")
    return _HEAD + "\n".join(lines) + "\n" + _weights() + _pictures()


def _weights() -> str:
    text = (
        "\n## Weights\n\nShipped in the wheel, trained by this project; facts from each bundle's "
        "manifest.\n\n| bundle | licence | trained on | labels from |\n|---|---|---|---|\n"
    )
    for path in sorted((SDK / "weights").glob("*/manifest.json")):
        weights = json.loads(path.read_text(encoding="utf-8"))["weights"]
        data = "; ".join(_source(entry) for entry in weights["training_data"]) or "nothing"
        teachers = "; ".join(weights.get("teachers", [])) or "the data itself"
        text += f"| {path.parent.name} | {weights['licence']} | {data} | {teachers} |\n"
    return text


def _source(entry: dict[str, Any]) -> str:
    return f"{entry['name']}, {entry['licence']}"


def _pictures() -> str:
    demo = json.loads((SDK / "assets" / "demo" / "demo.json").read_text(encoding="utf-8"))
    return (
        "\n## Pictures\n\n"
        f"The demo pictures are {demo['licence']}, made from {demo['portraits_from']}. "
        f"{demo['how']}\n"
    )


def main() -> None:
    """Write or check the file."""
    parser = argparse.ArgumentParser(description="Write LICENSES.md.")
    parser.add_argument("--check", action="store_true", help="compare only")
    if parser.parse_args().check:
        if not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != render():
            sys.exit(f"{TARGET.name} is out of date; run python docs/tools/licences.py")
        return
    TARGET.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
