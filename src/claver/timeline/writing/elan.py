"""ELAN annotation documents (EAF 3.0): a tier for each action, and below it one with the scores."""

from __future__ import annotations

import mimetypes
from datetime import UTC, datetime
from pathlib import Path, PurePath
from xml.etree import ElementTree

from claver.timeline.segments import Segment
from claver.timeline.track import Track
from claver.timeline.writing.text import milliseconds
from claver.timeline.writing.xml_text import Element, add, document

_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_ACTION, _SCORE = "action", "score"  # linguistic types


def elan_text(track: Track) -> str:
    """The document; actions that never happen have no tier."""
    ElementTree.register_namespace("xsi", _INSTANCE)
    facts = {"AUTHOR": "claver", "DATE": datetime.now(UTC).isoformat(timespec="seconds")}
    facts |= {"FORMAT": "3.0", "VERSION": "3.0", f"{{{_INSTANCE}}}noNamespaceSchemaLocation": _SCHEMA}
    root = Element("ANNOTATION_DOCUMENT", facts)
    _add_header(root, track)
    _add_times(root, track.segments)
    _add_tiers(root, track)
    _add_types(root)
    return document(root)


def _add_header(root: Element, track: Track) -> None:
    header = add(root, "HEADER", attributes={"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    media = {
        "MEDIA_URL": Path(track.source).absolute().as_uri(),
        "MIME_TYPE": mimetypes.guess_type(track.source)[0] or "video/unknown",
        "RELATIVE_MEDIA_URL": f"./{PurePath(track.source).name}",
    }
    add(header, "MEDIA_DESCRIPTOR", attributes=media)
    add(header, "PROPERTY", str(2 * len(track.segments)), {"NAME": "lastUsedAnnotationId"})


def _add_times(root: Element, segments: tuple[Segment, ...]) -> None:
    """Two time slots for each segment, in order of time as ELAN wants them."""
    slots = []
    for number, segment in enumerate(segments):
        start, stop = milliseconds(segment)
        slots += [(start, f"ts_start{number}"), (stop, f"ts_stop{number}")]
    order = add(root, "TIME_ORDER")
    for time, name in sorted(slots):
        add(order, "TIME_SLOT", attributes={"TIME_SLOT_ID": name, "TIME_VALUE": time})


def _add_tiers(root: Element, track: Track) -> None:
    for name in dict.fromkeys(segment.action for segment in track.segments):
        tier = add(root, "TIER", attributes={"LINGUISTIC_TYPE_REF": _ACTION, "TIER_ID": name})
        below = {"LINGUISTIC_TYPE_REF": _SCORE, "PARENT_REF": name, "TIER_ID": f"{name} (score)"}
        scores = add(root, "TIER", attributes=below)
        for number, segment in enumerate(track.segments):
            if segment.action == name:
                _add_annotation(tier, scores, number, segment)


def _add_annotation(tier: Element, scores: Element, number: int, segment: Segment) -> None:
    times = {"TIME_SLOT_REF1": f"ts_start{number}", "TIME_SLOT_REF2": f"ts_stop{number}"}
    aligned = {"ANNOTATION_ID": f"a{2 * number + 1}", **times}
    add(add(add(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", None, aligned), "ANNOTATION_VALUE", segment.action)
    referring = {"ANNOTATION_ID": f"a{2 * number + 2}", "ANNOTATION_REF": aligned["ANNOTATION_ID"]}
    annotation = add(add(scores, "ANNOTATION"), "REF_ANNOTATION", None, referring)
    add(annotation, "ANNOTATION_VALUE", f"{segment.score:.4f}")


def _add_types(root: Element) -> None:
    plain = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": _ACTION, "TIME_ALIGNABLE": "true"}
    add(root, "LINGUISTIC_TYPE", attributes=plain)
    referring = plain | {"LINGUISTIC_TYPE_ID": _SCORE, "TIME_ALIGNABLE": "false"}
    add(root, "LINGUISTIC_TYPE", attributes={"CONSTRAINTS": "Symbolic_Association", **referring})
    meaning = "1-1 association with a parent annotation"
    add(root, "CONSTRAINT", attributes={"DESCRIPTION": meaning, "STEREOTYPE": "Symbolic_Association"})
