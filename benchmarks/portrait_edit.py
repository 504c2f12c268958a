"""Quality of `portrait-edit` on photos of real people: figures and sheets.

    python benchmarks/portrait_edit.py --data FACES --out benchmarks/results

- `mouth`: arrival and left of the lips (`arrival_measure.py`) after swapping in the mouth of a
  held-out reference (`measure` in `train/makeup.csv`), medians over pairs.
- `redrawn`: IoU of the redrawn part (fuller lips, higher brows, hair near a lower hairline) between
  the redrawn label and the label found in the result, medians over faces; `before`: in the photo.
- `hair`: CIELAB distance of the mean hair to that of a reference whose hair was put on, after over
  before, median over pairs; and how many pairs were refused.
- `core_milliseconds`: time on one core to swap a mouth into a 384×384 photo, with all analyses.
"""

import argparse
import csv
import json
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import cv2
import numpy as np
from arrival_measure import arrival, on_mean_face
from systems import demo_pictures

from makeup_kernels import InvalidInputError, NoFaceError, Region
from makeup_kernels.types import Image
from makeup_sdk import BundledFaceAnalyzer, PortraitEditor
from makeup_sdk.bench.machine import machine_info
from makeup_sdk.images import read_image, write_image

LIPS, BROWS, HAIR = (7, 8, 9), (2, 3), 10
TILE = 320
WEARERS = (
    "faker_cc0__female_48",
    "faker_cc0__male_64",
    "faker_cc0__male_3",
    "faker_cc0__male_98",
)
"""Held-back AI-generated portraits of the sheet of hair."""
WORN = (
    "sfhq__SFHQ_variability_hair_style_040",
    "sfhq_t2i__textual_search_2_Hair-Style-x-Sex_top_10_matches_052",
    "sfhq__SFHQ_variability_hair_color_075",
    "sfhq__SFHQ_sample_3x6_009",
)
"""Held-back AI-generated portraits whose hair it shows on them."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the faces folder")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--faces", type=int, default=8)
    parser.add_argument("--sheets", type=Path, help="folder of sheets of the real people")
    options = parser.parse_args()
    paths = sorted((options.data / "val" / "images").glob("*.jpg"))
    people = [read_image(path) for path in paths[:: max(1, len(paths) // options.faces)]]
    people = people[: options.faces]
    made_up = references(options.data)
    editor = PortraitEditor(threads=1)
    report = {
        "machine": machine_info(),
        "faces": len(people),
        "mouth": mouths(editor, people, made_up),
        "redrawn": redrawn(editor, people),
        "hair": hair(editor, people, made_up),
        "core_milliseconds": speed(editor, people, made_up[0]),
    }
    (options.out / "portrait-edit.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    worn, faces = demo_pictures()
    for part in ("mouth", "face"):
        picture = sheet(editor, faces, worn, part)
        write_image(options.out / f"portrait-edit-{part}.jpg", picture)
    write_image(options.out / "portrait-edit-hair.jpg", hair_sheet(editor, options.data))
    if options.sheets:
        options.sheets.mkdir(parents=True, exist_ok=True)
        for part in ("face", "eyes", "mouth"):
            picture = sheet(editor, people[:4], [*people[4:6], *made_up[:2]], part)
            write_image(options.sheets / f"portrait-edit-{part}.jpg", picture)


def references(data: Path) -> list[Image]:
    """Faces with makeup that were not used for training."""
    with (data / "train" / "makeup.csv").open(newline="") as file:
        names = [row["name"] for row in csv.DictReader(file) if row["use"] == "measure"]
    return [read_image(data / "train" / "images" / f"{name}.jpg") for name in names]


def mouths(editor: PortraitEditor, people: list[Image], made_up: list[Image]) -> dict[str, Any]:
    """Arrival and left of swapped lips."""
    analyzer = BundledFaceAnalyzer(threads=1)

    def face(image: Image) -> Any:
        return analyzer.analyze(image, analyzer.detect(image, 1)[0]).landmarks

    values = []
    for image in people:
        points = face(image)
        own = on_mean_face(image, points)
        for reference in made_up:
            try:
                result = editor.edit(image, {"mouth": reference})
            except NoFaceError:
                continue
            wanted = on_mean_face(reference, face(reference))
            values.append(arrival(own, wanted, on_mean_face(result, points)).regions[Region.LIPS])
    found = np.median(np.array(values), axis=0)
    return {
        "arrival": round(float(found[0]), 3),
        "left": round(float(found[1]), 3),
        "pairs": len(values),
    }


def redrawn(editor: PortraitEditor, people: list[Image]) -> dict[str, dict[str, float]]:
    """How well results follow their labels."""
    found: dict[str, list[tuple[float, float]]] = {
        "fuller_lips": [], "higher_brows": [], "lower_hairline": []
    }  # fmt: skip
    for image in people:
        label = editor.label(image)
        for name, classes, drawn in (
            ("fuller_lips", LIPS, fuller_lips(label)),
            ("higher_brows", BROWS, higher_brows(label)),
        ):
            now = editor.label(editor.edit(image, label=drawn))
            found[name].append((overlap(now, drawn, classes), overlap(label, drawn, classes)))
        drawn = lower_hairline(label)
        near = cv2.dilate((drawn != label).astype(np.uint8), np.ones((21, 21), np.uint8)) > 0
        if not near.any():
            continue
        now = editor.label(editor.edit(image, label=drawn))
        found["lower_hairline"].append(
            (overlap(now[near], drawn[near], (HAIR,)), overlap(label[near], drawn[near], (HAIR,)))
        )
    return {
        name: {"after": round(median(a for a, _ in rows), 3),
               "before": round(median(b for _, b in rows), 3)}
        for name, rows in found.items()
    }  # fmt: skip


def fuller_lips(label: Image) -> Image:
    """A label whose lips are thicker."""
    lips = np.isin(label, LIPS)
    rows = np.flatnonzero(lips.any(axis=1))
    high = max(3, int(0.2 * (rows[-1] - rows[0])))
    wide = cv2.dilate(lips.astype(np.uint8), np.ones((2 * high + 1, 3), np.uint8)) > 0
    upper = np.arange(len(label))[:, None] < (rows[0] + rows[-1]) / 2
    drawn = label.copy()
    drawn[wide & ~lips & upper], drawn[wide & ~lips & ~upper] = 7, 9
    return drawn


def higher_brows(label: Image) -> Image:
    """A label whose brows sit higher, by about their own thickness."""
    brows = np.isin(label, BROWS)
    thick = max(3, int(np.median(brows.sum(axis=0)[brows.any(axis=0)]) * 0.8))
    drawn = label.copy()
    drawn[brows] = 1
    moved = np.zeros_like(label)
    moved[:-thick] = (label * brows)[thick:]
    drawn[moved > 0] = moved[moved > 0]
    return drawn


def lower_hairline(label: Image) -> Image:
    """A label whose hair begins lower above the brows, by an eighth of the face's height."""
    rows = np.flatnonzero((label == 1).any(axis=1))
    low = max(3, int(0.125 * (rows[-1] - rows[0])))
    moved = np.zeros(label.shape, np.bool_)
    moved[low:] = (label == HAIR)[:-low]
    moved[np.flatnonzero(np.isin(label, BROWS).any(axis=1))[0] :] = False
    drawn = label.copy()
    drawn[moved & (label == 1)] = HAIR
    return drawn


def hair(editor: PortraitEditor, people: list[Image], made_up: list[Image]) -> dict[str, Any]:
    """How near the hair comes to that of references."""
    ratios, refused = [], 0
    for image in people:
        for reference in made_up[::5]:
            try:
                result = editor.edit(image, {"hair": reference})
            except InvalidInputError:
                refused += 1
                continue
            wanted, own, got = (hair_color(editor, one) for one in (reference, image, result))
            before, after = np.linalg.norm(own - wanted), np.linalg.norm(got - wanted)
            if before > 15:
                ratios.append(float(after / before))
    return {
        "left": round(median(ratios), 3) if ratios else None,
        "pairs": len(ratios),
        "refused": refused,
    }


def hair_color(editor: PortraitEditor, image: Image) -> Any:
    """Mean CIELAB colour of the hair in the face's crop."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    return lab[editor.label(image) == HAIR].mean(axis=0)


def hair_sheet(editor: PortraitEditor, data: Path) -> Image:
    """Hair of held-back AI-generated portraits on others."""
    folder = data / "train" / "images"
    faces, worn = (
        [read_image(folder / f"{name}.jpg") for name in names] for names in (WEARERS, WORN)
    )
    return sheet(editor, faces, worn, "hair")


def overlap(one: Image, other: Image, classes: tuple[int, ...]) -> float:
    """Intersection over union of some classes."""
    a, b = np.isin(one, classes), np.isin(other, classes)
    return float((a & b).sum() / max((a | b).sum(), 1))


def speed(editor: PortraitEditor, people: list[Image], reference: Image) -> float:
    """Median milliseconds of one core."""
    times = []
    for image in [people[0], *people]:
        began = process_time()
        editor.edit(image, {"mouth": reference})
        times.append((process_time() - began) * 1e3)
    return round(median(times[1:]), 1)


def sheet(editor: PortraitEditor, people: list[Image], made_up: list[Image], part: str) -> Image:
    """References down, faces across."""
    blank = np.full((TILE, TILE, 3), 255, np.uint8)
    rows = [np.hstack([blank, *(_tile(image) for image in people)])]
    for reference in made_up:
        made = [_tile(editor.edit(image, {part: reference})) for image in people]
        rows.append(np.hstack([_tile(reference), *made]))
    return np.asarray(np.vstack(rows), np.uint8)


def _tile(image: Image) -> Image:
    return np.asarray(cv2.resize(image, (TILE, TILE), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    main()
