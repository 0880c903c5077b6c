"""Checking files: what a full decode tells of sound, missing, broken, damaged and short clips."""

import csv
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from tests.video.golden_clips import CLIPS
from tests.video.video_files import write_video as write_timed
from tests.videos import write_video

from claver.data import Manifest, Sample
from claver.data.check import Record, check_clip, check_clips, judged
from claver.data.report import check_report, find_duplicates
from claver.processes import going_on
from claver.video import VideoReader


def test_the_kinds_of_trouble(tmp_path: Path) -> None:
    good = write_video(tmp_path / "good.mp4", frames=12)
    (tmp_path / "cut.mp4").write_bytes(good.read_bytes()[:200])
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    status = {p.name: check_clip(str(p))["status"] for p in sorted(tmp_path.iterdir())}
    assert status == {"cut.mp4": "broken", "empty.mp4": "broken", "good.mp4": "ok", "text.mp4": "broken"}
    missing = check_clip(str(tmp_path / "none.mp4"))
    assert missing["status"] == "missing"
    assert missing["cause"].startswith(str(tmp_path / "none.mp4"))
    record = check_clip(str(good))
    assert (record["frames"], record["height"], record["width"], record["codec"]) == (12, 48, 64, "mpeg4")
    assert judged(record, 12)["status"] == "ok"
    assert judged(record, 13)["cause"].endswith("it has 12 frames, fewer than 13.")


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_bytes_turned_over_in_the_middle_are_damage(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"clip{suffix}", frames=40, height=120, width=160)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(255 - byte for byte in content[middle : middle + 400])
    path.write_bytes(content)
    record = check_clip(str(path))
    assert record["status"] == "damaged", record
    assert "frames decode" in record["cause"]


def test_a_file_that_ends_early_is_damaged(tmp_path: Path) -> None:
    """An MP4 with its tables in front, cut short: the container lists what is no longer there."""
    whole = CLIPS["h264_faststart.mp4"].path
    assert check_clip(str(whole))["status"] == "ok"
    content = whole.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    (tmp_path / "half.mp4").write_bytes(content[: len(content) * 3 // 4])
    assert check_clip(str(tmp_path / "half.mp4"))["status"] == "damaged"


def test_real_clips_are_sound_but_for_the_one_known_to_be_damaged(clips: Path) -> None:
    with (clips / "INDEX.tsv").open() as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if int(row["w"]) <= 700]
    for row in rows[::3]:
        path = str(clips / row["path"])
        record = check_clip(path)
        assert record["status"] == "ok", record
        with VideoReader(path) as video:
            assert video.info.frames == record["frames"]
    assert check_clip(str(clips / "varied/_codec_test/decord__corrupted.mp4"))["status"] == "damaged"


def deadly(path: str) -> dict[str, object]:
    if path.endswith("deadly"):
        os.kill(os.getpid(), signal.SIGKILL)
    return check_clip(path)


def test_a_file_that_kills_its_process_is_broken_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(write_video(tmp_path / f"{n}.mp4")) for n in range(2)]
    paths.insert(1, "deadly")
    monkeypatch.setattr("claver.data.check.check_clip", deadly)
    records = list(check_clips(paths, workers=1))
    assert [record["status"] for record in records] == ["ok", "broken", "ok"]
    assert "was killed" in records[1]["cause"]


def test_the_same_bytes_in_two_splits_are_found_under_any_name(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4")
    shutil.copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    samples = (Sample("a.mp4", 0, "train"), Sample("b.mp4", 0, "test"))
    manifest = Manifest(("x",), samples, tmp_path)
    found = find_duplicates(manifest, list(check_clips(manifest.paths(), workers=0)))
    assert len(found) == 1
    assert found[0].startswith("b.mp4 (test) is the same video as a.mp4 (train)")


def steady_or_stuck(path: str) -> Record:
    """Goes on for longer than the limit, or hangs."""
    for _ in range(12):
        time.sleep(0.25)
        going_on()
    while "stuck" in path:
        time.sleep(0.25)
    return {"path": path, "status": "ok"}


def test_a_file_is_given_up_when_it_makes_no_progress_and_not_called_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claver.data.check.check_clip", steady_or_stuck)
    records = list(check_clips(["long", "stuck", "other"], workers=2, decode_timeout=2))
    assert [record["status"] for record in records] == ["ok", "timeout", "ok"]
    assert records[1]["cause"].startswith("stuck: it was not read within 2 s and was given up")
    assert "1 timeout" in check_report(records, [], "table")


def test_each_frame_and_each_part_of_the_bytes_is_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[None] = []
    monkeypatch.setattr("claver.data.check.going_on", lambda: told.append(None))
    assert check_clip(str(write_video(tmp_path / "clip.mp4", frames=12)))["status"] == "ok"
    assert len(told) == 12 + 1


def test_a_jump_in_the_time_stamps_is_told_and_no_fault(tmp_path: Path) -> None:
    ticks = [40 * i + 3_600_000 * (i >= 6) for i in range(12)]
    path = write_timed(tmp_path / "jump.mkv", 12, ticks=ticks)
    record = check_clip(str(path))
    assert record["status"] == "irregular"
    assert record["seconds"] == pytest.approx(0.48)
    assert record["cause"] == f"{path}: its time stamps jump once, first before frame 6; a jump counts as one frame."
    assert judged(record, 12) == record
    assert judged(record, 13)["status"] == "short"
    text = check_report([record], [], "table")
    assert text.startswith("1 clips: 0 sound, 1 irregular\n")
    assert "jump once" in text
