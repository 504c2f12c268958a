"""One portrait in many lip shades: a picture per shade, a contact sheet, and a page.

python look_shop.py                         a shipped face, to shades/
python look_shop.py portrait.jpg out/
"""

import html
import sys
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

from makeup_sdk import Look, MakeupEngine, NoFaceError, read_image, write_image

SHADES = {
    "Rosewood": ("#8e3b46", "matte"),
    "Classic red": ("#b3101f", "natural"),
    "Berry": ("#7a1f4b", "natural"),
    "Coral": ("#e0614a", "gloss"),
    "Nude": ("#b9776a", "matte"),
    "Fuchsia": ("#c2186b", "gloss"),
    "Brick": ("#9c3d2a", "matte"),
    "Plum": ("#5b2145", "natural"),
}
"""Name: colour as on the label, and finish."""

CARD = """<figure><img src="{file}" alt="{name}">
<figcaption><b style="background:{color}"></b> {name}, {finish}</figcaption></figure>"""
PAGE = """<!doctype html><meta charset="utf-8"><title>Lip shades</title><style>
body {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 1rem;
font-family: sans-serif }} figure {{ margin: 0 }} img {{ width: 100% }}
b {{ display: inline-block; width: 1em; height: 1em; border-radius: 50% }}</style>
{cards}
"""


def main(portrait: Path, out: Path, columns: int = 4) -> None:
    out.mkdir(parents=True, exist_ok=True)
    frame = read_image(portrait)
    engine = MakeupEngine()
    tiles, cards = [], []
    for name, (color, finish) in SHADES.items():
        engine.look = Look.from_colors(lips=color, finish=finish, title=name)
        result = engine.process_detailed(frame)
        if not any(face.painted for face in result.faces):
            raise NoFaceError(f"{portrait}: no face that can be made up; use a frontal portrait")
        file = f"{name.lower().replace(' ', '-')}.jpg"
        write_image(out / file, result.image)
        cards.append(CARD.format(file=file, name=html.escape(name), color=color, finish=finish))
        tiles.append(labelled(result.image, name, color))
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    write_image(out / "sheet.jpg", np.vstack(rows))
    (out / "index.html").write_text(PAGE.format(cards="\n".join(cards)), encoding="utf-8")


def labelled(image: np.ndarray, name: str, color: str, side: int = 320) -> np.ndarray:
    """A square tile with the shade's name and colour below the picture."""
    height, width = image.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    square = cv2.resize(image[top : top + edge, left : left + edge], (side, side))
    label = np.full((36, side, 3), 255, np.uint8)
    blue, green, red = (int(color[i : i + 2], 16) for i in (5, 3, 1))
    cv2.circle(label, (20, 18), 10, (blue, green, red), -1, cv2.LINE_AA)
    cv2.putText(label, name, (40, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 40, 40), 1, cv2.LINE_AA)
    return np.vstack([square, label])


if __name__ == "__main__":
    shipped = str(resources.files("makeup_sdk") / "assets" / "demo" / "light.jpg")
    main(*map(Path, sys.argv[1:3] if len(sys.argv) >= 3 else (shipped, "shades")))
