"""The few best faces of a track: good, apart in time, and from all of its parts."""

from __future__ import annotations

from dataclasses import dataclass

from streamer.items import FaceSample


@dataclass(frozen=True, slots=True)
class _Kept:
    slot: int
    hope: float  # quality it could have had, judged before it was cut out
    sample: FaceSample


class BestFaces:
    """The best looks at one face, in bounded memory however long the track lasts.

    Time since the first look is divided into slots, each remembers its best look. When more than `2 * count` slots are
    full their length doubles, so that they always span the whole track.
    """

    def __init__(self, count: int = 5, apart: float = 0.5) -> None:
        """`count` faces are picked in the end, at least `apart` seconds from each other where the track is long
        enough for it."""
        self.count, self.apart = count, apart
        self._length = apart / 2
        self._start: float | None = None
        self._slots: dict[int, _Kept] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def wants(self, hope: float, time: float) -> bool:
        """Whether a look with this `hope` (its quality at best) would be worth cutting out.

        A slot that has one already wants another only for a tenth more hope, or when the one it has turned out blurred.
        """
        held = self._slots.get(self._slot(time))
        if held is None:
            return True
        if held.sample.quality >= hope:
            return False
        return hope > 1.1 * held.hope or held.sample.quality < 0.5 * held.hope

    def offer(self, sample: FaceSample, hope: float | None = None) -> bool:
        """Whether the look was kept. `hope` defaults to its quality."""
        if self._start is None:
            self._start = sample.time
        slot = self._slot(sample.time)
        held = self._slots.get(slot)
        if held is not None and held.sample.quality >= sample.quality:
            return False
        self._slots[slot] = _Kept(slot, sample.quality if hope is None else hope, sample)
        while len(self._slots) > 2 * self.count:
            self._widen()
        return True

    def pick(self) -> tuple[FaceSample, ...]:
        """At most `count` looks in order of time: the best one, then those that add most by quality and by distance in
        time to the chosen. Looks closer than `apart` seconds (than a `count`-th of a shorter track) are left out."""
        left = [k.sample for k in sorted(self._slots.values(), key=lambda k: k.sample.time)]
        if not left:
            return ()
        length = left[-1].time - left[0].time
        near = min(self.apart, 0.99 * length / max(1, self.count - 1))
        far = max(length / self.count, near, 1e-9)
        chosen = [max(left, key=lambda s: (s.quality, -s.time))]
        while len(chosen) < self.count:
            gaps = [min(abs(s.time - c.time) for c in chosen) for s in left]
            gains = [s.quality * min(1.0, g / far) if g >= near and g > 0 else -1.0 for s, g in zip(left, gaps)]
            best = max(range(len(left)), key=lambda i: gains[i])
            if gains[best] < 0:
                break
            chosen.append(left[best])
        return tuple(sorted(chosen, key=lambda s: s.time))

    def _slot(self, time: float) -> int:
        return 0 if self._start is None else int((time - self._start) / self._length)

    def _widen(self) -> None:
        self._length *= 2
        merged: dict[int, _Kept] = {}
        for kept in self._slots.values():
            slot = kept.slot // 2
            held = merged.get(slot)
            if held is None or kept.sample.quality > held.sample.quality:
                merged[slot] = _Kept(slot, kept.hope, kept.sample)
        self._slots = merged
