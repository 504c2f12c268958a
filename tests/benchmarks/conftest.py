"""Put benchmarks/ on the import path: its scripts are not a package and import each other."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
