"""Label Studio tasks with predictions for `TimelineLabels` on a `Video`.

The project's labelling interface is to have the names and the frame rate that are written here:

    <View>
      <TimelineLabels name="actions" toName="video"> <Label value="…"/> … </TimelineLabels>
      <Video name="video" value="$video" frameRate="$fps"/>
    </View>
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from claver.json_text import to_json
from claver.timeline.segments import Segment
from claver.timeline.track import Entry, Track


def label_studio_text(entries: Sequence[Entry]) -> str:
    """A task for each video; videos without a time line are left out."""
    return to_json([_task(entry) for entry in entries if isinstance(entry, Track)], indent=1, allow_nan=False)


def _task(track: Track) -> dict[str, Any]:
    rate = round(track.rate, 6)
    result = [_region(number, segment, rate) for number, segment in enumerate(track.segments)]
    scores = [segment.score for segment in track.segments]
    prediction: dict[str, Any] = {"model_version": "claver", "result": result}
    prediction |= {"score": round(sum(scores) / len(scores), 6)} if scores else {}
    return {"data": {"video": track.source, "fps": rate}, "predictions": [prediction]}


def _region(number: int, segment: Segment, rate: float) -> dict[str, Any]:
    """Label Studio counts frames from 1, at a steady rate, and both ends of a range belong to it."""
    first = int(segment.start * rate) + 1
    span = {"start": first, "end": max(round(segment.stop * rate), first)}
    value = {"ranges": [span], "timelinelabels": [segment.action]}
    names = {"id": f"claver{number}", "from_name": "actions", "to_name": "video", "type": "timelinelabels"}
    return {**names, "score": round(segment.score, 6), "value": value}
