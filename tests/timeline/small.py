"""Small time lines and videos for tests."""

from pathlib import Path

import numpy as np

from claver.timeline import Segment, Track

EVIL = "waves <b>\"&' --> ]]> \x1b[1m"
SEGMENTS = (
    Segment(0.0, 2.5, "bowing", 3.25),
    Segment(1.25, 4.125, EVIL, 1.5),
    Segment(3.0, 6.0, "bowing", 2.0),
)


def track(source: str | Path = "clip.mp4", **changes: object) -> Track:
    """Six seconds at ten frames a second, of which two actions happen, partly at once."""
    starts = np.arange(0.0, 5.5, 0.5)
    middles = starts + 0.5
    curves = np.stack([3 - np.abs(middles - 1.25), 2 - np.abs(middles - 3), np.zeros(len(middles))], axis=1)
    values: dict[str, object] = {
        "source": str(source),
        "actions": ("bowing", EVIL, "never"),
        "duration": 6.0,
        "size": (64, 48),
        "rate": 10.0,
        "timestamps": np.arange(60) / 10,
        "starts": starts,
        "stops": starts + 1,
        "curves": curves,
        "segments": SEGMENTS,
        "candidates": SEGMENTS,
        "threshold": 1.0,
        "thumbnails": tuple((float(t), np.full((72, 96, 3), 40 * t, dtype=np.uint8)) for t in range(6)),
    }
    return Track(**(values | changes))  # type: ignore[arg-type]
