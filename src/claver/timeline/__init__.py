"""Time lines: which actions happen when in a video of any length, and files of them that other programs read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claver.lazy import lazy_names

if TYPE_CHECKING:
    from claver.timeline.segments import Segment
    from claver.timeline.timeline import Timeline
    from claver.timeline.track import Track

_HOME = {"Segment": "segments", "Timeline": "timeline", "Track": "track"}

__all__ = ["Segment", "Timeline", "Track"]

__getattr__ = lazy_names(__name__, _HOME)
