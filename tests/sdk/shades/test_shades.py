"""A shop's catalogue: reading, try-on, and matching a worn shade."""

import colorsys
import json

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from makeup_kernels import InvalidInputError, NoFaceError, Region
from makeup_sdk import Look, MakeupEngine
from makeup_sdk.cosmetics import Foundation, Lipstick
from makeup_sdk.images import read_image, write_image
from makeup_sdk.shades import Shade, match_shades, read_catalogue, sheet, try_on
from makeup_sdk.shades.catalogue import parse_catalogue
from makeup_sdk.shades.color_difference import ciede2000, lab_of

HEADER = "sku,name,product,hex,finish,opacity\n"


def lipsticks(count):
    """A catalogue's text: lipsticks all over hue, depth and finish."""
    rng = np.random.default_rng(11)
    lines = [HEADER]
    for number in range(count):
        hue = (rng.uniform(-0.12, 0.10)) % 1
        rgb = colorsys.hsv_to_rgb(hue, rng.uniform(0.35, 0.95), rng.uniform(0.3, 0.95))
        color = "#{:02x}{:02x}{:02x}".format(*(round(255 * c) for c in rgb))
        finish = ("matte", "satin", "gloss")[number % 3]
        lines.append(f"L{number:04},Shade {number},lipstick,{color},{finish},0.9\n")
    return "".join(lines)


def test_a_catalogue_of_many_rows(tmp_path):
    path = tmp_path / "catalogue.csv"
    path.write_text("\ufeff" + lipsticks(600), encoding="utf-8")
    shades = read_catalogue(path)
    assert len(shades) == 600
    assert shades[7].sku == "L0007"
    assert isinstance(shades[7].product, Lipstick)
    assert shades[7].product.finish == "satin"
    assert shades[7].product.opacity == 0.9


def test_cells_may_be_empty_and_columns_left_out():
    (shade,) = parse_catalogue("product,hex,sku\n\nFoundation , #c99a76 ,7\n,,\n")
    assert shade == Shade("7", "", Foundation("#c99a76"))
    (shade,) = parse_catalogue(HEADER + '1,"Red, deep",lipstick,crimson,,\n')
    assert shade == Shade("1", "Red, deep", Lipstick("crimson"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "shop.csv: line 1: column 'sku' is missing"),
        ("sku,produkt,hex\n", "line 1: unknown column 'produkt'; did you mean 'product'"),
        ("sku,hex\n", "line 1: column 'product' is missing"),
        (HEADER, "shop.csv: no shades"),
        (HEADER + "1,a,lipstick,#b3123a\n", "line 2: got 4 cells, expected 6"),
        (HEADER + "1,a,lipstick,red,,\n1,b,lipstick,blue,,\n", "line 3: sku '1' is there twice"),
        (HEADER + "\n,a,lipstick,red,,\n", "line 3: sku is empty"),
        (HEADER + "1,a,lipstik,red,,\n", "line 2: product: got 'lipstik'; did you mean 'lipst"),
        (HEADER + "1,a,contour,red,,\n", "line 2: product: got 'contour'"),
        (HEADER + "1,a,lipstick,rod,,\n", "line 2: Lipstick.color: 'rod' is not a colour"),
        (HEADER + "1,a,lipstick,red,wet,\n", "line 2: Lipstick.finish: got 'wet'"),
        (HEADER + "1,a,lipstick,red,,much\n", "line 2: opacity: got 'much', expected a number"),
        (HEADER + "1,a,lipstick,red,,2\n", "line 2: Lipstick.opacity: got 2.0, expected a number"),
        (HEADER + "1,a,lashes,black,,1\n", "line 2: opacity: lashes has none"),
        (HEADER + '1,"a\nb",lipstick,rod,,\n', "line 3: Lipstick.color"),
    ],
)
def test_errors_name_the_line(text, message):
    with pytest.raises(InvalidInputError) as error:
        parse_catalogue(text, "shop.csv")
    assert message in str(error.value)


def test_files_that_are_no_catalogue(tmp_path):
    with pytest.raises(InvalidInputError, match="no such catalogue"):
        read_catalogue(tmp_path / "none.csv")
    path = tmp_path / "latin.csv"
    path.write_bytes(HEADER.encode() + b"1,Ros\xe9,lipstick,red,,\n")
    with pytest.raises(InvalidInputError, match="not UTF-8 text"):
        read_catalogue(path)


def test_shades_come_one_by_one(demo, analyzer):
    photo = demo("light.jpg")
    shades = parse_catalogue(lipsticks(3))
    tried = list(try_on(iter(shades), photo, analyzer=analyzer))
    assert [entry.shade for entry in tried] == list(shades)
    lips = MakeupEngine(Look.from_products([shades[1].product]), analyzer=analyzer)
    np.testing.assert_array_equal(tried[1].image, lips.process(photo))
    picture = sheet(tried, columns=2)
    assert picture.shape[1] == 2 * sheet(tried[:1]).shape[1]
    assert (picture[-1, -1] == 255).all()


def test_try_on_says_what_is_wrong(demo, analyzer):
    shades = parse_catalogue(lipsticks(1))
    with pytest.raises(InvalidInputError, match="strength: got 2, expected"):
        next(try_on(shades, demo("light.jpg"), strength=2, analyzer=analyzer))
    with pytest.raises(NoFaceError, match="photo: no face found in 90x80 pixels"):
        next(try_on(shades, np.zeros((80, 90, 3), np.uint8), analyzer=analyzer))
    with pytest.raises(InvalidInputError, match="sheet: got no shade, expected at least one"):
        sheet([])


def test_ciede2000_is_the_published_one():
    rng = np.random.default_rng(3)
    linear = rng.uniform(0, 1, (2, 4000, 3)).astype(np.float32)
    linear[:, :50] = linear[:, :50, :1]  # grays
    labs = [lab_of(colors) for colors in linear]
    np.testing.assert_allclose(ciede2000(*labs), deltaE_ciede2000(*labs), atol=1e-6)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(labs[0], rgb2lab(srgb[0, :, ::-1]), atol=0.05)


@pytest.mark.parametrize("file", ["light.jpg", "medium.jpg", "dark.jpg"])
def test_a_worn_shade_is_among_the_nearest(demo, analyzer, file):
    shades = parse_catalogue(lipsticks(500))
    worn = [shades[n] for n in (3, 77, 211, 350, 498)]
    places, distances = [], []
    for entry in try_on(worn, demo(file), analyzer=analyzer):
        matches = match_shades(entry.image, shades, analyzer=analyzer)
        assert len(matches) == 500
        assert [m.distance for m in matches] == sorted(m.distance for m in matches)
        place = next(i for i, match in enumerate(matches) if match.shade is entry.shade)
        places.append(place)
        distances.append(matches[place].distance)
    assert np.median(places) < 25
    assert np.median(distances) < 8


def test_foundation_is_matched_to_bare_skin_with_its_doubt(demo, analyzer):
    shades = parse_catalogue(
        "sku,product,hex\n1,foundation,#f0d6c4\n2,foundation,#d9b08c\n3,foundation,#a8764f\n"
        "4,foundation,#6b4630\n5,lipstick,#b3123a\n"
    )
    found = {
        file: match_shades(demo(file), shades, "foundation", analyzer=analyzer)
        for file in ("light.jpg", "dark.jpg")
    }
    order = {file: int(matches[0].shade.sku) for file, matches in found.items()}
    assert order["light.jpg"] < order["dark.jpg"]
    for matches in found.values():
        assert len(matches) == 4
        assert max(match.uncertainty for match in matches) > 2


def test_match_says_what_is_wrong(demo, analyzer):
    shades = parse_catalogue(lipsticks(2))
    with pytest.raises(InvalidInputError, match="product: got 'lipstik'; did you mean 'lipstick'"):
        match_shades(demo("light.jpg"), shades, "lipstik", analyzer=analyzer)
    with pytest.raises(InvalidInputError, match="none of them is a foundation"):
        match_shades(demo("light.jpg"), shades, "foundation", analyzer=analyzer)


def test_covered_lips_cannot_be_matched(demo, analysis):
    face = analysis("light.jpg")
    regions = np.where(face.regions == Region.LIPS, np.uint8(0), face.regions)

    class Masked:
        def detect(self, frame, max_faces):
            return [None]

        def analyze(self, frame, start):
            return type(face)(face.landmarks, face.score, face.matrix, face.crop, regions)

    with pytest.raises(NoFaceError, match="too little of the lips is seen"):
        match_shades(demo("light.jpg"), parse_catalogue(lipsticks(2)), analyzer=Masked())


def test_the_command(monkeypatch, tmp_path, capsys, demo):
    from makeup_sdk.cli import main

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["makeup", "shades", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            return end.code or 0
        return 0

    photo, catalogue, out = (tmp_path / name for name in ("photo.png", "shop.csv", "sheet.png"))
    write_image(photo, np.array(demo("medium.jpg")))
    catalogue.write_text(lipsticks(5))
    assert run(catalogue, photo, "-o", out, "--columns", "3") == 0
    assert "(5 shades)" in capsys.readouterr().out
    assert read_image(out).shape[:2] == (2 * 262, 3 * 224)
    monkeypatch.setenv("COLUMNS", "120")
    assert run("match", photo, catalogue, "--top", "2") == 0
    printed = capsys.readouterr().out
    assert printed.count("±") == 2
    assert run("match", photo, catalogue, "--top", "2", "--quiet") == 0
    names = capsys.readouterr().out.split()
    assert run("match", photo, catalogue, "--top", "2", "--json") == 0
    assert [match["sku"] for match in json.loads(capsys.readouterr().out)] == names
    assert run(catalogue, photo, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["output"] == str(tmp_path / "photo-shades.png")
    assert len(told["shades"]) == 5
    assert read_image(told["output"]).shape[2] == 3
    for arguments, message in (
        (("match", photo), "expected `makeup shades match PHOTO CATALOGUE`"),
        (("macth", photo, catalogue), "'macth' is unknown; expected `makeup shades"),
    ):
        assert run(*arguments) == 1
        assert message in " ".join(capsys.readouterr().err.split())
