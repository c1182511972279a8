"""What editors open: Resolve marker EDL, Final Cut Pro 7 XML (Premiere, Resolve), FCPXML."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from streamer.errors import ConfigError
from streamer.items import Appearance
from streamer.reports.atomic import text
from streamer.reports.base import RunData, SourceEntry
from streamer.reports.escape import one_line
from streamer.reports.layout import span
from streamer.reports.markup import Element, address, child, root, save
from streamer.reports.timecode import Clock, Rate, to_frame, to_text

COLOURS = ("Blue", "Yellow", "Green", "Pink", "Cyan", "Red", "Purple", "Lemon", "Sky", "Fuchsia", "Mint", "Sand")


def clock_of(source: SourceEntry, start_timecode: str | None, default: str | None = None) -> Clock:
    """The timecode of a source. ConfigError for a start timecode that is none at its rate."""
    wanted = start_timecode or source.start_timecode or default
    clock = Clock.of(source.fps, source.start, wanted)
    if start_timecode:
        try:
            to_frame(start_timecode, clock.rate)
        except ValueError as error:
            raise ConfigError(f"start timecode: {error}.") from error
    return clock


def frames(clock: Clock, a: Appearance) -> tuple[int, int]:
    """In and out frame since the first one, out exclusive and at least one later."""
    first = clock.frame(a.start)
    return first, max(first + 1, clock.frame(a.end))


class MarkerEdl:
    """markers.edl for DaVinci Resolve: a marker of its length per appearance, a colour per person.

    Resolve timelines begin at 01:00:00:00, so that is the start where neither the option nor the file has one; as
    everywhere else in drop-frame where the rate has it.
    """

    def __init__(self, start_timecode: str | None = None) -> None:
        self.start_timecode = start_timecode

    def write(self, data: RunData, path: Path) -> None:
        source, labels = data.only_source("EDL"), data.labels()
        clock = clock_of(source, self.start_timecode, f"01:00:00{';' if Rate.near(source.fps).drop else ':'}00")
        people = sorted(labels)
        with text(path) as out:
            title = one_line(data.title)
            out.write(f"TITLE: {title}\nFCM: {'DROP FRAME' if clock.rate.drop else 'NON-DROP FRAME'}\n\n")
            for n, a in enumerate(data.shown_appearances(), 1):
                first, last = frames(clock, a)
                tc, after = (to_text(clock.first + f, clock.rate) for f in (first, first + 1))
                colour = COLOURS[people.index(a.identity) % len(COLOURS)]
                name = one_line(labels[a.identity]).replace("|", "/")
                out.write(f"{n:03d}  001      V     C        {tc} {after} {tc} {after}  \n")
                out.write(f" |C:ResolveColor{colour} |M:{name} |D:{last - first}\n\n")


class Xmeml:
    """markers.xml, Final Cut Pro 7 interchange (xmeml 5): one clip, a marker per appearance, in frames of the clip."""

    def __init__(self, start_timecode: str | None = None) -> None:
        self.start_timecode = start_timecode

    def write(self, data: RunData, path: Path) -> None:
        source, labels = data.only_source("xmeml"), data.labels()
        clock = clock_of(source, self.start_timecode)
        length = _length(data, source, clock)
        tree = root("xmeml", version="5")
        sequence = child(tree, "sequence", id="sequence-1")
        _described(sequence, data.title, length, clock)
        _timecode(sequence, clock)
        video = child(child(sequence, "media"), "video")
        clip = child(child(video, "track"), "clipitem", id="clipitem-1")
        _described(clip, source.name, length, clock)
        for tag, frame in (("in", 0), ("out", length), ("start", 0), ("end", length)):
            child(clip, tag, frame)
        file = child(clip, "file", id="file-1")
        _described(file, source.name, length, clock)
        child(file, "pathurl", address(source.path or source.name, "localhost"))
        _timecode(file, clock)
        sample = child(child(child(file, "media"), "video"), "samplecharacteristics")
        child(sample, "width", source.width)
        child(sample, "height", source.height)
        for a in data.shown_appearances():
            first, last = frames(clock, a)
            marker = child(clip, "marker")
            child(marker, "comment", f"person {a.identity}, confidence {a.score:.2f}")
            child(marker, "name", labels[a.identity])
            child(marker, "in", first)
            child(marker, "out", last)
        save(path, tree, "<!DOCTYPE xmeml>")


def _length(data: RunData, source: SourceEntry, clock: Clock) -> int:
    return max(1, source.frames or 0, clock.frame(span(source, data.appearances)[1]))


def _described(parent: Element, name: str, length: int, clock: Clock) -> None:
    child(parent, "name", name)
    child(parent, "duration", length)
    _rate(parent, clock)


def _rate(parent: Element, clock: Clock) -> None:
    rate = child(parent, "rate")
    child(rate, "timebase", clock.rate.base)
    child(rate, "ntsc", "TRUE" if clock.rate.ntsc else "FALSE")


def _timecode(parent: Element, clock: Clock) -> None:
    code = child(parent, "timecode")
    _rate(code, clock)
    child(code, "string", to_text(clock.first, clock.rate))
    child(code, "frame", clock.first)
    child(code, "displayformat", "DF" if clock.rate.drop else "NDF")


def rational(seconds: Fraction) -> str:
    """FCPXML's time: "1001/30000s", "5s"."""
    return f"{seconds.numerator}s" if seconds.denominator == 1 else f"{seconds.numerator}/{seconds.denominator}s"


class Fcpxml:
    """people.fcpxml (1.10): one asset clip with a keyword range per appearance; times are whole frames as fractions."""

    def __init__(self, start_timecode: str | None = None) -> None:
        self.start_timecode = start_timecode

    def write(self, data: RunData, path: Path) -> None:
        source, labels = data.only_source("FCPXML"), data.labels()
        clock = clock_of(source, self.start_timecode)
        frame = 1 / clock.rate.fps
        start, length = rational(clock.first * frame), rational(_length(data, source, clock) * frame)
        tree = root("fcpxml", version="1.10")
        resources = child(tree, "resources")
        child(
            resources, "format", id="r1", frameDuration=rational(frame), width=source.width, height=source.height
        )  # fmt: skip
        asset = child(
            resources, "asset", id="r2", name=source.name, start=start, duration=length, hasVideo=1, format="r1"
        )  # fmt: skip
        child(asset, "media-rep", kind="original-media", src=address(source.path or source.name))
        event = child(child(tree, "library"), "event", name=data.title)
        clip = child(
            event,
            "asset-clip",
            ref="r2",
            name=source.name,
            start=start,
            duration=length,
            format="r1",
            tcFormat="DF" if clock.rate.drop else "NDF",
        )
        for a in data.shown_appearances():
            first, last = frames(clock, a)
            child(
                clip,
                "keyword",
                start=rational((clock.first + first) * frame),
                duration=rational((last - first) * frame),
                # a comma separates keywords
                value=one_line(labels[a.identity]).replace(",", " "),
                note=f"person {a.identity}",
            )
        save(path, tree, "<!DOCTYPE fcpxml>")
