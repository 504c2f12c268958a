"""Small photos, cheap looks, and the report of an undisturbed run."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs the catalogue extra")
pytest.importorskip("fsspec", reason="needs the catalogue extra")

import cv2
import pyarrow as pa
from pyarrow import parquet

from makeup_sdk.catalogue.report import TIMES
from makeup_sdk.images import read_image, write_image

DEMO = Path(__file__).parents[3] / "sdk" / "makeup_sdk" / "assets" / "demo"
SHADES = "sku,product,hex\nred,lipstick,#b3123a\nplum,lipstick,#551020\n"


@pytest.fixture(scope="session")
def catalogue_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`photos/` (four pictures, one of them damaged, one without a face) and `shades.csv`."""
    place = tmp_path_factory.mktemp("inputs")
    (place / "photos" / "deep").mkdir(parents=True)
    for name in ("light", "medium"):
        small = cv2.resize(read_image(DEMO / f"{name}.jpg"), (256, 256))
        write_image(place / "photos" / f"{name}.jpg", small)
    shutil.copy(place / "photos" / "light.jpg", place / "photos" / "deep" / "light.jpg")
    (place / "photos" / "bad.jpg").write_bytes(b"\xff\xd8 no more")
    write_image(place / "photos" / "wall.png", read_image(place / "photos" / "light.jpg")[:40, :40])
    (place / "photos" / ".hidden.jpg").write_bytes(b"not looked at")
    (place / "shades.csv").write_text(SHADES)
    return place


def report_of(output: Path | str) -> pa.Table:
    """The report without its times."""
    table = parquet.read_table(f"{output}/report.parquet")
    return table.drop_columns(list(TIMES))


def pictures_of(output: Path) -> dict[str, bytes]:
    """Every file of the results by its name."""
    found = (output / "pictures").rglob("*")
    return {str(path.relative_to(output)): path.read_bytes() for path in found if path.is_file()}
