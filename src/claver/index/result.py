"""What a search finds: moments of videos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Hit:
    """A moment of a video.

    Attributes:
        path: of the video, absolute.
        start: seconds at which it begins.
        stop: seconds at which it ends.
        score: how far its best window stands out of the background, which is 0.
        best: seconds of the middle of that window.
    """

    path: str
    start: float
    stop: float
    score: float
    best: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class SearchResult:
    """The moments that fit a query best.

    Attributes:
        query: the texts, or the name of the clip.
        hits: the best first; those whose score is not above 0 do not stand out of the background.
        windows: how many were searched.
        exact: whether all of them were compared, and not those alone that an index of vectors found near.
    """

    query: tuple[str, ...]
    hits: tuple[Hit, ...]
    windows: int
    exact: bool = True

    @property
    def fits(self) -> bool:
        """Whether any moment stands out of the background."""
        return any(hit.score > 0 for hit in self.hits)

    @property
    def fitting(self) -> tuple[Hit, ...]:
        """The moments that do."""
        return tuple(hit for hit in self.hits if hit.score > 0)

    def only_fitting(self) -> SearchResult:
        """The same with the moments that do, alone."""
        return replace(self, hits=self.fitting)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __str__(self) -> str:
        lines = [f"{hit.score:7.2f} {hit.start:9.2f} {hit.stop:9.2f}  {hit.path}" for hit in self.fitting]
        return "\n".join(lines or ["no moment fits"])
