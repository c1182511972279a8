"""Which identity was merged into which; the survivor answers for both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class Aliases:
    """A forest of merged numbers with path compression. Unknown numbers stand for themselves."""

    def __init__(self, parents: Mapping[int, int] | None = None) -> None:
        self._parent: dict[int, int] = {}
        for dropped, kept in (parents or {}).items():
            self.merge(kept, dropped)

    def resolve(self, identity: int) -> int:
        """The number that answers for `identity` today."""
        root = identity
        while root in self._parent:
            root = self._parent[root]
        while identity != root:
            self._parent[identity], identity = root, self._parent[identity]
        return root

    def merge(self, kept: int, dropped: int) -> None:
        """From now on `dropped` (and all it answers for) resolves to what `kept` resolves to."""
        a, b = self.resolve(kept), self.resolve(dropped)
        if a != b:
            self._parent[b] = a

    def items(self) -> Iterator[tuple[int, int]]:
        """(dropped, survivor) for every alias."""
        return ((d, self.resolve(d)) for d in list(self._parent))

    def __len__(self) -> int:
        return len(self._parent)
