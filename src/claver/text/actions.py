"""Actions with their texts, and the classes of the benchmarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from claver.errors import ClaverError
from claver.names import composed


@dataclass(frozen=True)
class Actions:
    """Actions with their texts, in composed letters (NFC), so that equal names are compared as equal.

    Attributes:
        names: the actions, C of them, no two alike.
        texts: for each action its texts, at least one.
    """

    names: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(map(composed, self.names)))
        object.__setattr__(self, "texts", tuple(tuple(map(composed, own)) for own in self.texts))
        if not self.names:
            raise ClaverError("the list of actions is empty; give at least one action")
        if repeated := [name for name, count in Counter(self.names).items() if count > 1]:
            raise ClaverError(f"action {repeated[0]!r} is listed more than once")
        if bare := [name for name, texts in zip(self.names, self.texts, strict=True) if not texts]:
            raise ClaverError(f"action {bare[0]!r} has no text")

    def select(self, names: Sequence[str]) -> Actions:
        """These actions, in this order; each must be there."""
        own = dict(zip(self.names, self.texts, strict=True))
        return Actions(tuple(names), tuple(own[name] for name in names))

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Actions({len(self.names)} actions, {sum(map(len, self.texts))} texts: {', '.join(self.names[:3])}, …)"
