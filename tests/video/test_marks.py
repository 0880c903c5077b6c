"""What is known of damage reaches whoever reads the frames; nothing is said of files that are sound."""

import logging
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claver.video import Damage, VideoReader, sample_frames
from claver.video.damage import Signs, judge
from claver.video.ending import _ogg_ends
from claver.video.ffmpeg_log import ErrorCount, collected_errors
from tests.video.video_files import Picture, decode_all, write_video

H264 = {"g": "10", "bf": "2"}
KINDS: list[tuple[str, str, dict[str, str], str]] = [
    ("a.mp4", "libx264", H264, "yuv420p"),
    ("a.mkv", "libx264", H264, "yuv420p"),
    ("a.flv", "libx264", H264, "yuv420p"),
    ("a.ts", "libx264", H264, "yuv420p"),
    ("a.h264", "libx264", H264, "yuv420p"),
    ("h265.mkv", "libx265", {"x265-params": "log-level=none:keyint=10"}, "yuv420p"),
    ("a.avi", "mpeg4", {"bf": "2"}, "yuv420p"),
    ("vp8.webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16"}, "yuv420p"),
    ("vp9.webm", "libvpx-vp9", {"lag-in-frames": "16"}, "yuv420p"),
    ("a.gif", "gif", {}, "rgb8"),
    ("mjpeg.avi", "mjpeg", {}, "yuvj420p"),
    ("ffv1.mkv", "ffv1", {"level": "3", "slicecrc": "1"}, "yuv420p"),
    ("flv1.flv", "flv", {}, "yuv420p"),
    ("a.mpg", "mpeg1video", {"bf": "2"}, "yuv420p"),
]
MISSING_PAGE = "it ends without the last page of an Ogg file"
CUT = ("a.mkv", "a.flv", "a.avi", "vp8.webm", "a.gif", "mjpeg.avi", "ffv1.mkv")


def write(folder: Path, name: str, count: int = 30) -> Path:
    codec, options, pix_fmt = next((c, o, p) for n, c, o, p in KINDS if n == name)
    return write_video(folder / name, count, codec=codec, options=options, pix_fmt=pix_fmt, size=(64, 96))


def damage_of_all(source: Path | bytes) -> Damage | None:
    with VideoReader(source, survey=True) as video:
        return video.damage(range(video.info.frames))


@pytest.mark.parametrize("name", [kind[0] for kind in KINDS])
def test_nothing_is_said_of_a_sound_file(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name)
    assert damage_of_all(path) is None
    assert sample_frames(path, frames=8).damage is None


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("part", [0.4, 0.7])
def test_a_file_that_was_cut_says_so_though_all_its_frames_decode(tmp_path: Path, name: str, part: float) -> None:
    data = write(tmp_path, name, 50).read_bytes()
    damage = sample_frames(data[: int(part * len(data))], frames=2).damage
    assert damage is not None
    if damage.present is not None:
        assert 0 < damage.present < part + 0.15  # headers are a good part of so small a file
        assert "truncated at" in str(damage)


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.wmv", "wmv2"), ("a.mkv", "libx264")])
def test_a_file_that_lacks_its_last_bytes(tmp_path: Path, name: str, codec: str) -> None:
    data = write_video(tmp_path / name, 40, codec=codec, size=(64, 96)).read_bytes()
    assert sample_frames(data, frames=4).damage is None
    damage = sample_frames(data[: int(0.97 * len(data))], frames=4).damage
    assert damage is not None
    assert damage.present is None or 0.9 < damage.present < 1


def test_the_checksums_of_pictures_that_some_encoders_write(tmp_path: Path) -> None:
    """HEVC decodes a flipped bit to other pictures without an error, unless they carry their checksum."""
    options = {"x265-params": "log-level=none:keyint=10:hash=1"}
    path = write_video(tmp_path / "sums.mkv", 30, codec="libx265", options=options, size=(64, 96))
    assert sample_frames(path, frames=30).damage is None
    with av.open(path) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    data[data.find(packets[12]) + len(packets[12]) - 6] ^= 16
    damage = sample_frames(bytes(data), frames=30).damage
    assert damage is not None
    assert 0 < damage.share < 1


def test_an_mp4_that_lists_more_than_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "whole.mp4"
    write_video(path, 40, options={"g": "5"})
    with av.open(path) as source, av.open(tmp_path / "front.mp4", "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    data = (tmp_path / "front.mp4").read_bytes()
    assert sample_frames(data, frames=4).damage is None
    damage = sample_frames(data[: len(data) // 2], frames=4).damage
    assert damage is not None
    assert damage.present is not None
    assert 0.2 < damage.present < 0.8
    assert "of the 40 frames it lists" in damage.cause


def test_an_ogg_file_without_its_last_page() -> None:
    page = b"OggS\0" + bytes([4]) + bytes(20) + bytes([1, 5]) + b"hello"
    assert _ogg_ends(b"before" + page)
    assert not _ogg_ends(b"before" + page[:-1])
    assert not _ogg_ends(b"before" + page.replace(bytes([4]), b"\0", 1))
    assert not _ogg_ends(b"no page at all")


def flipped(path: Path, place: float, count: int = 60) -> bytes:
    data = bytearray(path.read_bytes())
    start = int(place * len(data))
    data[start : start + count] = bytes(255 - byte for byte in data[start : start + count])
    return bytes(data)


def test_a_checksum_that_only_the_log_tells_of(tmp_path: Path) -> None:
    """FFV1 conceals a slice with a wrong checksum, without error or mark; reading sparsely is no way around it."""
    path = write(tmp_path, "ffv1.mkv")
    data = flipped(path, 0.5, 4)
    damage = sample_frames(data, frames=30).damage
    assert damage is not None
    assert 0 < damage.share < 0.5
    assert "slice CRC mismatch" in damage.cause


def test_a_page_of_an_ogg_file_with_a_wrong_checksum(tmp_path: Path) -> None:
    """FFmpeg leaves the page out, which it has read already when the file is opened."""
    path = write_video(tmp_path / "a.ogg", 30, codec="libvpx", size=(64, 96))
    assert sample_frames(path, frames=4).damage is None
    damage = sample_frames(flipped(path, 0.6, 1), frames=4).damage
    assert damage is not None
    assert damage.cause.endswith("CRC mismatch")
    assert sample_frames(path.read_bytes()[:-200], frames=4).damage == Damage(cause=MISSING_PAGE)


def frames_changed(data: bytes, expected: list[Picture]) -> list[bool]:
    with VideoReader(data) as video:
        assert video.info.frames == len(expected)
        return [not np.array_equal(a, b) for a, b in zip(video.read(range(len(expected))), expected, strict=True)]


def test_the_mark_is_of_the_frames_that_inherit_damage_and_of_no_other(tmp_path: Path) -> None:
    """Ten frames a group: damage within the second leaves the first and the third unmarked."""
    path = write_video(tmp_path / "groups.mkv", 40, options={"g": "10", "bf": "0", "sc_threshold": "0"})
    expected = [picture for _, picture in decode_all(path)]
    with av.open(path) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    at = data.find(packets[14]) + len(packets[14]) // 2
    data[at : at + 40] = bytes(255 - byte for byte in data[at : at + 40])
    changed = frames_changed(bytes(data), expected)
    assert any(changed[14:20])
    with VideoReader(bytes(data)) as video:
        video.read(range(40))
        marked = [video.damage([index]) is not None for index in range(40)]
    assert marked == [False] * 14 + [True] * 6 + [False] * 20
    assert sample_frames(bytes(data), frames=4).damage == Damage(
        0.25, None, sample_frames(bytes(data), frames=4).damage.cause
    )  # type: ignore[union-attr]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_a_sound_key_frame_ends_all_damage(packets: list[tuple[bool, bool]]) -> None:
    """Frames shown in the order of the file: damaged from a fault on, until a key frame without one."""
    signs, bad, expected = Signs(), False, set()
    for number, (key, faulty) in enumerate(packets):
        frame = av.VideoFrame(16, 16, "yuv420p")
        frame.pts = number
        signs.packets = number + 1
        signs.deliver(Shown(number, key, faulty))
        bad = faulty or (bad and not key)
        expected |= {number} if bad else set()
    assert signs.damaged(by_position=False) == signs.damaged(by_position=True) == expected


class Shown:
    """A frame as far as `Signs` looks at it."""

    def __init__(self, pts: int, key: bool, corrupt: bool) -> None:
        self.pts, self.key_frame, self.is_corrupt = pts, key, corrupt


def test_a_frame_shown_before_the_key_frame_it_follows_inherits_what_was_before(tmp_path: Path) -> None:
    signs = Signs(faults={1: "torn"}, packets=5)
    for packet, key in ((0, True), (1, False), (3, False), (2, True), (4, False)):
        signs.deliver(Shown(packet, key, False))
    assert signs.damaged(by_position=False) == {1, 3}
    damage = judge(signs, 0.4, None, whole=True)
    assert damage == Damage(0.4, None, "in packet 1: torn")
    assert str(damage) == "40 % of the frames used damaged, in packet 1: torn"


class Fed:
    """A packet as far as `Signs` looks at it."""

    def __init__(self, key: bool = False, corrupt: bool = False) -> None:
        self.is_keyframe, self.is_corrupt = key, corrupt


def test_the_mark_of_a_splice_is_no_damage_but_any_other_is() -> None:
    """Before the last frames of one stream the demuxer misses what the next begins with."""
    for after, faults in (([False, True], []), ([False] * 5, [1]), ([], [1])):
        signs = Signs(demuxer="mpegts")
        for packet in (Fed(True), Fed(corrupt=True), *(Fed(key) for key in after), None):
            with signs.of_decoding(packet):
                pass
        assert list(signs.faults) == faults, after
    signs = Signs(demuxer="mov,mp4,m4a,3gp,3g2,mj2")
    with signs.of_decoding(Fed(corrupt=True)):
        pass
    assert list(signs.faults) == [0]


def test_known_files(shared: Path) -> None:
    hostile = shared / "cases/hostile"
    half = sample_frames(hostile / "truncated_half.mkv", frames=8).damage
    assert half is not None
    assert half.present == pytest.approx(0.193, abs=0.002)  # 2.0 of 10.381 s, as ffprobe tells
    assert str(half).startswith("truncated at 19 %")
    for name in ("broken_but_answered.flv", "ffv1_crc_silent.mkv"):
        damage = sample_frames(hostile / name, frames=8).damage
        assert damage is not None
        assert damage.share == 1
    damage = sample_frames(hostile / "gif_silent.gif", frames=2).damage
    assert damage is not None
    assert damage.share == 0.5
    splice = shared / "cases/videos/ts_spliced_timestamps_jump_20s.ts"
    assert sample_frames(splice, frames=8).damage is None
    # No decoder can know: every frame of it decodes without a word.
    assert sample_frames(hostile / "hevc_silent.mp4", frames=8).damage is None


def test_listening_leaves_the_user_s_settings_and_the_terminal_alone(caplog: pytest.LogCaptureFixture) -> None:
    user = av.logging.get_level()
    with caplog.at_level(logging.DEBUG), collected_errors() as messages, ErrorCount() as errors:
        assert not errors
        av.logging.log(av.logging.ERROR, "decoder", "torn")
        other = threading.Thread(target=av.logging.log, args=(av.logging.ERROR, "decoder", "elsewhere"))
        other.start()
        other.join()
        assert errors
    assert [message[1:] for message in messages] == [("decoder", "torn")]
    assert not caplog.records
    assert av.logging.get_level() in (user, av.logging.PANIC)
    try:
        av.logging.set_level(av.logging.WARNING)
        with collected_errors():
            assert av.logging.get_level() == av.logging.WARNING
        assert av.logging.get_level() == av.logging.WARNING
    finally:
        av.logging.set_level(user)
