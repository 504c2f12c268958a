"""Put the makeup of a reference photo on a photo.

python minimal.py                               a shipped face in a shipped look
python minimal.py photo.jpg reference.jpg out.jpg
"""

import sys
from importlib import resources

from makeup_sdk import MakeupEngine, MakeupError, read_image, write_image

DEMO = resources.files("makeup_sdk") / "assets" / "demo"
SHIPPED = (str(DEMO / "medium.jpg"), str(DEMO / "red-classic.jpg"), "out.jpg")


def main(photo: str, reference: str, out: str) -> None:
    engine = MakeupEngine(look=reference)
    result = engine.process_detailed(read_image(photo))
    for face in result.faces:
        print(face.status.value, "painted" if face.painted else "left bare", face.box.round())
    write_image(out, result.image)


if __name__ == "__main__":
    try:
        main(*(sys.argv[1:4] if len(sys.argv) >= 4 else SHIPPED))
    except MakeupError as error:
        sys.exit(f"error: {error}")
