"""Search in folders of videos: an index of their windows, and the moments that fit a text or a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claver.lazy import lazy_names

if TYPE_CHECKING:
    from claver.index.building import AddProgress, AddReport
    from claver.index.index import Index, IndexInfo
    from claver.index.result import Hit, SearchResult

_HOME = {
    "AddProgress": "building",
    "AddReport": "building",
    "Hit": "result",
    "Index": "index",
    "IndexInfo": "index",
    "SearchResult": "result",
}

__all__ = ["AddProgress", "AddReport", "Hit", "Index", "IndexInfo", "SearchResult"]

__getattr__ = lazy_names(__name__, _HOME)
