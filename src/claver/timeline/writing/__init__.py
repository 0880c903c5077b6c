"""Time lines as files: for programs, for players, for annotation tools and for people."""

from __future__ import annotations

from claver.timeline.writing.formats import TOGETHER, TimelineFormat, text_of, timeline_format

__all__ = ["TOGETHER", "TimelineFormat", "text_of", "timeline_format"]
