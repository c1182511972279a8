"""Tracks of generated people as an archive of programmes holds them, for scripts/bench_library.py.

What decides the cost of a library is how many looks its people have, and how often they come: so people come with
Zipf's frequencies (exponent 0.9, nobody above 3 %), 22 tracks each on average, and one track in ten is of somebody
seen once. A person has up to three poses (two of them share a direction over all people), a scene gives all tracks of a
person in it the same offset, one track in six is blurred towards directions that all blurred faces share, one in 25 is
junk. Tracks come in programmes of scenes of shots; tracks of one shot share frames. Modelled on the stream generator
that `scripts/clusterbench` uses, which was checked against embeddings of real faces; at 10,000 tracks it gave 5 % more
looks than that one, and tracks of one person less alike. Its spectrum was changed since and not compared again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from streamer.items import F32, I64
from streamer.vectors import unit

Draw = Callable[[int], F32]  # n -> (n, d) unit vectors
PER_PERSON = 22
GENUINE = (0.902, 0.021)  # cosine of a clear track with the pose of its person: mean and spread over people


@dataclass(frozen=True)
class Cast:
    """Vectors (n, d) in order of arrival, the person, the shot and the quality (n,) of each."""

    vectors: F32
    person: I64
    shot: I64
    quality: F32


def cast(count: int, dimension: int, seed: int = 0) -> Cast:
    """`count` tracks; the same numbers give the same bytes."""
    rng = np.random.default_rng(seed)
    draw = _directions(rng, dimension)
    people = max(20, count // PER_PERSON)
    person, shot, scene, pose = _arrivals(rng, count, people)
    poses = _poses(rng, draw, int(person.max()) + 1)
    quality = rng.beta(5, 2.2, count)
    poor = rng.random(count) < 0.17
    quality[poor] = rng.uniform(0.1, 0.5, int(poor.sum()))
    junk = rng.random(count) < 0.04
    quality[junk] = rng.uniform(0.03, 0.3, int(junk.sum()))
    own = rng.normal(*GENUINE, len(poses))[person] - 0.72 * np.maximum(0, 0.55 - quality)
    own = np.where(junk, 0.15, own - 0.0425 * rng.standard_exponential(count)).clip(0.15, 0.97)
    left = 1 - own**2
    blur = np.where(junk, 0.5, left * 0.4 * (1 - quality) * (quality < 0.55))
    with_scene = np.where(junk, 0, (left - blur) * 0.3)
    smear, offsets = draw(3), draw(4096)
    out = np.empty((count, dimension), np.float32)
    for at in range(0, count, 8192):
        k = slice(at, at + 8192)
        parts = (
            (own, poses[person[k], pose[k]]),
            (np.sqrt(blur), smear[rng.integers(0, 3, len(person[k]))]),
            (np.sqrt(with_scene), offsets[(scene[k] * 31 + person[k]) % len(offsets)]),
            (np.sqrt((left - blur - with_scene).clip(0.0)), draw(len(person[k]))),
        )
        out[k] = unit(sum(weight[k, None].astype(np.float32) * part for weight, part in parts))
    return Cast(out, person, shot, quality.astype(np.float32))


def _directions(rng: np.random.Generator, dimension: int) -> Draw:
    """Draws (n, d) unit vectors; their spectrum makes strangers differ as real faces do (cosines spread by 0.08)."""
    power = (np.arange(1, dimension + 1) ** -0.26).astype(np.float32)

    def draw(n: int) -> F32:
        return unit(rng.standard_normal((n, dimension), dtype=np.float32) * power)

    return draw


def _poses(rng: np.random.Generator, draw: Draw, people: int) -> F32:
    """(people, 3, d): the frontal view, and two that lean towards a direction of their own pose."""
    groups, belongs = draw(12), rng.integers(0, 12, people)
    centre = unit(0.38 * groups[belongs] + 0.925 * draw(people))
    turned = draw(2)
    views = [unit(0.98 * centre + 0.2 * draw(people))]
    for side in turned:
        like = (1 - 0.85 * (1 - rng.beta(4.5, 1.6, people).clip(0.55, 0.97)))[:, None].astype(np.float32)
        views.append(unit(like * centre + np.sqrt(1 - like**2) * unit(0.7 * draw(people) + 0.7 * side)))
    return np.stack(views, axis=1)


def _arrivals(rng: np.random.Generator, count: int, people: int) -> tuple[I64, I64, I64, I64]:
    """(person, shot, scene, pose) of every track; people seen once are numbered behind the others."""
    often = (np.arange(1, people + 1) + 2.0) ** -0.9
    often = np.minimum(often / often.sum(), 0.03)
    cumulated = np.cumsum(rng.permutation(often / often.sum()))
    rows: list[tuple[int, int, int, int]] = []
    shot = scene = 0
    extra = people
    while len(rows) < count:
        pool = np.unique(np.searchsorted(cumulated, rng.random(rng.integers(8, 18))).clip(0, people - 1))
        for _ in range(rng.integers(6, 16)):
            scene += 1
            here = rng.choice(pool, min(len(pool), int(rng.integers(2, 6))), replace=False)
            side = rng.integers(0, 3, len(here))
            for _ in range(rng.integers(3, 13)):
                shot += 1
                for c in rng.choice(len(here), min(len(here), 1 + rng.binomial(2, 0.35)), replace=False):
                    view = side[c] if rng.random() < 0.6 else rng.integers(0, 3)
                    rows.append((int(here[c]), shot, scene, int(view)))
                if rng.random() < 0.095:
                    rows.append((extra, shot, scene, 0))
                    extra += 1
    table = np.asarray(rows[:count], np.int64)
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3]
