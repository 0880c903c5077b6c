"""Every format is read back by a reader that somebody else wrote, or against the format's own description."""

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pympi
import pytest
import webvtt
from tests.timeline.small import EVIL, SEGMENTS, track

from claver.errors import ClaverError
from claver.terminal import shown
from claver.timeline import Track
from claver.timeline.writing import TOGETHER, TimelineFormat, text_of, timeline_format

FAILED = {"path": "broken.mp4", "error": "broken.mp4: no frame of it decodes."}


def written(form: str, folder: Path, one: Track | None = None) -> Path:
    path = folder / f"written{TimelineFormat(form).suffix}"
    path.write_text(text_of([one or track()], TimelineFormat(form)), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.vtt", "vtt"), ("a.labelstudio.json", "labelstudio"), ("A.JSON", "json"), ("a.xml", "cvat"), ("a.htm", "html")],
)
def test_the_suffix_says_the_format(name: str, form: str) -> None:
    assert timeline_format(None, Path(name)) == form
    assert timeline_format("srt", Path(name)) == "srt"


def test_a_format_that_there_is_not() -> None:
    with pytest.raises(ClaverError, match="names no format"):
        timeline_format(None, Path("a.doc"))
    with pytest.raises(ClaverError, match="did you mean 'html'"):
        timeline_format("htlm", None)
    with pytest.raises(ClaverError, match="holds one video, not 2"):
        text_of([track(), track()], TimelineFormat.vtt)


def test_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(text_of([track(), FAILED, track(segments=())], TimelineFormat.csv))))
    assert [row["action"] for row in rows] == ["bowing", EVIL, "bowing", "", ""]
    assert [float(row["start"]) for row in rows[:3]] == [0, 1.25, 3]
    assert [float(row["stop"]) for row in rows[:3]] == [2.5, 4.125, 6]
    assert rows[3]["error"] == FAILED["error"]


def test_json_and_json_lines_hold_everything() -> None:
    records = json.loads(text_of([track(), FAILED], TimelineFormat.json))
    lines = [json.loads(line) for line in text_of([track(), FAILED], TimelineFormat.jsonl).splitlines()]
    assert records == lines
    assert records[1] == FAILED
    again = Track.from_dict(records[0])
    assert again.segments == SEGMENTS
    assert again.actions == track().actions
    np.testing.assert_allclose(again.curves, track().curves, atol=1e-4)
    np.testing.assert_allclose(again.timestamps, track().timestamps)
    assert again.to_dict() == records[0]


@pytest.mark.parametrize("form", ["vtt", "srt"])
def test_subtitles(form: str, tmp_path: Path) -> None:
    path = written(form, tmp_path)
    cues = list(webvtt.read(path) if form == "vtt" else webvtt.from_srt(path))
    assert [cue.start_in_seconds + cue.start_time.milliseconds / 1000 for cue in cues] == [0, 1.25, 3]
    assert [cue.end_in_seconds + cue.end_time.milliseconds / 1000 for cue in cues] == [2.5, 4.125, 6]
    assert [cue.text for cue in cues][::2] == ["bowing"] * 2
    assert "-->" not in cues[1].text
    assert "\x1b" not in cues[1].text


def test_elan(tmp_path: Path) -> None:
    document = pympi.Elan.Eaf(str(written("eaf", tmp_path)))
    evil = shown(EVIL)
    assert set(document.get_tier_names()) == {"bowing", "bowing (score)", evil, f"{evil} (score)"}
    assert sorted(document.get_annotation_data_for_tier("bowing")) == [(0, 2500, "bowing"), (3000, 6000, "bowing")]
    assert document.get_annotation_data_for_tier(evil) == [(1250, 4125, evil)]
    scores = document.get_ref_annotation_data_for_tier("bowing (score)")
    assert [(start, stop, value) for start, stop, value, _ in sorted(scores)] == [
        (0, 2500, "3.2500"),
        (3000, 6000, "2.0000"),
    ]
    (media,) = document.get_linked_files()
    assert media["MEDIA_URL"] == Path("clip.mp4").absolute().as_uri()
    assert media["MIME_TYPE"] == "video/mp4"


def test_label_studio() -> None:
    (task,) = json.loads(text_of([track(), FAILED], TimelineFormat.labelstudio))
    assert task["data"] == {"video": "clip.mp4", "fps": 10.0}
    (prediction,) = task["predictions"]
    assert prediction["score"] == pytest.approx(2.25)
    for region, segment in zip(prediction["result"], SEGMENTS, strict=True):
        assert (region["from_name"], region["to_name"], region["type"]) == ("actions", "video", "timelinelabels")
        assert region["value"]["timelinelabels"] == [segment.action]
        (span,) = region["value"]["ranges"]  # frames counted from 1, both ends included
        assert (span["start"] - 1) / 10 == pytest.approx(segment.start, abs=0.1)
        assert span["end"] / 10 == pytest.approx(segment.stop, abs=0.1)
    assert len({region["id"] for region in prediction["result"]}) == 3


def seen_in_cvat(root: ElementTree.Element, frames: int) -> list[set[str]]:
    """The labels of each frame, as CVAT reads tracks: a box stays until the next of its track, unless it is outside."""
    labels: list[set[str]] = [set() for _ in range(frames)]
    for element in root.iter("track"):
        boxes = sorted((int(box.get("frame", "")), box.get("outside") == "1") for box in element.iter("box"))
        for (frame, outside), (until, _) in zip(boxes, [*boxes[1:], (frames, True)], strict=True):
            for place in range(frame, until):
                if not outside:
                    labels[place].add(str(element.get("label")))
    return labels


@pytest.mark.parametrize("varying", [False, True])
def test_cvat_labels_the_frames_that_are_shown_within(varying: bool, tmp_path: Path) -> None:
    even = np.arange(60) / 10
    one = track(timestamps=even**2 / 6 if varying else even)
    root = ElementTree.parse(written("cvat", tmp_path, one)).getroot()
    assert [child.tag for child in root] == ["version", "meta", "track", "track", "track"]
    assert root.findtext("version") == "1.1"
    assert [label.findtext("name") for label in root.iter("label")] == ["bowing", shown(EVIL), "never"]
    assert root.findtext("meta/task/size") == "60"
    for box in root.iter("box"):
        assert {"xtl", "ytl", "xbr", "ybr", "keyframe", "occluded"} <= set(box.keys())
        assert (float(box.get("xbr", "")), float(box.get("ybr", ""))) == (64, 48)
    for time, labels in zip(one.timestamps, seen_in_cvat(root, 60), strict=True):
        assert labels == {shown(one.action) for one in SEGMENTS if one.start <= time < one.stop}


@pytest.mark.parametrize("form", list(TimelineFormat))
def test_a_video_in_which_nothing_happens(form: TimelineFormat) -> None:
    assert text_of([track(segments=())], form).strip() or form == "srt"  # which has no header


def test_formats_for_many_videos() -> None:
    for form in TOGETHER:
        assert text_of([track("a.mp4"), track("b.mp4")], form).count("bowing") >= 4
