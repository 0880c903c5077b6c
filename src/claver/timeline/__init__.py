"""Time lines: which actions happen when in a video of any length, and files of them that other programs read."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claver.timeline.segments import Segment
    from claver.timeline.timeline import Timeline
    from claver.timeline.track import Track

_HOME = {"Segment": "segments", "Timeline": "timeline", "Track": "track"}

__all__ = ["Segment", "Timeline", "Track"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"claver.timeline.{_HOME[name]}"), name)
    raise AttributeError(f"module 'claver.timeline' has no attribute {name!r}")
