"""MP4 and MOV files are listed by their own tables, as demuxing them would; a file is read where it is needed only."""

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claver.errors import VideoError
from claver.video import VideoReader, feed, listing, packets, read_video
from claver.video.boxes import samples
from claver.video.index import index_table
from claver.video.listing import Recorder
from claver.video.packets import PacketTable, tagged_packets, video_stream
from claver.video.source import Media
from tests.video.golden_clips import CLIPS
from tests.video.test_reader import KINDS
from tests.video.test_video_clips import ROWS
from tests.video.video_files import pictures, write_video

FRAGMENTED = ("Video-LLaMA__applausing.mp4", "Video-LLaMA__skateboarding_dog.mp4")
TABLED = ("mp4", "mov", "m4v", "3gp")
GOPS = {"options": {"bf": "3", "g": "12", "crf": "8"}}
FILMS: dict[str, dict[str, Any]] = {"film.mp4": GOPS, "film.mkv": GOPS, "film.webm": KINDS["vp9.webm"]}


class Counted(io.BytesIO):
    """Bytes that count how many of them are read."""

    total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.total += len(data)
        return data


def copy(path: Path, target: Path, movflags: str) -> None:
    with av.open(path) as source, av.open(target, "w", options={"movflags": movflags}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)


def both_tables(path: Path) -> tuple[PacketTable | None, PacketTable]:
    media = Media(path)
    with media.open() as container:
        stream = video_stream(media, container)
        by_index = index_table(media, stream)
        recorder = Recorder(media)
        list(recorder.passing(tagged_packets(container, stream)))
        return by_index, recorder.table(container, stream, sound=True)


def assert_same(path: Path) -> None:
    by_index, demuxed = both_tables(path)
    assert by_index is not None
    assert by_index.trusted == demuxed.trusted
    assert np.ptp(by_index.pts - demuxed.pts) == 0
    for name in ("dts", "key", "shown", "rate", "time_base", "codec"):
        assert np.array_equal(getattr(by_index, name), getattr(demuxed, name)), name


@pytest.mark.parametrize("name", [name for name in KINDS if name.endswith(TABLED)])
def test_the_index_lists_what_demuxing_lists(tmp_path: Path, name: str) -> None:
    assert_same(write_video(tmp_path / name, 70, **KINDS[name]))


def test_the_index_lists_what_demuxing_lists_of_real_clips(clips: Path) -> None:
    names = [row["path"] for row in ROWS if row["path"].endswith(TABLED) and not row["path"].endswith(FRAGMENTED)]
    assert len(names) > 30
    for name in names:
        assert_same(clips / name)


@pytest.mark.parametrize("name", [name for name in CLIPS if name.endswith(TABLED) and "fragmented" not in name])
def test_the_index_lists_what_demuxing_lists_of_other_encoders(name: str) -> None:
    assert_same(CLIPS[name].path)


def test_fragmented_files_have_no_whole_index(tmp_path: Path) -> None:
    path = tmp_path / "fragments.mp4"
    copy(write_video(tmp_path / "clip.mp4", 40, options={"g": "10"}), path, "frag_keyframe+empty_moov")
    assert both_tables(path)[0] is None
    assert np.array_equal(read_video(path), np.stack(pictures(path)))


@pytest.mark.parametrize("name", FILMS)
def test_a_film_is_not_read_through(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "KEEP_BYTES", 1000)
    path = write_video(tmp_path / name, 300, **FILMS[name])
    expected = pictures(path)
    stream = Counted(path.read_bytes())
    with VideoReader(stream) as video:
        if name.endswith("mp4"):
            assert stream.total < 0.5 * path.stat().st_size
        stream.total = 0
        assert np.array_equal(video.read([250, 20]), np.stack([expected[250], expected[20]]))
        assert 0 < stream.total < 0.5 * path.stat().st_size


@pytest.mark.parametrize("name", FILMS)
def test_a_film_that_cannot_be_entered_is_read_from_its_start(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "KEEP_BYTES", 1000)
    monkeypatch.setattr(feed.PacketFeed, "_mark", lambda *_: -1)
    path = write_video(tmp_path / name, 70, **FILMS[name])
    expected = pictures(path)
    with VideoReader(path) as video:
        for indices in ([2, 30, 68], [50, 1]):
            assert np.array_equal(video.read(indices), np.stack([expected[i] for i in indices]))


def test_a_stream_is_shared_by_readers_in_turns(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 100, **KINDS["gops.mp4"])
    expected = pictures(path)
    with path.open("rb") as stream, VideoReader(stream) as first, VideoReader(stream) as second:
        for place in (90, 3, 50):
            assert np.array_equal(first.read([place])[0], expected[place])
            stream.seek(place)
            assert np.array_equal(second.read([99 - place])[0], expected[99 - place])


def test_a_file_cut_within_its_packets_gives_those_that_decode(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    copy(write_video(tmp_path / "whole.mp4", 60), path, "faststart")
    data = path.read_bytes()[: path.stat().st_size // 2]
    with VideoReader(data) as video:
        assert 5 < video.info.frames < 55
        video.read(range(video.info.frames))


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.avi"])
def test_a_flood_of_packets_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / name, 20)
    for module in (packets, listing):
        monkeypatch.setattr(module, "MAX_PACKETS", 19)
    with pytest.raises(VideoError, match=r"clip.*: it (lists 20 packets in|has more than 19 packets)"):
        read_video(path)


@pytest.mark.parametrize("survey", [False, True])
def test_a_flood_of_packets_in_a_small_file(shared: Path, survey: bool) -> None:
    with pytest.raises(VideoError, match="it lists 10,000,000 packets in 100,984 bytes"):
        VideoReader(shared / "cases" / "hostile" / "packets1e7.mp4", survey=survey)


def test_packets_of_a_byte_cost_more_than_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "clip.mkv", 20, size=(16, 16))
    assert path.stat().st_size < 20 * 400
    monkeypatch.setattr(listing, "KEEP_BYTES", 20 * 400)
    with av.open(str(path)) as container:
        table = listing.list_packets(Media(path), container, container.streams.video[0])
    assert table is not None
    assert len(table.pts) == 20
    assert table.packets is None


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = write_video(tmp_path_factory.mktemp("boxes") / "clip.mp4", 20, **KINDS["gops.mp4"])
    data = path.read_bytes()
    return data[data.index(b"moov") - 4 :]


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4), cut=st.floats(0, 1)
)
def test_damaged_tables_are_no_error(tables: bytes, places: list[tuple[float, int]], cut: float) -> None:
    data = bytearray(tables)
    for place, value in places:
        data[int(place * len(data))] = value
    found = samples(io.BytesIO(bytes(data[: int(cut * len(data)) + 1])), 1, 20)
    assert found is None or len(found.sizes) == len(found.offsets) == 20


def with_sound(path: Path, frames: int, seconds: int) -> Path:
    """A film whose sound is longer than its pictures."""
    with av.open(path, "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width = video.height = 64
        sound = container.add_stream("aac", rate=48_000, layout="mono")
        for shade in range(frames):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), shade, dtype=np.uint8))))
        container.mux(video.encode())
        for second in range(seconds):
            noise = np.random.default_rng(second).integers(-9999, 9999, (1, 48_000), dtype=np.int16)
            part = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
            part.sample_rate, part.pts = 48_000, second * 48_000
            container.mux(sound.encode(part))
        container.mux(sound.encode())
    return path


@pytest.mark.parametrize(("name", "times"), [("long.mp4", 0.5), ("long.mkv", 1.5)])
def test_sound_beyond_the_pictures_is_not_read_once_more(tmp_path: Path, name: str, times: float) -> None:
    data = with_sound(tmp_path / name, 30, 40).read_bytes()
    source = Counted(data)
    with VideoReader(source) as video:
        video.read([0, 29])
        assert video.damage([0, 29]) is None
    assert source.total < times * len(data)


def test_boxes_within_boxes_have_an_end() -> None:
    nested = b""
    for _ in range(3000):
        nested = (8 + len(nested)).to_bytes(4, "big") + b"mdia" + nested
    for kind in (b"trak", b"moov"):
        nested = (8 + len(nested)).to_bytes(4, "big") + kind + nested
    assert samples(io.BytesIO(nested), 1, 20) is None


def test_tables_are_found(tables: bytes) -> None:
    found: Any = samples(io.BytesIO(tables), 1, 20)
    assert len(found.sizes) == 20
    assert found.offsets.max() > 0
    assert samples(io.BytesIO(tables), 2, 20) is None
    assert samples(io.BytesIO(tables), 1, 21) is None
