"""Pictures as sources: a folder of them, or one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from streamer.errors import SourceError
from streamer.items import U8, ArrayPicture, Frame
from streamer.sources.base import SourceInfo, SourceStats
from streamer.sources.imagesize import image_size
from streamer.sources.inspect import guess_content, regular_file
from streamer.sources.redact import shown

ANIMATION_WITHIN = 65_536  # bytes: the chunk that announces a PNG's animation comes before its pictures
PICTURES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff"})


def read_image(path: Path | str, max_pixels: int = 64_000_000) -> U8:
    """(h, w, 3) uint8 BGR in displayed orientation (EXIF applied). SourceError where it is no picture or too large."""
    import cv2

    found = regular_file(path)
    name = shown(path)
    size = image_size(found)
    if size is None:
        content = guess_content(found) or "damaged, or of another kind"
        raise SourceError(f"{name}: is not a picture that can be read (it looks like {content}). Use PNG or JPEG.")
    if size[0] * size[1] > max_pixels:
        raise SourceError(
            f"{name}: a picture of {size[0]} x {size[1]} is more than {max_pixels / 1e6:g} million pixels. Scale it "
            "down, or raise source.max_pixels."
        )
    # by way of bytes: OpenCV cannot open every file name, and its own messages go to stderr
    try:
        image = cv2.imdecode(np.fromfile(found, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise SourceError(f"{name}: is a damaged picture. Copy it again.")
    return np.asarray(image, np.uint8)


class ImageFolder:
    """The pictures of a folder in order of their names (or one picture), each a frame of its own size.

    The n-th readable or unreadable picture is at n * `seconds`. Unreadable ones are counted as failed and named in the
    warnings. Files that are no pictures by their ending are left alone. Can be iterated once.
    """

    def __init__(self, path: str | Path, *, name: str = "", seconds: float = 1.0, max_pixels: int = 64_000_000) -> None:
        self.path = Path(path)
        self._seconds, self._max_pixels = seconds, max_pixels
        self._files = self._list()
        self._closed = False
        self.stats = SourceStats()
        sizes = [size for file in self._files[:1] if (size := image_size(file))]
        width, height = sizes[0] if sizes else (0, 0)
        self.info = SourceInfo(
            name=name or shown(self.path.resolve().name),
            uri=str(path),
            width=width,
            height=height,
            fps=1 / seconds,
            duration=len(self._files) * seconds,
            frames=len(self._files),
            codec="pictures",
        )
        self._frames = self._read()

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def close(self) -> None:
        """Ends the reading at the next picture."""
        self._closed = True

    def _list(self) -> list[Path]:
        if not self.path.is_dir():
            image_file = regular_file(self.path)
            read_image(image_file, self._max_pixels)
            return [image_file]
        files = pictures_in(self.path)
        if not files:
            raise SourceError(
                f"{shown(self.path)}: holds no pictures. Endings looked for: {' '.join(sorted(PICTURES))}."
            )
        return files

    def _read(self) -> Iterator[Frame]:
        for number, file in enumerate(self._files):
            if self._closed:
                return
            self.stats.read += 1
            try:
                image = read_image(file, self._max_pixels)
            except SourceError as error:
                self.stats.failed += 1
                self.stats.warnings.append(f"passed over {error}")
                continue
            if is_animated_webp(file):
                self.stats.warnings.append(f"{shown(file)}: only the first picture of this animated WebP is read")
            index = self.stats.given
            self.stats.given += 1
            height, width = image.shape[:2]
            yield Frame(self.info.name, index, number * self._seconds, width, height, ArrayPicture(image))
        if not self.stats.given and not self._closed:
            raise SourceError(f"{shown(self.path)}: none of its {len(self._files)} pictures can be read.")


def is_animated_png(path: Path) -> bool:
    """Whether a file is a PNG with an animation: then it is a video."""
    if path.suffix.lower() != ".png" or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(ANIMATION_WITHIN)
    return head.startswith(b"\x89PNG") and b"acTL" in head.partition(b"IDAT")[0]


def is_animated_webp(path: Path) -> bool:
    """Whether a file is a WebP with an animation, of which the decoders here read the first picture only."""
    with path.open("rb") as file:
        head = file.read(21)
    return head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


def pictures_in(folder: Path) -> list[Path]:
    """The picture files directly in a folder, sorted; hidden ones left out. SourceError if unreadable."""
    try:
        return sorted(
            p for p in folder.iterdir() if p.suffix.lower() in PICTURES and not p.name.startswith(".") and p.is_file()
        )
    except OSError as error:
        raise SourceError(f"{shown(folder)}: cannot be listed ({error.strerror}). Check its rights.") from error
