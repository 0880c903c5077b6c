"""CVAT for video 1.1: a track for each segment, its box the whole picture, as CVAT has no labels of time alone."""

from __future__ import annotations

from pathlib import PurePath

import numpy as np

from claver.timeline.segments import Segment
from claver.timeline.track import Track
from claver.timeline.writing.xml_text import Element, add, document


def cvat_text(track: Track) -> str:
    """The document; frames are counted as a full decode shows them, also where their rate varies."""
    root = Element("annotations")
    add(root, "version", "1.1")
    _add_meta(root, track)
    for number, segment in enumerate(track.segments):
        _add_track(root, track, number, segment)
    return document(root)


def _add_meta(root: Element, track: Track) -> None:
    task = add(add(root, "meta"), "task")
    facts = {"name": PurePath(track.source).stem, "size": str(len(track.timestamps)), "mode": "interpolation"}
    facts |= {"overlap": "0", "start_frame": "0", "stop_frame": str(len(track.timestamps) - 1)}
    for name, value in facts.items():
        add(task, name, value)
    labels = add(task, "labels")
    for action in track.actions:
        _add_label(labels, action)
    size = add(task, "original_size")
    add(size, "width", str(track.size[0]))
    add(size, "height", str(track.size[1]))
    add(task, "source", PurePath(track.source).name)


def _add_label(labels: Element, action: str) -> None:
    label = add(labels, "label")
    add(label, "name", action)
    add(label, "type", "rectangle")
    attribute = add(add(label, "attributes"), "attribute")
    for name, value in {"name": "score", "mutable": "False", "input_type": "text", "default_value": ""}.items():
        add(attribute, name, value)
    add(attribute, "values", "")


def _add_track(root: Element, track: Track, number: int, segment: Segment) -> None:
    """A box from the first frame of the segment on, and where a frame follows its last, one that is outside."""
    first, end = _frames(track, segment)
    element = add(root, "track", None, {"id": number, "label": segment.action, "source": "auto"})
    _add_box(element, track, first, segment.score, outside=False)
    if end - 1 > first:
        _add_box(element, track, end - 1, segment.score, outside=False)
    if end < len(track.timestamps):
        _add_box(element, track, end, segment.score, outside=True)


def _frames(track: Track, segment: Segment) -> tuple[int, int]:
    """The first frame shown within a segment, and the one after the last; at least one frame."""
    first, end = np.searchsorted(track.timestamps, [segment.start, segment.stop])
    first = min(int(first), len(track.timestamps) - 1)
    return first, max(int(end), first + 1)


def _add_box(element: Element, track: Track, frame: int, score: float, *, outside: bool) -> None:
    width, height = track.size
    flags = {"frame": frame, "keyframe": 1, "outside": int(outside), "occluded": 0, "z_order": 0}
    corners = {"xtl": "0.00", "ytl": "0.00", "xbr": f"{width:.2f}", "ybr": f"{height:.2f}"}
    box = add(element, "box", None, {**flags, **corners})
    add(box, "attribute", f"{score:.4f}", {"name": "score"})
