"""Gains with which a system leaves least, per region: `GAINS` of `ssat` and of `psgan` in training.

    python benchmarks/system_gains.py --data FACES --model ssat.bundle

Nothing that `systems.py` measures on is used: made-up photos of the training lend, faces held back
from training wear. For removal, if the model can, these faces wear designed looks that `systems.py`
does not take off. Run it on a bundle whose gains are 1.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from arrival_measure import REGIONS, arrival, mean_regions, on_mean_face
from systems import DESIGNS, Picture, pictures

from makeup_sdk import Look, MakeupEngine
from makeup_sdk.looks.shipped import SHIPPED_LOOKS
from makeup_sdk.models.facts import FACTS
from makeup_sdk.models.registry import open_model
from makeup_training.data.readers import held_back


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the faces folder")
    parser.add_argument("--model", required=True, help="a name or the path of a bundle")
    parser.add_argument("--references", type=int, default=12)
    parser.add_argument("--sources", type=int, default=6)
    options = parser.parse_args()
    folder = options.data / "train"
    with (folder / "makeup.csv").open(newline="") as file:
        uses = {row["name"]: row["use"] for row in csv.DictReader(file)}
    names = json.loads((folder / "labels.json").read_text())
    bare = [n for n in names if held_back(n) and n not in uses and "akeup" not in n]

    def some(found: list[str], count: int) -> list[Picture]:
        chosen = found[:: max(1, len(found) // count)][:count]
        return pictures([folder / "images" / f"{name}.jpg" for name in chosen])

    lent = some([name for name, use in uses.items() if use == "train"], options.references)
    sources = some(bare, options.sources)
    gains = {"transfer": transfer(options.model, lent, sources)}
    if FACTS[open_model(options.model).name].removes:
        gains["removal"] = removal(options.model, sources)
    print(json.dumps(gains, indent=2))


def transfer(model: str, references: list[Picture], sources: list[Picture]) -> dict[str, float]:
    """Of the medians of arrival a and left l over all pairs: a / (l² − 1 + 2a)."""
    found: dict[str, list[tuple[float, float]]] = {region.name.lower(): [] for region in REGIONS}
    engine = MakeupEngine(model=model, max_faces=1)
    for reference in references:
        engine.look = Look.from_photo(reference.image, model=engine.model)
        lent = on_mean_face(reference.image, reference.face.landmarks)
        for source in sources:
            own, result = (
                on_mean_face(image, source.face.landmarks)
                for image in (source.image, engine.process(source.image))
            )
            for region, value in arrival(own, lent, result).regions.items():
                found[region.name.lower()].append(value)
    medians = {name: np.median(np.array(values), axis=0) for name, values in found.items()}
    return {n: round(float(a / (left**2 - 1 + 2 * a)), 2) for n, (a, left) in medians.items()}


def removal(model: str, sources: list[Picture]) -> dict[str, float]:
    """Median over faces and looks of got·wanted / got², in colours on the mean face."""
    painter = MakeupEngine(model="products", max_faces=1)
    remover = MakeupEngine(model=model, look=Look.bare(), max_faces=1)
    gains: dict[str, list[float]] = {region.name.lower(): [] for region in REGIONS}
    for name in (name for name in SHIPPED_LOOKS if name not in DESIGNS):
        painter.look = Look.shipped(name)
        for source in sources:
            worn = painter.process(source.image)
            maps = [
                on_mean_face(image, source.face.landmarks)
                for image in (source.image, worn, remover.process(worn))
            ]
            for region in REGIONS:
                here = mean_regions() == region
                own, before, after = (m[here] for m in maps)
                wanted, got = own - before, after - before
                gains[region.name.lower()].append(float((got * wanted).sum() / (got**2).sum()))
    return {region: round(float(np.median(values)), 2) for region, values in gains.items()}


if __name__ == "__main__":
    main()
