"""Frames one by one: those that `read` gives, at the times that a simple search finds, of files of any length."""

import gc
import math
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claver.errors import ClaverError
from claver.video import VideoReader, listing, sequence
from claver.video import reader as reader_module
from claver.video.damage import PassingSigns, Signs
from claver.video.iterating import Pace
from claver.video.times import PassingTimes, frame_times
from tests.video.golden_clips import CLIPS
from tests.video.test_marks import Shown
from tests.video.test_reader import KINDS
from tests.video.video_files import write_video
from tests.videos import write_ffv1

UNEVEN = [0, 40, 80, 1000, 1040, 1500, 1540, 2700, 2740, 2780]


def brute_force(times: list[float], pace: Pace, end: float) -> list[float]:
    """The rule in its own words, in seconds of the frames."""
    stop = end if pace.stop is None else min(end, pace.stop)
    if pace.fps is None:
        return [time for time in times if pace.start <= time + pace.rounding < stop]
    given: list[float] = []
    tick = pace.start
    while tick + pace.rounding < stop:
        given += [time for time in times if time <= tick + pace.rounding][-1:]
        tick = pace.start + len(given) / pace.fps
    return given


@st.composite
def paces(draw: st.DrawFn) -> Pace:
    fps = draw(st.none() | st.floats(0.05, 40) | st.sampled_from([1, 3, 10, 25, 30]))
    start = draw(st.just(0.0) | st.floats(0, 20))
    return Pace(fps, start, draw(st.none() | st.floats(0, 25)), rounding=draw(st.sampled_from([0, 1e-5, 0.001])))


@given(st.lists(st.integers(2, 3000), max_size=30), paces())
def test_the_frame_on_screen_at_each_time(steps: list[int], pace: Pace) -> None:
    times = [milliseconds / 1000 for milliseconds in np.cumsum([0, *steps]).tolist()]
    end = times[-1] + 0.04
    timed = [(time, number) for number, time in enumerate(times)]
    expected = brute_force(times, pace, end)
    assert [seconds for seconds, _ in pace.of(iter(timed), lambda: end)] == expected
    needed = pace.needed(np.array(times), end).tolist()
    assert needed == sorted(set(needed))
    assert [seconds for seconds, _ in pace.of((timed[i] for i in needed), lambda: end)] == expected


def test_times_rounded_to_milliseconds_do_not_shift_frames() -> None:
    times = [round(1000 * number / 30) / 1000 for number in range(3000)]
    timed = [(time, number) for number, time in enumerate(times)]
    for fps, step in ((30, 1), (15, 2), (10, 3)):
        numbers = [number for _, number in Pace(fps, rounding=0.001).of(iter(timed), lambda: 100.0)]
        assert numbers == list(range(0, 3000, step))


def test_no_more_is_taken_than_is_needed() -> None:
    taken: list[int] = []

    def endless() -> Iterator[tuple[float, int]]:
        for number in count():
            taken.append(number)
            yield number / 25, number

    assert len(list(Pace(5, 1, 2).of(endless(), lambda: 0.0))) == 5
    assert taken[-1] <= 51


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"fps": 0}, "fps is a number"),
        ({"fps": math.nan}, "fps is a number"),
        ({"fps": math.inf}, "fps is a number"),
        ({"start": -1.0}, "start is a time"),
        ({"stop": math.inf}, "stop is a time"),
    ],
)
def test_paces_that_mean_nothing(tmp_path: Path, wrong: dict[str, float], said: str) -> None:
    with (
        VideoReader(write_video(tmp_path / "clip.mp4", 3)) as video,
        pytest.raises(ClaverError, match=f"^{said}.*[^.]$"),
    ):
        video.frames(**wrong)  # type: ignore[arg-type]


def assert_as_read(source: Path, *, survey: bool = False) -> None:
    with VideoReader(source, survey=survey) as video:
        seconds = video.info.timestamps
        expected = video.read(range(video.info.frames))
        given = list(video.frames())
        assert [frame.seconds for frame in given] == seconds.tolist()
        assert all(np.array_equal(frame.pixels, one) for frame, one in zip(given, expected, strict=True))
        for pace in (Pace(7), Pace(30, 0.21), Pace(None, 0.3, 0.7), Pace(2, 0.5)):
            given = list(video.frames(fps=pace.fps, start=pace.start, stop=pace.stop))
            rounded = Pace(pace.fps, pace.start, pace.stop, rounding=min(video._table.time_base, 0.001))
            assert [frame.seconds for frame in given] == brute_force(seconds.tolist(), rounded, video.info.duration)
            places = np.searchsorted(seconds, [frame.seconds for frame in given])
            assert all(np.array_equal(frame.pixels, expected[at]) for at, frame in zip(places, given, strict=True))
            assert not any(frame.damaged for frame in given)


@pytest.mark.parametrize("name", CLIPS)
def test_golden_clips_are_iterated_as_they_are_read(name: str) -> None:
    assert_as_read(CLIPS[name].path)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_iterated_as_it_is_read(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / name, 40, **KINDS[name])
    assert_as_read(path)
    monkeypatch.setattr(listing, "KEEP_BYTES", 1000)
    monkeypatch.setattr(reader_module, "KEEP_BYTES", 1000)
    assert_as_read(path)
    assert_as_read(path, survey=True)


@pytest.mark.parametrize("name", ["uneven.mp4", "uneven.mkv"])
def test_a_variable_rate(tmp_path: Path, name: str) -> None:
    assert_as_read(write_video(tmp_path / name, len(UNEVEN), ticks=UNEVEN))


@pytest.mark.parametrize("name", ["gops.mp4", "open.mkv", "hevc.mp4", "av1.mp4", "vp9.webm"])
def test_sound_files_are_iterated_sparsely(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / name, 70, **KINDS[name])
    monkeypatch.setattr(sequence, "decode_plainly", None)
    with VideoReader(path) as video:
        assert len(list(video.frames())) == 70
        assert len(list(video.frames(fps=5, start=1))) == 9


def test_a_late_start_enters_at_a_key_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[int] = []
    whole = sequence.plan
    monkeypatch.setattr(sequence, "plan", lambda *args: [starts.append(s.start) or s for s in whole(*args)])  # type: ignore[func-returns-value]
    with VideoReader(write_video(tmp_path / "clip.mp4", 70, options={"g": "10"})) as video:
        assert len(list(video.frames(start=2))) == 20
    assert starts == [50]


def test_reading_meanwhile_disturbs_nothing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 40, **KINDS["gops.mp4"])
    with VideoReader(path) as video:
        expected = video.read(range(40))
        for number, (frame, other) in enumerate(zip(video.frames(), video.frames(), strict=True)):
            assert np.array_equal(frame.pixels, expected[number])
            assert np.array_equal(other.pixels, expected[number])
            assert np.array_equal(video.read([39 - number])[0], expected[39 - number])


def test_a_frame_given_again_may_be_written_into(tmp_path: Path) -> None:
    with VideoReader(write_video(tmp_path / "slow.mp4", 3, ticks=[0, 1000, 2000])) as video:
        expected = video.read(range(3))
        for number, frame in enumerate(video.frames(fps=4)):
            assert frame.seconds == number // 4
            assert np.array_equal(frame.pixels, expected[number // 4])
            frame.pixels[:] = 0


def torn(path: Path, number: int) -> bytes:
    """The file with a part of one packet turned over."""
    with av.open(path) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    at = data.find(packets[number]) + len(packets[number]) // 2
    data[at : at + 40] = bytes(255 - byte for byte in data[at : at + 40])
    return bytes(data)


@pytest.mark.parametrize("survey", [False, True])
@pytest.mark.parametrize("kept", [True, False])
def test_damage_is_passed_over_marked_and_told(
    tmp_path: Path, survey: bool, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kept:
        monkeypatch.setattr(reader_module, "KEEP_BYTES", 1000)
    options = {"g": "10", "bf": "0", "sc_threshold": "0"}
    data = torn(write_video(tmp_path / "groups.mkv", 40, options=options), 14)
    with VideoReader(data, survey=survey) as video:
        expected = video.read(range(40))
        told = video.damage(range(40))
        iterator = video.frames()
        given = [next(iterator) for _ in range(10)]
        assert iterator.damage is None or kept
        given += list(iterator)
        assert [frame.damaged for frame in given] == [False] * 14 + [True] * 6 + [False] * 20
        assert all(np.array_equal(frame.pixels, one) for frame, one in zip(given, expected, strict=True))
        assert iterator.damage == told
        assert told is not None
        assert told.share == 0.15


def test_frames_that_do_not_decode_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "torn.mkv", 30, codec="libvpx-vp9", options={"g": "10", "deadline": "realtime"})
    with av.open(path) as container:
        packet = [bytes(packet) for packet in container.demux(video=0) if packet.size][9]
    data = path.read_bytes().replace(packet, bytes([0x0F]) + packet[1:])
    with VideoReader(data) as video:
        assert video.info.frames == 30
        every, some = video.frames(), video.frames(fps=25)
        assert len(list(every)) == 29
        assert [round(25 * frame.seconds) for frame in some] == [*range(9), 8, *range(10, 30)]
        for iterator in (every, some):
            assert iterator.damage is not None
            assert "1 of its 30 packets give no frame" in iterator.damage.cause


def test_checksums_that_only_the_log_tells_of(tmp_path: Path) -> None:
    with VideoReader(write_ffv1(tmp_path / "torn.mkv", [2, 5])) as video:
        assert [frame.damaged for frame in video.frames()] == [number in (2, 5) for number in range(8)]


def test_a_file_that_was_cut_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.mkv", 60)
    with VideoReader(path.read_bytes()[: path.stat().st_size // 2]) as video:
        iterator = video.frames(fps=5)
        assert len(list(iterator)) > 3
        assert iterator.damage is not None
        assert iterator.damage.present is not None


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.booleans()), min_size=1, max_size=300),
    st.sampled_from(["mov", "mpegts"]),
)
def test_damage_in_passing_is_that_of_hindsight(packets: list[tuple[bool, int, bool]], demuxer: str) -> None:
    """Each packet: is it a key frame, is it faulty (one in five), does it give a frame."""
    whole, passing = Signs(demuxer=demuxer), PassingSigns(demuxer=demuxer)
    marks: list[bool] = []
    for number, (key, fault, shown) in enumerate(packets):
        for signs in (whole, passing):
            signs.packets = number + 1
            if fault == 0:
                signs._note(number, "torn")
            if shown or fault:
                signs.deliver(Shown(number, key, False))
        if shown or fault:
            marks.append(passing.inherits(*passing.place(None)))
    assert [place for place, mark in enumerate(marks) if mark] == sorted(whole.damaged(by_position=True))
    assert len(passing.lost()) == len(whole.lost())
    assert passing.first_fault() == whole.first_fault()
    assert len(passing.faults) < 70
    assert not passing._frames


@given(st.lists(st.integers(1, 49) | st.sampled_from([-100, 4_000_000]), min_size=1, max_size=100))
def test_seconds_in_passing_increase_without_holes(steps: list[int]) -> None:
    times = PassingTimes(0.001, 25)
    seconds = [times.seconds_of(tick) for tick in np.cumsum([500, *steps]).tolist()]
    assert seconds[0] == 0
    assert (np.diff(seconds) > 0).all()
    assert seconds[-1] < 0.05 * len(steps) + 1e-9
    assert times.jumps <= sum(step < 0 or step > 49 for step in steps)


def test_times_that_are_guessed_a_little_behind() -> None:
    """As of B-frames in MPEG-PS, the third and those after it; then they are right again."""
    times = PassingTimes(0.04, 25)
    assert [times.seconds_of(tick) for tick in (7, 8, 7, 8, 9, 10, 13, 14)] == pytest.approx(np.arange(8) / 25)
    assert times.jumps == 0
    assert [times.seconds_of(tick) for tick in range(60)][-1] == pytest.approx(67 / 25)
    assert times.jumps == 1


def test_seconds_in_passing_are_those_of_files() -> None:
    ticks = np.cumsum([0, 40, 40, 1900, 40, 40, 3_600_000, 40, -7000, 40])
    times = PassingTimes(0.001, 25)
    assert [times.seconds_of(tick) for tick in ticks.tolist()] == pytest.approx(frame_times(ticks, 0.001, 25).seconds)
    assert [PassingTimes(0.001, 10).seconds_of(None), times.jumps] == [0, 2]
    assert times.seconds_of(None) == pytest.approx(times.seconds_of(None) - 0.04)


@pytest.mark.parametrize("name", ["film.mp4", "film.avi"])
def test_a_long_file_takes_no_more_memory(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither frames nor packets are kept: eight at a time are those in the decoder and in the hands of the user."""
    monkeypatch.setattr(listing, "KEEP_BYTES", 1000)
    monkeypatch.setattr(reader_module, "KEEP_BYTES", 1000)
    codec = {"codec": "mpeg4"} if name.endswith("avi") else {}
    path = write_video(tmp_path / name, 3000, size=(64, 64), options={"g": "50"}, **codec)  # type: ignore[arg-type]
    with VideoReader(path) as video:
        tracemalloc.start()
        assert sum(1 for _ in video.frames()) == 3000
        assert tracemalloc.get_traced_memory()[1] < 2 * 2**20  # in RGB it has 37 MB
        tracemalloc.stop()
        # Other tests may keep pictures, which keep the frames they are of.
        known = Counter(type(thing) for thing in gc.get_objects())
        for number, _ in enumerate(video.frames()):
            if number % 300 == 0:
                alive = Counter(type(thing) for thing in gc.get_objects())
                assert alive[av.VideoFrame] - known[av.VideoFrame] < 8
                assert alive[av.Packet] - known[av.Packet] < 8
