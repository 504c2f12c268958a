import json
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from makeup_sdk import BundleError, Look, Region, __version__, read_image, write_image
from makeup_sdk.cli import main
from makeup_sdk.looks.shipped import SHIPPED_LOOKS
from makeup_sdk.models.registry import open_model


def demo_path(file: str) -> str:
    return str(resources.files("makeup_sdk") / "assets" / "demo" / file)


RED = demo_path("red-classic.jpg")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run `makeup ARGUMENTS` in this process; returns the exit status."""
    monkeypatch.setattr(sys, "argv", ["makeup", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "240")
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_demo_writes_a_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "demo", "-o", tmp_path / "demo.jpg") == 0
    assert read_image(tmp_path / "demo.jpg").shape == (5 * 320, 4 * 320, 3)
    assert "composite" in capsys.readouterr().out


def test_apply_one_photo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source, out = demo_path("light.jpg"), tmp_path / "out.png"
    assert run(monkeypatch, "apply", source, "--look", RED, "-o", out) == 0
    change = np.abs(read_image(out).astype(int) - read_image(source))
    assert change.max() > 30


def test_apply_region_and_strength(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = demo_path("light.jpg")
    amounts = []
    for region in ("lips=1", "lips=0.3"):
        out = tmp_path / f"{region}.png"
        assert run(monkeypatch, "apply", source, "--look", RED, "--region", region, "-o", out) == 0
        amounts.append(np.abs(read_image(out).astype(int) - read_image(source)).sum())
    assert amounts[1] < 0.6 * amounts[0]


def test_apply_folder_goes_on_after_a_bad_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    (photos / "deeper").mkdir(parents=True)
    shutil.copy(demo_path("light.jpg"), photos / "a.jpg")
    (photos / "b.jpg").write_bytes(b"")
    (photos / "c.jpg").write_bytes(b"text")
    shutil.copy(demo_path("dark.jpg"), photos / "deeper" / "d.jpg")
    (photos / "notes.txt").write_text("not a photo")
    assert run(monkeypatch, "apply", photos, "--look", RED, "-o", tmp_path / "out") == 1
    out = capsys.readouterr().out
    assert "2 of 4 photos made up" in out
    assert "b.jpg: the file is empty" in out
    assert "c.jpg: not an image" in out
    written = sorted(str(p.relative_to(tmp_path / "out")) for p in tmp_path.glob("out/**/*.*"))
    assert written == ["a.jpg", "deeper/d.jpg"]


def test_apply_keeps_what_the_file_held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A photo with a wide profile, transparency and EXIF."""
    face = Pillow.open(demo_path("light.jpg")).convert("RGBA")
    face.putalpha(Pillow.linear_gradient("L").resize(face.size).point(lambda v: min(255, 2 * v)))
    exif = Pillow.Exif()
    exif[0x010F] = "Maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    face.save(tmp_path / "in.png", exif=exif, icc_profile=profile)
    out = tmp_path / "out.png"
    assert run(monkeypatch, "apply", tmp_path / "in.png", "--look", RED, "-o", out) == 0
    made = Pillow.open(out)
    assert made.mode == "RGBA"
    assert made.info["icc_profile"] == profile
    assert made.getexif()[0x010F] == "Maker"
    before, after = np.asarray(face).astype(int), np.asarray(made).astype(int)
    np.testing.assert_array_equal(after[..., 3], before[..., 3])
    change = np.abs(after - before).max(axis=2)
    assert change.max() > 30
    assert change[:40].max() == 0


def test_apply_never_writes_over_the_look_or_the_photo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, file in (("me.jpg", "light.jpg"), ("look.jpg", "red-classic.jpg")):
        shutil.copy(demo_path(file), tmp_path / name)
    for out in ("me.jpg", "look.jpg"):
        given = (tmp_path / "me.jpg", "--look", tmp_path / "look.jpg", "-o", tmp_path / out)
        assert run(monkeypatch, "apply", *given) == 1
        assert f"{out} would be overwritten by a result" in capsys.readouterr().err
    for name, file in (("me.jpg", "light.jpg"), ("look.jpg", "red-classic.jpg")):
        assert (tmp_path / name).read_bytes() == Path(demo_path(file)).read_bytes()


def test_apply_without_a_face_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blank = tmp_path / "blank.png"
    write_image(blank, np.full((200, 200, 3), 128, np.uint8))
    out = tmp_path / "out.png"
    assert run(monkeypatch, "apply", blank, "--look", RED, "-o", out) == 1
    assert "no face found; nothing was written" in capsys.readouterr().out
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["apply", "none.jpg", "--look", "none.png", "-o", "o.png"], "none.png: no such file"),
        (["apply", "x", "--look", RED, "--region", "nose", "-o", "o"], "unknown region 'nose'"),
        (["apply", "x", "--look", RED, "--region", "lips=a", "-o", "o"], "'a' is not a number"),
        (["apply", "x", "--look", RED, "--strength", "2", "-o", "o"], "expected a number in"),
        (["apply", "x", "y", "--look", RED, "-o", "o.png"], "need a folder as --output"),
        (["apply", "x", "--look", RED, "--model", "z", "-o", "o"], "model: 'z' is unknown"),
        (["stream", "--source", "x", "--look", "style:"], "--look style: expected a name"),
        (["stream", "--source", "x", "--look", "style:rosy"], "holds makeup of kind 'style'"),
        (
            ["stream", "--source", "x", "--look", RED, "--wear", "1=style:"],
            "--look style: expected a name",
        ),
        (["stream", "--source", "x", "--look", RED, "--model", "z"], "model: 'z' is unknown"),
        (
            ["stream", "--source", "x", "--look", RED, "--backend", "slow"],
            "backend 'slow': the model 'mobile' has no networks",
        ),
        (
            ["stream", "--source", "x", "--look", RED, "--model", "mobile", "--backend", "torch"],
            "backend 'torch': the model 'mobile' has no networks that it could run; choose",
        ),
        (
            ["apply", "x.jpg", "--look", RED, "-o", "o.docx"],
            "o.docx: unknown image type '.docx'; use one of .jpg, .jpeg, .jfif, .png",
        ),
        (["apply", "x", "y", "--look", RED, "-o", "o.v2"], "to be a folder, create it first"),
        (["look", "encode", RED, "--model", "z", "-o", "x.look"], "model: 'z' is unknown"),
        (["look", "colors", "--lips", "blu", "-o", "x.look"], "lips: 'blu' is not a colour"),
        (
            ["look", "colors", "--lips", "#123", "-o", "x.txt"],
            "x.txt: expected a name that ends in .look",
        ),
        (["look", "mix", "a.look=x", "-o", "x.look"], "'x' is not a number"),
        (["look", "show", "none.look"], "no such look file"),
        (["look", "show", "smokey"], "is called 'smokey'; did you mean 'smoky'?"),
        (
            ["apply", "x.jpg", "--look", "soft"],
            "neither a file nor a designed look is called 'soft'",
        ),
    ],
)
def test_errors_are_one_clear_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_apply_to_a_folder_with_a_dot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "made-up.v2"
    folder.mkdir()
    assert run(monkeypatch, "apply", demo_path("light.jpg"), "--look", RED, "-o", folder) == 0
    assert [path.name for path in folder.iterdir()] == ["light.jpg"]


def test_results_never_overwrite_photos(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(demo_path("light.jpg"), tmp_path / "a.jpg")
    assert run(monkeypatch, "apply", tmp_path, "--look", RED, "-o", tmp_path) == 1
    assert "would be overwritten by a result" in capsys.readouterr().err


def test_look_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    red, teal, both = (tmp_path / f"{name}.look" for name in ("red", "teal", "both"))
    assert run(monkeypatch, "look", "encode", RED, "-o", red) == 0
    assert run(monkeypatch, "look", "colors", "--eyes", "#1b7f86", "-o", teal) == 0
    assert run(monkeypatch, "look", "mix", f"{red}=0.7", f"{teal}=0.3", "-o", both) == 0
    assert Look.load(teal).regions == {Region.EYES}
    assert len(Look.load(both).regions) == 4
    picture = tmp_path / "swatch.png"
    assert run(monkeypatch, "look", "show", both, "--picture", picture) == 0
    said = capsys.readouterr().out
    assert "kind     mobile, worn by mobile\nregions  lips, skin, eyes, brows\n" in said
    assert "colour   lips #" in said
    assert read_image(picture).shape == (512, 512, 3)
    out = tmp_path / "out.jpg"
    assert run(monkeypatch, "apply", demo_path("dark.jpg"), "--look", both, "-o", out) == 0


def test_looks_are_written_beside_their_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without -o; `--json` says where, `--quiet` nothing."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(RED, tmp_path / "red.jpg")
    (tmp_path / "card.json").write_text('{"format": 1, "products": [{"product": "lashes"}]}')
    for arguments, name in (
        (("encode", tmp_path / "red.jpg"), str(tmp_path / "red.look")),
        (("colors", "--lips", "crimson", "--title", "lips"), "lips.look"),
        (("products", "card.json"), "card.look"),
        (("products", "smoky"), "smoky.look"),
        (("mix", "red.look", "lips.look"), "mix.look"),
    ):
        assert run(monkeypatch, "look", *arguments, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert told["output"] == name
        assert Path(name).stat().st_size == told["bytes"]
        assert run(monkeypatch, "look", *arguments, "--quiet") == 0
        assert capsys.readouterr().out == ""
    assert run(monkeypatch, "look", "show", "lips.look", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["regions"], list(told["colors"])) == ("products", ["lips"], ["lips"])
    assert run(monkeypatch, "look", "show", "red.look", "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_designed_looks_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "look", "list", "--quiet") == 0
    names = capsys.readouterr().out.split()
    assert names == list(SHIPPED_LOOKS)
    assert run(monkeypatch, "look", "list", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [look["name"] for look in told] == names
    assert run(monkeypatch, "look", "list") == 0
    assert "soft-glam" in capsys.readouterr().out


def test_looks_of_products(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card, red, over = tmp_path / "card.json", tmp_path / "red.look", tmp_path / "over.look"
    card.write_text(
        '{"format": 1, "title": "mine", "products": '
        '[{"product": "lipstick", "color": "crimson", "finish": "gloss"}]}'
    )
    assert run(monkeypatch, "look", "products", card, "-o", red) == 0
    assert run(monkeypatch, "look", "show", red) == 0
    assert "product  lipstick color=#dc143c finish=gloss" in capsys.readouterr().out
    base = tmp_path / "smoky.look"
    assert run(monkeypatch, "look", "products", "smoky", "-o", base) == 0
    assert run(monkeypatch, "look", "products", card, "--over", base, "-o", over) == 0
    assert len(Look.load(over).makeup.products) == len(Look.load(base).makeup.products) + 1
    for look in ("smoky", card, over):
        out = tmp_path / "out.jpg"
        out.unlink(missing_ok=True)
        assert run(monkeypatch, "apply", demo_path("dark.jpg"), "--look", look, "-o", out) == 0
        assert (read_image(out) != read_image(demo_path("dark.jpg"))).any()
    card.write_text('{"format": 1, "products": [{"product": "lipstik"}]}')
    assert run(monkeypatch, "look", "products", card, "-o", red) == 1
    assert "products[0]: product: got 'lipstik'; did you mean 'lipstick'?" in (
        capsys.readouterr().err
    )
    card.write_bytes(b"\xff\xfe")
    assert run(monkeypatch, "look", "products", card, "-o", red) == 1
    assert "not UTF-8 text" in capsys.readouterr().err
    assert run(monkeypatch, "look", "products", tmp_path / "no.json", "-o", red) == 1
    assert "no such file; expected products as JSON" in capsys.readouterr().err


def test_look_file_for_a_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    models = ("mobile", "psgan")
    for model in models:
        output = tmp_path / f"{model}.look"
        assert run(monkeypatch, "look", "encode", RED, "--model", model, "-o", output) == 0
    found = {model: Look.load(tmp_path / f"{model}.look").makeup.kind for model in models}
    assert found == {model: open_model(model).kind for model in models}
    assert len(set(found.values())) == 2


def test_doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "doctor") == 0
    out = capsys.readouterr().out
    for topic in ("python", "opencv", "onnxruntime", "cpu kernels", "face models", "nvidia gpu"):
        assert topic in out


def test_doctor_reports_broken_weights(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def damaged() -> None:
        raise BundleError("face_detector: SHA-256 differs")

    monkeypatch.setattr("makeup_sdk.faces.BundledFaceAnalyzer", damaged)
    assert run(monkeypatch, "doctor") == 1
    assert "SHA-256 differs" in capsys.readouterr().out


def test_no_torch_at_run_time() -> None:
    code = "import sys, makeup_sdk, makeup_sdk.cli; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_who_makes_no_catalogue_imports_nothing_of_it() -> None:
    code = (
        "import sys, makeup_sdk.cli; makeup_sdk.MakeupEngine(); "
        "print({'fsspec', 'pyarrow', 'ray', 'tritonclient', 'makeup_sdk.catalogue'} "
        "& set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_version_and_module() -> None:
    """`python -m makeup_sdk --version` is `makeup --version`."""
    command = [sys.executable, "-m", "makeup_sdk", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"makeup-sdk {__version__}\n"


def test_apply_beside_the_photo_reports_as_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(demo_path("light.jpg"), tmp_path / "me.jpg")
    write_image(tmp_path / "wall.png", np.full((90, 90, 3), 128, np.uint8))
    for _ in range(2):  # the second run does not make up the first one's result
        assert run(monkeypatch, "apply", tmp_path, "--look", "berry", "--json") == 1
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [Path(line["photo"]).name for line in lines] == ["me.jpg", "wall.png"]
    me, wall = lines
    assert Path(me["output"]) == tmp_path / "me-makeup.jpg"
    assert (read_image(me["output"]) != read_image(tmp_path / "me.jpg")).any()
    assert [(face["status"], face["painted"]) for face in me["faces"]] == [("ok", True)]
    assert me["error"] is None
    assert wall["output"] is None
    assert "no face found" in wall["error"]


def test_apply_quiet_and_debug(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, plain, drawn = demo_path("light.jpg"), tmp_path / "plain.png", tmp_path / "drawn.png"
    assert run(monkeypatch, "apply", photo, "--look", "berry", "-o", plain, "--quiet") == 0
    assert capsys.readouterr().out == ""
    assert run(monkeypatch, "apply", photo, "--look", "berry", "-o", drawn, "--debug") == 0
    assert (read_image(plain) != read_image(drawn)).any(axis=2).mean() > 0.01


def test_look_show_of_a_designed_look_and_models_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "look", "show", "winged") == 0
    out = capsys.readouterr().out
    assert "title    Winged" in out
    assert "kind     products" in out
    assert "product  eyeliner" in out
    assert run(monkeypatch, "models", "--json") == 0
    models = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    assert models["mobile"]["milliseconds"] >= 0
    assert models["ssat"]["removes"]
    assert not models["mobile"]["removes"]


def test_a_file_that_is_closed_to_us_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors of the system end a command with the file and the reason, too."""
    Look.from_colors(lips="crimson").save(tmp_path / "mine.look")

    def closed(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", closed)
    assert run(monkeypatch, "look", "show", tmp_path / "mine.look") == 1
    told = capsys.readouterr().err
    assert told.startswith(f"error: {tmp_path / 'mine.look'}: Permission denied; change the perm")
