"""A library without pictures, moved to another embedding model from its videos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamer.config import Config, load
from streamer.errors import StoreError
from streamer.library import Library
from streamer.models.packs import build, load_pack
from streamer.processing import FileWorker
from streamer.processing.choosing import chosen, maker
from streamer.processing.reembed import reembed


class Dying:
    """An embedder whose process is killed at the second batch."""

    def __init__(self, embedder: Any) -> None:
        self._embedder, self._left = embedder, 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._embedder, name)

    def embed(self, crops: Any) -> Any:
        if not self._left:
            raise KeyboardInterrupt
        self._left -= 1
        return self._embedder.embed(crops)


def test_vectors_of_another_model_come_from_the_video(
    shared_models: Path, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(load_pack(str(shared_models)), "cpu")
    second = build(load_pack(str(shared_models / "mbf-128.yaml")), "cpu")
    video = tmp_path / "pair.gif"
    video.write_bytes((shared_data / "videos" / "headpose_pair.gif").read_bytes())
    with Library(tmp_path / "people.db", create=True) as library:
        library.store.keep_pictures = False
        FileWorker(library, first, load(), inline=True).one(video)
        library.refresh()
        library.name(1, "Ann")
        seen = {p.id: (p.name, p.tracks) for p in library.people()}
        faces = library.store.count_vectors()
        assert (len(seen), faces) == (2, len(library.store.without_crop(second.embedder.model)))

        content = video.read_bytes()
        video.write_bytes(content[:-1])
        with pytest.raises(StoreError, match="is gone or has changed"):
            reembed(library, second, maker(chosen(library.store, Config()), second.embedder))
        video.write_bytes(content)
        monkeypatch.setattr("streamer.processing.reembed.BATCH", 3)
        with pytest.raises(KeyboardInterrupt):
            reembed(
                library,
                replace(second, embedder=Dying(second.embedder)),
                maker(chosen(library.store, Config()), second.embedder),
            )
        assert library.store.model() == (first.embedder.model, 512, "cosine")  # until it is through nothing changes
    with Library(tmp_path / "people.db") as library:
        told: list[tuple[int, int]] = []
        assert (
            reembed(
                library,
                second,
                maker(chosen(library.store, Config()), second.embedder),
                lambda d, t: told.append((d, t)),
            )
            == faces - 3
        )
        assert told[-1] == (faces, faces)
        assert library.store.model() == (second.embedder.model, 128, "cosine")
        assert {p.id: (p.name, p.tracks) for p in library.people()} == seen
        assert library.store.verify() == []
        with pytest.raises(StoreError, match="cannot be compared"):
            FileWorker(library, first, load())
