"""Make the pictures of the documentation from the demo faces that ship with the SDK.

    python docs/tools/pictures.py

The demo faces are averages of AI-generated CC0 portraits, not real people. After a change that
alters the look of makeup, run it again, check the pictures, and commit them.
"""

import runpy
import tempfile
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from makeup_sdk import (
    BundledFaceAnalyzer,
    FaceAnalysis,
    FadeOptions,
    FrameProcessor,
    Look,
    MakeupEngine,
    Region,
    StreamOptions,
    read_image,
)

Image = NDArray[np.uint8]

IMAGES = Path(__file__).parents[1] / "images"
LOOK_SHOP = Path(__file__).parents[2] / "examples" / "look_shop" / "look_shop.py"
DEMO = resources.files("makeup_sdk") / "assets" / "demo"

_SIDE = 300
_QUALITY = 85
_FACE = (slice(130, 450), slice(96, 416))
"""Position of the face in a demo picture."""
_FILM_FRAMES, _FILM_RATE = 40, 12
_REGION_COLORS = {
    Region.LIPS: (70, 60, 220),
    Region.SKIN: (150, 190, 90),
    Region.EYES: (210, 130, 60),
    Region.BROWS: (40, 170, 230),
}
"""BGR of the overlay."""


def main() -> None:
    """Write every picture to `docs/images/`."""
    IMAGES.mkdir(exist_ok=True)
    analyzer = BundledFaceAnalyzer()
    faces = {name: _demo(name) for name in ("light", "medium", "dark")}
    references = {
        name: _demo(name)
        for name in ("red-classic", "coral-natural", "teal-smoky", "berry-evening")
    }
    looks = {name: Look.from_photo(photo, analyzer=analyzer) for name, photo in references.items()}
    engine = MakeupEngine(analyzer=analyzer)

    def worn(look: Look, strength: float | dict[Region, float] = 1, face: str = "light") -> Image:
        engine.look, engine.strength = look, strength
        return engine.process(faces[face])[_FACE]

    _save(
        "before-reference-after",
        faces["medium"][_FACE],
        references["red-classic"][_FACE],
        worn(looks["red-classic"], face="medium"),
    )
    _save("regions", *_region_pictures(analyzer, faces["medium"]))
    _save("looks", *(look.preview() for look in looks.values()))
    _save("strength", *(worn(looks["teal-smoky"], strength=s) for s in (0.0, 0.33, 0.66, 1.0)))
    red, teal = looks["red-classic"], looks["teal-smoky"]
    _save("mix", *(worn(Look.mix({red: 1 - share, teal: share})) for share in (0.0, 0.3, 0.7, 1.0)))
    _save(
        "parts",
        worn(red, strength={Region.LIPS: 1.0}),
        worn(teal, strength={Region.EYES: 1.0}),
        worn(Look.compose(lips=red, eyes=teal)),
    )
    _save(
        "colors",
        *(
            worn(Look.from_colors(lips="#b3123a", finish=finish))
            for finish in ("natural", "matte", "gloss")
        ),
    )
    _save("several-faces", _several(engine, list(faces.values()), list(looks.values())), side=420)
    _gallery(engine, faces)
    _stream(engine, faces["light"])
    with tempfile.TemporaryDirectory() as folder:
        runpy.run_path(str(LOOK_SHOP))["main"](Path(str(DEMO / "light.jpg")), Path(folder))
        _save("look-shop", read_image(Path(folder) / "sheet.jpg"), side=712)


def _demo(name: str) -> Image:
    return read_image(str(DEMO / f"{name}.jpg"))


def _gallery(engine: MakeupEngine, faces: dict[str, Image]) -> None:
    """Each bare face, and the same with a designed look, in two files of the same size."""
    for skin, look in (("light", "editorial"), ("medium", "red-classic"), ("dark", "color-pop")):
        engine.look, engine.strength = Look.shipped(look), 1.0
        _save(f"gallery-{skin}-before", faces[skin], side=480)
        _save(f"gallery-{skin}-after", engine.process(faces[skin]), side=480)


def _stream(engine: MakeupEngine, face: Image) -> None:
    """A film, bare on the left: somebody moves, the light and the look change."""
    turns = np.linspace(0, 2 * np.pi, _FILM_FRAMES, endpoint=False)
    film = [_moved(face, float(turn)) for turn in turns]
    engine.look, engine.strength = Look.shipped("smoky"), 1.0
    processor = FrameProcessor(engine, StreamOptions(fade=FadeOptions(0, 0, 0)))
    pictures = []
    for number, frame in enumerate(film):
        if number == _FILM_FRAMES // 2:
            engine.look = Look.shipped("red-classic")
        worn = processor.process(frame, number / _FILM_RATE).image
        pair = cv2.resize(np.hstack([frame, worn]), (640, 320), interpolation=cv2.INTER_AREA)
        pictures.append(Pillow.fromarray(pair[..., ::-1]))
    path = IMAGES / "stream.webp"
    pictures[0].save(
        path,
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / _FILM_RATE),
        loop=0,
        quality=60,
        method=6,
    )
    print(f"{path.name}: {len(pictures)} frames, {path.stat().st_size // 1024} KB")


def _moved(face: Image, turn: float) -> Image:
    """A portrait swayed, tilted, brought nearer and lit otherwise; `turn` in radians goes round."""
    matrix = cv2.getRotationMatrix2D((256, 300), 5 * np.sin(turn), 1.12 + 0.07 * np.cos(turn))
    matrix[:, 2] += 16 * np.sin(turn + 0.6), 8 * np.cos(2 * turn)
    moved = cv2.warpAffine(face, matrix, (512, 512), borderMode=cv2.BORDER_REFLECT)
    light = (1 + 0.22 * np.sin(2 * turn)) * np.array([1 - 0.1 * np.cos(turn), 1.0, 1.0])
    return np.clip(moved * light, 0, 255).astype(np.uint8)


def _region_pictures(analyzer: BundledFaceAnalyzer, frame: Image) -> list[Image]:
    """The aligned crop, its 68 landmarks, and its region map."""
    face = analyzer.analyze(frame, analyzer.detect(frame, 1)[0])
    large = cv2.resize(face.crop, (512, 512), interpolation=cv2.INTER_CUBIC)
    points = large.copy()
    for x, y in face.crop_landmarks * 2 + 0.5:
        cv2.circle(points, (round(x), round(y)), 4, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(points, (round(x), round(y)), 3, (60, 60, 220), -1, cv2.LINE_AA)
    return [large, points, _overlay(large, face)]


def _overlay(crop: Image, face: FaceAnalysis) -> Image:
    regions = cv2.resize(face.regions, (512, 512), interpolation=cv2.INTER_NEAREST)
    mixed = crop.astype(np.float32)
    for region, color in _REGION_COLORS.items():
        inside = regions == region
        mixed[inside] = 0.45 * mixed[inside] + 0.55 * np.array(color, np.float32)
    picture = mixed.astype(np.uint8)
    cv2.rectangle(picture, (0, 0), (128, 148), (255, 255, 255), -1)
    for row, (region, color) in enumerate(_REGION_COLORS.items()):
        top = 14 + 34 * row
        cv2.rectangle(picture, (12, top), (36, top + 24), color, -1)
        cv2.putText(
            picture,
            f"{int(region)} {region.name.lower()}",
            (46, top + 19),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.62,
            (30, 30, 30),
            2,
            cv2.LINE_AA,
        )
    return picture


def _several(engine: MakeupEngine, faces: list[Image], looks: list[Look]) -> Image:
    """One frame with three faces, each of which wears a look of its own."""
    frame = np.hstack(faces)
    options = StreamOptions(fade=FadeOptions(0, 0, 0))
    engine.look, engine.strength = None, 1.0
    processor = FrameProcessor(engine, options)
    found = processor.process(frame, 0.0).faces
    for face in found:
        engine.wear(face.track_id, looks[int(face.box[0] // faces[0].shape[1])])
    return processor.process(frame, 0.1).image


def _save(name: str, *pictures: Image, side: int = _SIDE) -> None:
    """Pictures side by side, each `side` pixels high, as one JPEG."""
    tiles = []
    for picture in pictures:
        height, width = picture.shape[:2]
        size = (round(width * side / height), side)
        tiles.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    sheet = np.hstack(tiles)
    path = IMAGES / f"{name}.jpg"
    cv2.imwrite(str(path), sheet, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    print(f"{path.name}: {sheet.shape[1]}x{sheet.shape[0]}, {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
