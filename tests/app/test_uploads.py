"""Visitors' files: few, private, and gone when they should be."""

import os
import time
from pathlib import Path

import pytest

from claver.app.decoding import Facts
from claver.app.job import Job, StoppedError
from claver.app.limits import Limits
from claver.app.uploads import Clip, Served, Visitor, Visitors, display_name, stored_bytes, sweep
from claver.errors import ClaverError

FACTS = Facts(1.0, 64, 48, "h264", "video/mp4")


def add(visitors: Visitors, visitor: Visitor, name: str) -> Clip:
    folder = visitor.folder / name
    folder.mkdir()
    (folder / "upload.mp4").write_bytes(bytes(100))
    served = visitors.serve(visitor, Served("video/mp4", str(folder / "upload.mp4")))
    clip = Clip(name, str(folder / "upload.mp4"), name, FACTS, served)
    visitors.keep(visitor, clip)
    return clip


def test_the_newest_files_are_kept_and_each_visitor_has_his_own(tmp_path: Path) -> None:
    visitors = Visitors(tmp_path, Limits(clips=2))
    one, other = visitors.of("one"), visitors.of("other")
    clips = [add(visitors, one, name) for name in ("a", "b", "c")]
    assert [clip.name for clip in one.clips.values()] == ["b", "c"]
    assert not (one.folder / "a").exists()
    assert visitors.served(clips[0].address.rpartition("/")[2]) is None
    assert visitors.served(clips[2].address.rpartition("/")[2]) is not None
    assert visitors.clip(one, "c") == clips[2]
    with pytest.raises(ClaverError, match="that video was deleted here; choose it again"):
        visitors.clip(other, "c")
    with pytest.raises(ClaverError, match="choose a video first"):
        visitors.clip(other, "")
    assert oct(one.folder.stat().st_mode)[-3:] == "700"


def test_who_leaves_or_is_idle_leaves_nothing(tmp_path: Path) -> None:
    visitors = Visitors(tmp_path, Limits(visitors=2, idle_seconds=0.2))
    one = visitors.of("one")
    clip, job = add(visitors, one, "a"), Job()
    with visitors.working(one, job):
        visitors.leave("one")
        with pytest.raises(StoppedError):
            job.check()
    assert not one.folder.exists()
    assert visitors.served(clip.address.rpartition("/")[2]) is None
    two = visitors.of("two")
    add(visitors, two, "b")
    time.sleep(0.3)
    visitors.of("three")
    assert not two.folder.exists()
    first, _ = visitors.of("three"), visitors.of("four")
    visitors.of("five")  # one too many: who was not seen for longest makes room
    assert not first.folder.exists()
    assert len(visitors) == 2
    visitors.close()
    assert stored_bytes(tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_visitor_has_one_piece_of_work_at_a_time(tmp_path: Path) -> None:
    visitors = Visitors(tmp_path, Limits())
    visitor = visitors.of("one")
    assert not visitor.stop()
    with visitors.working(visitor, Job()):
        with pytest.raises(ClaverError, match="still being worked on"), visitors.working(visitor, Job()):
            pass
        assert visitor.stop()
    with visitors.working(visitor, Job()):
        pass


def test_what_gradio_stored_is_swept_away_once_it_was_taken_over(tmp_path: Path) -> None:
    for name, age in (("hash/old.mp4", 100), ("other/new.mp4", 0), ("tmp1", 100), ("tmp2", 5000)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age,) * 2)
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "tmp1"]


def test_names_are_one_harmless_line() -> None:
    assert display_name("/tmp/x/\u202egnp.exe\n.mp4") == "\\u202egnp.exe\\n.mp4"
    long = display_name("x" * 300 + ".mp4")
    assert len(long) == 80
    assert long.endswith(".mp4")


def test_there_is_room_for_so_much_and_no_more(tmp_path: Path) -> None:
    visitors = Visitors(tmp_path, Limits(stored_bytes=150))
    add(visitors, visitors.of("one"), "a")
    visitors.require_room(50)
    with pytest.raises(ClaverError, match="too many files are stored"):
        visitors.require_room(51)
