"""Picture files keep their profile, alpha, depth, metadata and orientation."""

import io
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageCms

from makeup_kernels import BackendUnavailableError, InvalidInputError
from makeup_sdk.images import write_photo
from makeup_sdk.photos import decode_photo, encode_photo
from makeup_sdk.photos.metadata import orientation, upright_exif

BOUNDED = settings(max_examples=60, deadline=None, derandomize=True, database=None)
RGB = np.random.default_rng(1).integers(0, 256, (40, 56, 3)).astype(np.uint8)
PATCH = (slice(10, 20), slice(30, 44))


def saved(image: Pillow.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def opened(data: bytes) -> Pillow.Image:
    image = Pillow.open(io.BytesIO(data))
    image.load()
    return image


def painted(data: bytes, suffix: str, color: tuple[int, int, int] = (40, 20, 200)) -> bytes:
    """A file's patch painted in BGR, and written again."""
    photo = decode_photo(data, "x")
    result = photo.image.copy()
    result[PATCH] = color
    return encode_photo(photo.wearing(result), suffix, "x")


def wide_profile() -> bytes:
    """An RGB profile whose green and red lie far outside sRGB, made of sRGB's own tags."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    places = {}
    for k in range(struct.unpack_from(">I", profile, 128)[0]):
        tag, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * k)
        places[tag] = offset
    # Display P3, adapted to D50
    for tag, xyz in (
        (b"rXYZ", (0.5151, 0.2412, -0.0011)),
        (b"gXYZ", (0.2920, 0.6922, 0.0419)),
        (b"bXYZ", (0.1571, 0.0666, 0.7841)),
    ):
        fixed = [round(value * 65536) for value in xyz]
        struct.pack_into(">iii", profile, places[tag] + 8, *fixed)
    return bytes(profile)


P3 = wide_profile()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def p3_to_srgb(rgb: np.ndarray) -> np.ndarray:
    """Display P3 to sRGB in float64, from the published chromaticities."""
    matrix = np.array(
        [[1.2249, -0.2249, 0], [-0.0420, 1.0420, 0], [-0.0196, -0.0786, 1.0982]], np.float64
    )
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    out = np.clip(linear @ matrix.T, 0, 1)
    return 255 * np.where(out <= 0.0031308, out * 12.92, 1.055 * out ** (1 / 2.4) - 0.055)


def test_the_frame_is_in_srgb_and_the_file_in_its_own_colours() -> None:
    data = saved(Pillow.fromarray(RGB), "PNG", icc_profile=P3)
    photo = decode_photo(data, "x")
    np.testing.assert_allclose(photo.image[..., ::-1], p3_to_srgb(RGB), atol=3)
    out = opened(painted(data, ".png"))
    assert out.info["icc_profile"] == P3
    samples = np.asarray(out)
    away = np.ones((40, 56), bool)
    away[PATCH] = False
    np.testing.assert_array_equal(samples[away], RGB[away])
    red = p3_to_srgb(samples[PATCH].astype(float))
    inside = np.abs(RGB[PATCH].astype(int) - 128).max(axis=-1) < 100
    np.testing.assert_allclose(red[inside].mean(axis=0), (200, 20, 40), atol=12)


def test_an_srgb_profile_changes_nothing() -> None:
    data = saved(Pillow.fromarray(RGB), "PNG", icc_profile=SRGB)
    np.testing.assert_array_equal(decode_photo(data, "x").image[..., ::-1], RGB)
    assert opened(painted(data, ".png")).info["icc_profile"] == SRGB


@pytest.mark.parametrize("profile", [b"no profile", P3[:200], SRGB.replace(b"RGB ", b"GRAY")])
def test_a_damaged_profile_is_told(profile: bytes, caplog: pytest.LogCaptureFixture) -> None:
    data = saved(Pillow.fromarray(RGB), "PNG", icc_profile=profile)
    np.testing.assert_array_equal(decode_photo(data, "x").image[..., ::-1], RGB)
    assert "x: its ICC profile cannot be used" in caplog.text


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", ".png"), ("WEBP", ".webp"), ("TIFF", ".tif")])
def test_alpha_is_kept_where_the_format_can(kind: str, suffix: str) -> None:
    alpha = np.random.default_rng(2).integers(0, 256, RGB.shape[:2]).astype(np.uint8)
    alpha[0] = 0
    alpha[10:15, 30:44] = 255
    rgba = Pillow.fromarray(np.dstack([RGB, alpha]))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    out = np.asarray(opened(painted(saved(rgba, kind, **options), suffix)))
    np.testing.assert_array_equal(out[..., 3], alpha)
    if kind != "WEBP":  # which drops what lies under transparent places
        away = np.ones((40, 56), bool)
        away[PATCH] = False
        np.testing.assert_array_equal(out[away][:, :3], RGB[away])
    np.testing.assert_array_equal(out[10:15, 30:44, :3], np.full((5, 14, 3), (200, 20, 40)))


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_alpha_is_composed_where_the_format_cannot(suffix: str) -> None:
    """What lies hidden under transparent places must not show."""
    secret = np.full((40, 56, 3), (250, 10, 10), np.uint8)
    alpha = np.zeros((40, 56), np.uint8)
    alpha[:, 28:] = 255
    data = saved(Pillow.fromarray(np.dstack([secret, alpha])), "PNG")
    out = np.asarray(opened(painted(data, suffix)))
    assert out[:, :20].min() > 250
    assert decode_photo(data, "x").image[:, :28].min() == 255


def test_a_palette_with_a_transparent_colour() -> None:
    image = Pillow.fromarray((RGB // 64 * 64)[:8, :8]).quantize(16)
    data = saved(image, "PNG", transparency=int(np.asarray(image)[0, 0]))
    shown = decode_photo(data, "x").image
    expected = opened(data).convert("RGBA")
    white = Pillow.alpha_composite(Pillow.new("RGBA", (8, 8), "white"), expected)
    np.testing.assert_array_equal(shown[..., ::-1], np.asarray(white.convert("RGB")))
    assert (shown[0, 0] == 255).all()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_stay(suffix: str, channels: int) -> None:
    deep = np.random.default_rng(3).integers(0, 65536, (40, 56, channels)).astype(np.uint16)
    if channels == 4:
        deep[..., 3] = 65535
    data = cv2.imencode(suffix, deep)[1].tobytes()
    out = cv2.imdecode(np.frombuffer(painted(data, suffix), np.uint8), cv2.IMREAD_UNCHANGED)
    assert out.dtype == np.uint16
    out = out.reshape(40, 56, -1)
    away = np.ones((40, 56), bool)
    away[PATCH] = False
    np.testing.assert_array_equal(out[away], deep[away])
    if channels > 1:  # the patch, and the lower bits of what lies under it
        np.testing.assert_allclose(out[PATCH][..., 2] / 257, 200, atol=0.6)
        np.testing.assert_allclose(
            out[PATCH][..., 1] / 257 - 20, deep[PATCH][..., 1] / 257 % 1, atol=1
        )


def test_a_deep_file_keeps_its_metadata() -> None:
    deep = np.random.default_rng(3).integers(0, 65536, (40, 56, 3)).astype(np.uint16)
    plain = cv2.imencode(".png", deep)[1].tobytes()
    chunk = b"ICC\0\0" + zlib.compress(P3)
    kind = b"iCCP" + chunk
    chunks = struct.pack(">I", len(chunk)) + kind + struct.pack(">I", zlib.crc32(kind))
    data = plain[:33] + chunks + plain[33:]
    for suffix in (".png", ".tif"):
        made = painted(data, suffix)
        assert Pillow.open(io.BytesIO(made)).info["icc_profile"] == P3
        back = cv2.imdecode(np.frombuffer(made, np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(back[:10], deep[:10])


def test_grey_stays_grey() -> None:
    grey = np.ascontiguousarray(RGB[..., 0])
    for kind, suffix in (("PNG", ".png"), ("TIFF", ".tif"), ("JPEG", ".jpg")):
        out = opened(painted(saved(Pillow.fromarray(grey), kind), suffix))
        assert out.mode == "L"
    lossless = np.asarray(opened(painted(saved(Pillow.fromarray(grey), "PNG"), ".png")))
    np.testing.assert_allclose(lossless[PATCH], 0.299 * 200 + 0.587 * 20 + 0.114 * 40, atol=1)
    colourless = np.asarray(opened(painted(saved(Pillow.fromarray(grey), "PNG"), ".webp")))
    assert np.ptp(colourless.astype(int), axis=2).max() == 0


def test_cmyk_stays_cmyk() -> None:
    inks = np.dstack([RGB // 2, RGB[..., 0] // 3])
    data = saved(Pillow.fromarray(inks, "CMYK"), "TIFF")
    out = opened(painted(data, ".tif"))
    assert out.mode == "CMYK"
    away = np.ones((40, 56), bool)
    away[PATCH] = False
    np.testing.assert_array_equal(np.asarray(out)[away], inks[away])
    red = np.asarray(out.convert("RGB"))[PATCH].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(red, (200, 20, 40), atol=25)
    assert opened(painted(saved(Pillow.fromarray(inks, "CMYK"), "JPEG"), ".jpg")).mode == "CMYK"
    assert opened(painted(data, ".png")).mode == "RGB"


def exif_of(turn: int) -> bytes:
    exif = Pillow.Exif()
    exif[0x0112] = turn
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes()


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6" dc:title="T"/></x:xmpmeta>'


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_is_baked_once_and_metadata_kept(turn: int, kind: str) -> None:
    bands = np.zeros((40, 56, 3), np.uint8)
    bands[:20, :28], bands[:20, 28:], bands[20:, :28] = 250, 170, 90
    stored = Pillow.fromarray(bands)
    data = saved(stored, kind, exif=exif_of(turn), xmp=XMP) if kind != "PNG" else saved(
        stored, kind, exif=exif_of(turn)
    )  # fmt: skip
    from PIL import ImageOps

    tagged = Pillow.fromarray(bands)
    tagged.getexif()[0x0112] = turn
    upright = np.asarray(ImageOps.exif_transpose(tagged))
    photo = decode_photo(data, "x")
    np.testing.assert_allclose(photo.image.astype(int)[..., ::-1], upright, atol=30)
    suffix = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp"}[kind]
    again = encode_photo(photo, suffix, "x")
    np.testing.assert_allclose(
        decode_photo(again, "x").image.astype(int), photo.image, atol=30
    )  # fmt: skip
    exif = Pillow.open(io.BytesIO(again)).getexif()
    assert exif.get(0x0112, 1) == 1
    assert exif[0x010F] == "Maker"
    assert exif.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
    assert exif.get_ifd(0x8825)[1] == "N"
    if kind in ("JPEG", "WEBP"):
        assert Pillow.open(io.BytesIO(again)).info["xmp"] == XMP.replace(b'"6"', b'"1"')


@BOUNDED
@given(st.binary(max_size=120), st.sampled_from([b"", b"Exif\0\0II*\0", b"MM\0*"]))
def test_any_exif(content: bytes, start: bytes) -> None:
    """Damaged EXIF is carried as it is, or with its orientation set; never longer or shorter."""
    exif = start + content
    changed = upright_exif(exif)
    assert orientation(changed) == 1
    assert len(changed or b"") == len(exif)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("GIF", "an animation of 3 pictures; give it to a stream"),
        ("WEBP", "an animation of 3 pictures"),
        ("PNG", "an animation of 3 pictures"),
        ("TIFF", "a TIFF of 3 pages; save the page you want"),
    ],
)
def test_several_pictures_in_one_file(kind: str, message: str) -> None:
    pictures = [Pillow.fromarray(np.roll(RGB, k, axis=1)) for k in range(3)]
    data = saved(pictures[0], kind, save_all=True, append_images=pictures[1:])
    with pytest.raises(InvalidInputError, match=f"^x: {message}"):
        decode_photo(data, "x")


def test_a_cut_file_is_damaged_and_not_half_grey() -> None:
    data = saved(Pillow.fromarray(RGB), "JPEG")
    with pytest.raises(InvalidInputError, match=r"^x: not an image that can be read, or a damaged"):
        decode_photo(data[: len(data) // 2], "x")


def test_avif() -> None:
    data = saved(Pillow.fromarray(RGB), "AVIF", quality=100, subsampling="4:4:4")
    np.testing.assert_allclose(decode_photo(data, "x").image.astype(int)[..., ::-1], RGB, atol=6)
    assert opened(painted(data, ".avif")).format == "AVIF"


def test_heic() -> None:
    heif = pytest.importorskip("pillow_heif", reason="needs the extra: heif")
    buffer = io.BytesIO()
    heif.from_pillow(Pillow.fromarray(RGB)).save(buffer, quality=-1, chroma=444)
    photo = decode_photo(buffer.getvalue(), "x")
    np.testing.assert_allclose(photo.image.astype(int)[..., ::-1], RGB, atol=6)
    made = encode_photo(photo, ".heic", "x")
    assert decode_photo(made, "x").image.shape == RGB.shape


def test_jpeg_xl() -> None:
    pytest.importorskip("pillow_jxl", reason="needs the extra: jxl")
    data = saved(Pillow.fromarray(RGB), "JXL", lossless=True)
    np.testing.assert_array_equal(decode_photo(data, "x").image[..., ::-1], RGB)
    assert decode_photo(painted(data, ".jxl"), "x").image.shape == RGB.shape


@pytest.mark.parametrize(
    ("start", "module", "message"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "pillow_heif", r"HEIF .* pip install '\.\[heif\]'"),
        (b"\xff\x0a" + bytes(20), "pillow_jxl", r"JXL .* pip install '\.\[jxl\]'"),
    ],
)
def test_formats_whose_library_is_missing(
    start: bytes, module: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BackendUnavailableError, match=f"^x: {message}"):
        decode_photo(start, "x")


def test_what_an_exif_too_large_for_a_jpeg_leaves(caplog: pytest.LogCaptureFixture) -> None:
    exif = Pillow.Exif()
    exif[0x010E] = "x" * 70_000
    data = saved(Pillow.fromarray(RGB), "PNG", exif=exif.tobytes())
    assert opened(painted(data, ".jpg")).format == "JPEG"
    assert "x: the exif is too large for a JPEG and is left out" in caplog.text


def test_what_a_format_cannot_hold(tmp_path: Path) -> None:
    photo = decode_photo(saved(Pillow.new("RGB", (17_000, 2)), "PNG"), "x")
    with pytest.raises(InvalidInputError, match=r"WEBP cannot hold this picture of 17000x2 pixels"):
        write_photo(tmp_path / "x.webp", photo)
    assert list(tmp_path.iterdir()) == []
