"""A run's log: `log.jsonl`, TensorBoard events, sheets and curves."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
from torch.utils.tensorboard import SummaryWriter

from makeup_kernels.files import write_atomically
from makeup_training.trainer.metrics import Sample
from makeup_training.trainer.pictures import curves, save_sheet, sheet

LOG = "log.jsonl"


class RunLog:
    """The log of one run; a context manager.

    Lines of steps after `step` come from a run that was killed after its last checkpoint. They are
    dropped, because those steps run again.

    Args:
        folder: folder of the run.
        step: number of steps done.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.folder = folder
        kept = [line for line in read_log(folder) if line["step"] <= step and step]
        path = folder / LOG
        write_atomically(path, "".join(json.dumps(line) + "\n" for line in kept).encode())
        self._file = path.open("a", buffering=1)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._board.close()

    def losses(self, step: int, values: Mapping[str, float]) -> None:
        """Log one training step's losses."""
        self._write({"step": step, "losses": {k: round(v, 6) for k, v in values.items()}})
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def validation(
        self, step: int, figures: Mapping[str, float], samples: Sequence[Sample]
    ) -> None:
        """Log a validation's figures, and write its sheet and the curves so far."""
        self._write({"step": step, "figures": {k: round(v, 4) for k, v in figures.items()}})
        for name, value in figures.items():
            self._board.add_scalar(f"validation/{name}", value, step)
        picture = sheet(samples)
        self._board.add_image("sheet", picture[..., ::-1].copy(), step, dataformats="HWC")
        save_sheet(samples, self.folder / "sheets" / f"step-{step:08d}.jpg")
        self.flush()
        write_curves(read_log(self.folder), self.folder)

    def flush(self) -> None:
        """Flush everything written so far to disk."""
        self._file.flush()
        self._board.flush()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, oldest first; an incomplete last line is left out."""
    path = folder / LOG
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def write_curves(lines: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """`loss.png`, the smoothed total loss of the generators, and `delta_e.png` by task and region.

    Args:
        lines: lines of the log.
        folder: folder for the pictures.
    """
    totals = [
        (line["step"], line["losses"]["generators/total"])
        for line in lines
        if "generators/total" in line.get("losses", {})
    ]
    # means over up to 200 intervals
    stretch = max(1, len(totals) // 200)
    groups = [totals[i : i + stretch] for i in range(0, len(totals), stretch)]
    smooth = [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]
    errors: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        for name, value in line.get("figures", {}).items():
            task, figure = name.split("/")
            if figure.startswith("delta_e_"):
                errors.setdefault(f"{task} {figure.removeprefix('delta_e_')}", []).append(
                    (line["step"], value)
                )
    cv2.imwrite(str(folder / "loss.png"), curves({"generators": smooth}, "training loss"))
    cv2.imwrite(str(folder / "delta_e.png"), curves(errors, "CIEDE2000 to the truth"))
