from pathlib import Path

import cv2
import numpy as np
import pytest

from makeup_sdk import InvalidInputError, read_image, write_image

GRADIENT = np.dstack([np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))] * 3)


def save(path: Path, image: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


def test_grey_becomes_three_channels(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(save(tmp_path / "g.png", GRADIENT[..., 0])), GRADIENT)


def test_alpha_is_composed_on_white(tmp_path: Path) -> None:
    rgba = np.dstack([GRADIENT, np.full((48, 64), 128, np.uint8)])
    expected = GRADIENT * (128 / 255) + 127
    read = read_image(save(tmp_path / "a.png", rgba))
    np.testing.assert_allclose(read, expected, atol=0.6)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    deep = GRADIENT.astype(np.uint16) * 257
    np.testing.assert_array_equal(read_image(save(tmp_path / "d.png", deep)), GRADIENT)


def test_one_pixel(tmp_path: Path) -> None:
    assert read_image(save(tmp_path / "p.png", GRADIENT[:1, :1])).shape == (1, 1, 3)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    done, jpeg = cv2.imencode(".jpg", GRADIENT)
    assert done
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"  # orientation 6
    segment = b"Exif\0\0" + tiff
    data = jpeg.tobytes()
    marker = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    path = tmp_path / "o.jpg"
    path.write_bytes(data[:2] + marker + data[2:])
    assert read_image(path).shape == (64, 48, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty (0 bytes)"),
        (b"not an image", "not an image that can be read; expected a JPEG"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "not an image that can be read"),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError) as error:
        read_image(path)
    assert message in str(error.value)
    assert "bad.png" in str(error.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"none\.jpg: no such file"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(InvalidInputError, match="this is a folder"):
        read_image(tmp_path)


def test_write_and_read(tmp_path: Path) -> None:
    write_image(tmp_path / "x.png", GRADIENT)
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), GRADIENT)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.png"]


def test_write_refuses(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"unknown image type '\.docx'"):
        write_image(tmp_path / "x.docx", GRADIENT)
    with pytest.raises(InvalidInputError, match="no such folder; create it first"):
        write_image(tmp_path / "no" / "x.png", GRADIENT)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.jpg", "none.jpg: no such file; give the path of an image"),
        ("folder", "folder: this is a folder; give the path of an image"),
        ("https://example.com/a.jpg", "a.jpg: addresses are not opened; download the picture"),
    ],
)
def test_what_is_no_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match=message):
        read_image(path)


def test_a_file_that_is_closed_to_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = save(tmp_path / "mine.png", GRADIENT)

    def closed(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(InvalidInputError, match=r"cannot be read \(Permission denied\); check who"):
        read_image(photo)
