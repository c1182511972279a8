"""Which video codecs the FFmpeg inside PyAV can read and write."""

from __future__ import annotations

from dataclasses import dataclass

VIDEO = ("h264", "hevc", "vp9", "av1")


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec by its FFmpeg name; `decoder` and `encoder` are what would be used, empty where there is none."""

    name: str
    decoder: str
    encoder: str


def codecs(names: tuple[str, ...] = VIDEO) -> list[Codec]:
    """A line per codec, in the order asked for. ImportError where PyAV is not installed."""
    return [Codec(name, _find(name, "r"), _find(name, "w")) for name in names]


def _find(name: str, mode: str) -> str:
    import av.codec

    try:
        return str(av.codec.Codec(name, "r" if mode == "r" else "w").name)
    except av.codec.codec.UnknownCodecError:
        return ""
