"""The data of a time line: curves and segments of one video, to be written in any format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from claver.timeline.segments import Segment

Floats = npt.NDArray[np.float64]
Thumbnail = tuple[float, npt.NDArray[np.uint8]]
"""Seconds, and a small RGB picture uint8 [h, w, 3]."""


@dataclass(frozen=True)
class Track:
    """Which actions happen when in one video.

    Attributes:
        source: the video, a path or a word for what it is.
        actions: the C actions that were looked for.
        duration: seconds.
        size: width and height of the video, in pixels.
        rate: frames of the video in a second, on average.
        timestamps: seconds at which each frame of the video is shown, [frames].
        starts: seconds at which the W windows begin, [W].
        stops: seconds at which they end, [W].
        curves: scores relative to the background, smoothed, [W, C]; 0 is the background.
        segments: what happens, in order of time; those of one action do not overlap.
        candidates: all segments that were found, at several levels of the curves, best first.
        threshold: the level of the curves that a segment reaches.
        fps: frames that were looked at in a second.
        damaged: what is wrong with the file, in words; empty for a sound one.
        thumbnails: small pictures along the video, in order.
    """

    source: str
    actions: tuple[str, ...]
    duration: float
    size: tuple[int, int]
    rate: float
    timestamps: Floats = field(repr=False)
    starts: Floats = field(repr=False)
    stops: Floats = field(repr=False)
    curves: Floats = field(repr=False)
    segments: tuple[Segment, ...] = field(repr=False)
    candidates: tuple[Segment, ...] = field(repr=False)
    threshold: float
    fps: float = 2.0
    damaged: str = ""
    thumbnails: tuple[Thumbnail, ...] = field(default=(), repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values: all but thumbnails and the segments that were not chosen."""
        facts = {"path": self.source, "duration": round(self.duration, 3), "width": self.size[0]}
        facts |= {"height": self.size[1], "rate": round(self.rate, 6), "fps": self.fps}
        facts |= {"threshold": round(self.threshold, 6), "damaged": self.damaged or None}
        windows = {"starts": self.starts.round(3).tolist(), "stops": self.stops.round(3).tolist()}
        curves = dict(zip(self.actions, self.curves.T.round(4).tolist(), strict=True))
        return facts | {"segments": [segment.to_dict() for segment in self.segments]} | windows | {"curves": curves}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Track:
        """What `to_dict` gave; the segments that were chosen stand for all, and frames for such at an even rate."""
        segments = tuple(Segment.from_dict(segment) for segment in values["segments"])
        curves = np.array(list(values["curves"].values()), dtype=np.float64).T
        return cls(
            source=values["path"],
            actions=tuple(values["curves"]),
            duration=values["duration"],
            size=(values["width"], values["height"]),
            rate=values["rate"],
            timestamps=np.arange(max(round(values["duration"] * values["rate"]), 1)) / values["rate"],
            starts=np.array(values["starts"]),
            stops=np.array(values["stops"]),
            curves=curves,
            segments=segments,
            candidates=segments,
            threshold=values["threshold"],
            fps=values["fps"],
            damaged=values["damaged"] or "",
        )


Entry = Track | dict[str, Any]
"""The result for a video: its time line, or `{"path", "error"}` or `{"path", "skipped"}`."""
