"""Make the demo pictures that ship with the SDK: realistic faces of no real person.

Each bare face is an average of CC0 portraits: every portrait is warped onto the group's mean shape
(piecewise-affine over the dense face mesh), then averaged class by class (hair with hair, cloth
with cloth) in front of a plain studio backdrop. `makeup_training.cosmetics` paints the references'
makeup.

    python -m makeup_training.demo_pictures --data DIR --out DIR

`--data` is the folder with `train/` (images, masks, labels.json, landmarks478.npz). `--out`
receives the JPEG files and `demo.json`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from makeup_training.cosmetics import (
    Blush,
    BrowTint,
    Contour,
    EyeShadow,
    Foundation,
    Liner,
    Lipstick,
    Makeup,
    render,
)
from makeup_training.demo_pictures.average import Portraits, average_face

QUALITY = 86
"""JPEG quality."""


@dataclass(frozen=True)
class Picture:
    """One shipped picture: the portraits it averages and the makeup."""

    name: str
    title: str
    portraits: tuple[str, ...]
    makeup: Makeup | None = None


def _portraits(group: str, numbers: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"faker_cc0__{group}_{number}" for number in numbers)


PICTURES = (
    Picture("light", "Bare face, light skin", _portraits("female", (89, 49, 1, 88, 86, 68))),
    Picture("medium", "Bare face, medium skin", _portraits("female", (6, 72, 17, 47, 50, 92))),
    Picture("dark", "Bare face, dark skin", _portraits("female", (0, 44, 10, 67, 5, 47))),
    Picture(
        "red-classic",
        "Red classic",
        _portraits("female", (2, 56, 85, 77, 25, 19)),
        Makeup(
            lipstick=Lipstick("#b3101f", opacity=0.92, gloss=0.4, liner_color="#8a0c18"),
            shadow=EyeShadow("#d9bda4", crease_color="#a8775c", opacity=0.5, extent=0.5),
            liner=Liner(width=0.5, wing=0.7, wing_angle=30.0, lashes=0.8),
            brows=BrowTint("#3a2a22", 0.4),
            blush=Blush("#d9707a", 0.25, "lifted"),
            contour=Contour(0.25, 0.3),
            foundation=Foundation(coverage=0.6, matte=0.4),
        ),
    ),
    Picture(
        "coral-natural",
        "Coral natural",
        _portraits("female", (90, 31, 91, 84, 64, 4)),
        Makeup(
            lipstick=Lipstick("#e0614a", opacity=0.65, gloss=0.6),
            shadow=EyeShadow(
                "#e0a88a", crease_color="#c27a5c", opacity=0.5, extent=0.45, shimmer=0.5
            ),
            liner=Liner(color="#2a1a14", width=0.2, lashes=0.6),
            brows=BrowTint("#3a2a22", 0.3),
            blush=Blush("#e8735a", 0.32, "apple"),
            foundation=Foundation(coverage=0.4, matte=0.1),
        ),
    ),
    Picture(
        "teal-smoky",
        "Teal smoky",
        _portraits("female", (36, 70, 53, 98, 51, 54, 25)),
        Makeup(
            lipstick=Lipstick("#b97a68", opacity=0.7, gloss=0.2),
            shadow=EyeShadow(
                "#1f8a8a",
                crease_color="#1c4a52",
                outer_color="#22262a",
                inner_color="#d8f0e8",
                opacity=0.85,
                extent=0.7,
                shimmer=0.6,
                lower=0.8,
            ),
            liner=Liner(width=0.6, wing=0.4, lower=0.6, lashes=0.9),
            brows=BrowTint("#2a201c", 0.45),
            blush=Blush("#d88a7a", 0.3, "draped"),
            contour=Contour(0.45, 0.4),
            foundation=Foundation(coverage=0.6, matte=0.5),
        ),
    ),
    Picture(
        "berry-evening",
        "Berry evening",
        _portraits("female", (13, 97, 67, 60, 0, 95)),
        Makeup(
            lipstick=Lipstick("#7a1440", opacity=0.9, gloss=0.5, liner_color="#4a1026"),
            shadow=EyeShadow(
                "#d6a83a",
                crease_color="#7a2f6e",
                outer_color="#5c1f50",
                opacity=0.95,
                extent=0.8,
                shimmer=0.9,
                lower=0.4,
            ),
            liner=Liner(width=0.25, wing=0.6, lashes=0.8),
            brows=BrowTint("#1e1816", 0.4),
            blush=Blush("#b8324f", 0.32, "lifted"),
            contour=Contour(0.3, 0.25),
            foundation=Foundation(coverage=0.5, matte=0.2),
        ),
    ),
)


def make(portraits: Portraits, out: Path, pictures: Sequence[Picture] = PICTURES) -> list[Path]:
    """Write the pictures and their index `demo.json`; return the written files."""
    out.mkdir(parents=True, exist_ok=True)
    entries, files = [], []
    for picture in pictures:
        face = average_face(portraits, picture.portraits)
        image = face.image
        if picture.makeup:
            hand = np.random.default_rng(0)
            image = render(image, face.landmarks, picture.makeup, hand, face.parse)
        path = out / f"{picture.name}.jpg"
        settings = [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        cv2.imwrite(str(path), image, settings)
        files.append(path)
        entries.append(
            {
                "file": path.name,
                "title": picture.title,
                "role": "reference" if picture.makeup else "source",
                "portraits": list(picture.portraits),
                "makeup": asdict(picture.makeup) if picture.makeup else None,
                "landmarks68": np.round(face.landmarks, 1).tolist(),
            }
        )
    listing = {
        "licence": "CC0-1.0",
        "made_by": "python -m makeup_training.demo_pictures",
        "how": "Each face is the landmark-aligned average of the named portraits and belongs to "
        "nobody; references wear makeup painted by makeup_training.cosmetics.",
        "portraits_from": "faker-js/assets-person-portrait (AI-generated, CC0-1.0)",
        "pictures": entries,
    }
    path = out / "demo.json"
    path.write_text(json.dumps(listing, indent=1) + "\n")
    return [*files, path]
