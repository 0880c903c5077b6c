"""Events by hysteresis, their file, and the clips around them."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claver.errors import ClaverError
from claver.inference.events import ClipSaver, Event, EventDetector, EventFile
from claver.inference.live import Moment
from claver.video import VideoReader
from claver.video.iterating import TimedFrame


def moment(seconds: float, *shares: float, stream: int = 0) -> Moment:
    values = np.array(shares, dtype=np.float64)
    names = tuple("abc"[: len(shares)])
    return Moment(
        seconds, names, values, values, frames=1, since=seconds, seen=int(seconds) + 1, latency=0.0, stream=stream
    )


def found(shares: list[float], **settings: float) -> list[Event]:
    detector = EventDetector(**settings)
    ended = [event for at, share in enumerate(shares) for event in detector.push(moment(at, share))]
    return ended + detector.finish()


def test_an_event_lasts_until_it_is_no_longer_likely() -> None:
    assert found([0.1, 0.6, 0.5, 0.9, 0.41, 0.39, 0.5, 0.7]) == [Event("a", 1, 4, 0.9), Event("a", 7, 7, 0.7)]
    assert found([0.59, 0.45, 0.59]) == []
    assert found([0.7, 0.7, 0.1, 0.7], least=1) == [Event("a", 0, 1, 0.7)]


def test_what_is_none_of_these_is_no_event() -> None:
    detector = EventDetector()
    likely = moment(0, 0.9)
    assert detector.push(Moment(**{**vars(likely), "unknown": 0.8})) == []
    assert detector.running == []
    detector.push(Moment(**{**vars(likely), "unknown": 0.1}))
    assert [event.score for event in detector.running] == [pytest.approx(0.81)]


def test_actions_and_streams_are_apart() -> None:
    detector = EventDetector()
    assert detector.push(moment(0, 0.7, 0.9)) == []
    assert detector.push(moment(0, 0.9, stream=1)) == []
    assert len(detector.running) == 3
    assert detector.push(moment(1, 0.2, 0.8)) == [Event("a", 0, 0, 0.7)]
    assert detector.finish() == [Event("b", 0, 1, 0.9), Event("a", 0, 0, 0.9, stream=1)]
    assert detector.running == []


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0.1, 1), st.floats(0.01, 1))
def test_events_are_apart_and_cover_all_that_is_likely(shares: list[float], enter: float, part: float) -> None:
    events = found(shares, enter=enter, leave=enter * part)
    assert all(a.end < b.start for a, b in itertools.pairwise(events))
    for at, share in enumerate(shares):
        covered = any(event.start <= at <= event.end for event in events)
        assert covered if share >= enter else True
        assert share >= enter * part if covered else True
    assert all(event.score == max(shares[int(event.start) : int(event.end) + 1]) >= enter for event in events)


@pytest.mark.parametrize(
    "settings", [{"enter": 0.3}, {"enter": 1.1}, {"leave": 0.0}, {"least": -1}, {"enter": float("nan")}]
)
def test_thresholds_that_are_none_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ClaverError, match="not "):
        EventDetector(**settings)


def test_a_file_of_events_grows_and_no_other_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    for number in range(2):
        file = EventFile(path)
        file.add(Event("sits, then stands", 1.0, 2.5, 0.75), f"camera {number}")
        file.close()
    rows = path.read_text(encoding="utf-8").splitlines()
    assert rows == [
        "stream,start,end,action,score",
        'camera 0,1.000,2.500,"sits, then stands",0.7500',
        'camera 1,1.000,2.500,"sits, then stands",0.7500',
    ]
    path.write_bytes(path.read_bytes() + b"camera 2,1.0")  # cut short
    file = EventFile(path)
    file.add(Event("b", 3.0, 4.0, 0.5))
    file.close()
    assert path.read_text(encoding="utf-8").splitlines()[3:] == ["camera 2,1.0", "0,3.000,4.000,b,0.5000"]
    other = tmp_path / "other.csv"
    other.write_text("path,label\n", encoding="utf-8")
    with pytest.raises(ClaverError, match="something else than events"):
        EventFile(other)
    assert other.read_text(encoding="utf-8") == "path,label\n"
    with pytest.raises(ClaverError, match="cannot write"):
        EventFile(tmp_path / "nowhere" / "events.csv")


def test_the_seconds_around_an_event_are_saved(tmp_path: Path) -> None:
    saver = ClipSaver(tmp_path / "clips", fps=4, around=1.0, longest=20)
    written = []
    for number in range(40):
        pixels = np.full((271, 481, 3), 6 * number, dtype=np.uint8)
        written += saver.keep(0, TimedFrame(number / 4, pixels))
        if number == 16:
            saver.add(Event("Sits / stands!", 3.0, 4.0, 0.9))
    assert [path.name for path in written] == ["0-0000003.00-Sits-stands.mp4"]
    with VideoReader(written[0]) as video:
        assert (video.info.frames, video.info.height, video.info.width) == (13, 240, 424)
        means = video.read(np.arange(13)).mean((1, 2, 3))
    np.testing.assert_allclose(means, 6 * np.arange(8, 21), atol=3)  # of 2 to 5 seconds
    late = Event("late", 9.5, 9.75, 0.9)
    saver.add(late)
    saver.add(late)
    assert [path.name for path in saver.finish()] == ["0-0000009.50-late.mp4", "0-0000009.50-late-2.mp4"]
    assert ClipSaver(tmp_path / "clips", fps=2.5).fps == 2.5


def test_clips_play_as_fast_as_they_were_and_in_one_size(tmp_path: Path) -> None:
    saver = ClipSaver(tmp_path, fps=2.5)
    for number in range(10):
        saver.keep(0, TimedFrame(number / 2.5, np.zeros((48, 64 if number < 5 else 80, 3), dtype=np.uint8)))
    saver.add(Event("a", 1.0, 3.0, 0.9))
    with VideoReader(saver.finish()[0]) as video:
        assert (video.info.frames, video.info.width) == (5, 80)
        assert video.info.fps == pytest.approx(2.5)
