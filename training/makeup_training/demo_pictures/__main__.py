"""`python -m makeup_training.demo_pictures`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from makeup_kernels import InvalidInputError
from makeup_training.demo_pictures import make
from makeup_training.demo_pictures.average import Portraits


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m makeup_training.demo_pictures")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds train/")
    parser.add_argument("--out", type=Path, required=True, help="where the pictures go")
    options = parser.parse_args(arguments)
    try:
        files = make(Portraits(options.data), options.out)
    except InvalidInputError as error:
        parser.error(str(error))
    for path in files:
        print(f"{path.name}: {path.stat().st_size / 1024:.1f} KiB")


if __name__ == "__main__":
    main()
