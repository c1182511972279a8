"""Pictures as sources: order, orientation, damage, sizes before decoding."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamer.errors import SourceError
from streamer.sources.images import ImageFolder, read_image
from streamer.sources.imagesize import image_size
from tests.streamer.sources.corpus import SCENE, png_header

FORMATS = [".png", ".jpg", ".webp", ".bmp", ".tiff"]


def draw(path: Path, width: int = 64, height: int = 48) -> np.ndarray:
    image = cv2.resize(SCENE.draw(0.0), (width, height))
    cv2.imwrite(str(path), image)
    return image


def with_orientation(jpeg: bytes, value: int) -> bytes:
    """A JPEG with an EXIF block that holds nothing but the orientation."""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, value, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


@pytest.mark.parametrize("ending", FORMATS)
def test_sizes_are_read_from_the_header(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{ending}"
    draw(path, 71, 43)
    assert image_size(path) == (71, 43)


def test_lossless_and_extended_webp_sizes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    cv2.imwrite(str(path), SCENE.draw(0.0)[:37, :59], [cv2.IMWRITE_WEBP_QUALITY, 101])
    assert image_size(path) == (59, 37)
    extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + (99).to_bytes(3, "little") + (49).to_bytes(3, "little")
    path.write_bytes(extended)
    assert image_size(path) == (100, 50)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0\xff\xff\xff\xff", b"BM"]
)
def test_a_broken_header_has_no_size(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    assert image_size(path) is None


def test_a_folder_gives_its_pictures_in_order_one_per_second(tmp_path: Path) -> None:
    wanted = {name: draw(tmp_path / name) for name in ("b.png", "a.bmp", "c.tif")}
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_bytes(b"x")
    source = ImageFolder(tmp_path)
    frames = list(source)
    assert [(f.index, f.time, f.width, f.height) for f in frames] == [(k, float(k), 64, 48) for k in range(3)]
    assert all(np.array_equal(f.image, wanted[n]) for f, n in zip(frames, ("a.bmp", "b.png", "c.tif"), strict=True))
    assert (source.info.frames, source.info.duration, source.stats.warnings) == (3, 3.0, [])


def test_a_bad_picture_is_counted_and_named_and_the_others_keep_their_times(tmp_path: Path) -> None:
    draw(tmp_path / "1.png")
    (tmp_path / "2.png").write_text("<html>not found</html>")
    (tmp_path / "3.jpg").write_bytes(b"")
    draw(tmp_path / "4.jpg")
    source = ImageFolder(tmp_path)
    assert [(f.index, f.time) for f in source] == [(0, 0.0), (1, 3.0)]
    assert (source.stats.read, source.stats.given, source.stats.failed) == (4, 2, 2)
    assert [("2.png" in w, "3.jpg" in w) for w in source.stats.warnings] == [(True, False), (False, True)]


def test_a_folder_of_nothing_but_bad_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_text("no")
    with pytest.raises(SourceError, match="none of its 1 pictures can be read"):
        list(ImageFolder(tmp_path))


def test_one_picture_is_a_source_of_one_frame(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg")
    assert [(f.index, f.time, f.width) for f in ImageFolder(tmp_path / "a.jpg")] == [(0, 0.0, 64)]


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = draw(tmp_path / "a.jpg")
    upright = tmp_path / "upright.jpg"
    upright.write_bytes(with_orientation((tmp_path / "a.jpg").read_bytes(), 6))  # 6: a quarter turn clockwise
    found = read_image(upright)
    assert found.shape == (64, 48, 3)
    assert np.abs(found.astype(int) - np.rot90(image, -1).astype(int)).mean() < 6


def test_a_huge_picture_is_refused_from_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(30_000, 30_000))
    with pytest.raises(SourceError, match="a picture of 30000 x 30000 is more than 64 million pixels"):
        read_image(path)


def test_a_damaged_picture_is_an_error_of_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    draw(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(SourceError, match="is a damaged picture"):
        read_image(path)
    assert capfd.readouterr().out == ""


def test_grey_and_transparent_pictures_become_three_channels(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey16.png"), np.full((4, 5), 40_000, np.uint16))
    cv2.imwrite(str(tmp_path / "alpha.png"), np.full((4, 5, 4), 200, np.uint8))
    assert [(f.image.shape, f.image.dtype) for f in ImageFolder(tmp_path)] == [((4, 5, 3), np.uint8)] * 2


def test_closing_ends_the_reading(tmp_path: Path) -> None:
    for name in "abc":
        draw(tmp_path / f"{name}.png")
    source = ImageFolder(tmp_path)
    frames = iter(source)
    next(frames)
    source.close()
    source.close()
    assert list(frames) == []


def test_a_moving_webp_is_read_in_part_and_says_so(tmp_path: Path) -> None:
    draw(tmp_path / "a.webp")
    still = (tmp_path / "a.webp").read_bytes()
    body = b"VP8X\x0a\0\0\0\x02\0\0\0" + (63).to_bytes(3, "little") + (47).to_bytes(3, "little")
    moving = b"WEBP" + body + b"ANIM\x06\0\0\0" + bytes(6)
    frame = bytes(6) + (63).to_bytes(3, "little") + (47).to_bytes(3, "little") + bytes(4) + still[12:]
    moving += b"ANMF" + len(frame).to_bytes(4, "little") + frame + b"\0" * (len(frame) % 2)
    (tmp_path / "a.webp").write_bytes(b"RIFF" + len(moving).to_bytes(4, "little") + moving)
    source = ImageFolder(tmp_path / "a.webp")
    assert len(list(source)) == 1
    assert "only the first picture of this animated WebP" in source.stats.warnings[0]
