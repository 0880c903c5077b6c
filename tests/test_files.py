"""Files: read in bounds, written whole, with their user's permissions, through no planted link, by one at a time."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from claver.errors import ClaverError
from claver.files import only_writer, read_bytes, read_text, replacing, replacing_folder, write_whole

HOLDER = """
import sys
from pathlib import Path
from claver.files import only_writer
with only_writer(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    held = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert held.stdout is not None
    assert held.stdout.readline() == "mine\n"
    return held


def test_reading_says_what_is_wrong_and_stops_at_a_limit(tmp_path: Path) -> None:
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbfa\r\n")
    assert read_text(tmp_path / "marked") == "a\r\n"
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    assert read_text(tmp_path / "latin", keep_bytes=True) == "caf\udce9"
    with pytest.raises(ClaverError, match=r"latin is not UTF-8 text \(byte 3\); save it as UTF-8$"):
        read_text(tmp_path / "latin")
    with pytest.raises(ClaverError, match="has more than 3 bytes"):
        read_bytes(tmp_path / "latin", 3)
    with pytest.raises(ClaverError, match="has more than 1,000 bytes"):
        read_bytes(Path("/dev/zero"), 1000)
    with pytest.raises(ClaverError, match=r"^cannot read .*none: No such file or directory$"):
        read_text(tmp_path / "none")
    with pytest.raises(ClaverError, match="null"):
        read_text(tmp_path / "a\0b")


def test_a_file_has_the_permissions_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "answers.json", "é\udcff\n")
    finally:
        os.umask(before)
    assert (tmp_path / "answers.json").read_bytes() == b"\xc3\xa9\xff\n"
    assert (tmp_path / "answers.json").stat().st_mode & 0o777 == 0o640
    assert [file.name for file in tmp_path.iterdir()] == ["answers.json"]


def test_links_that_somebody_planted_are_not_followed(tmp_path: Path) -> None:
    victim, out = tmp_path / "victim", tmp_path / "answers.json"
    victim.write_text("precious")
    out.with_name("answers.json.writing").symlink_to(victim)  # the name that was used once, for all to foresee
    out.symlink_to(victim)
    write_whole(out, "new")
    assert (victim.read_text(), out.read_text(), out.is_symlink()) == ("precious", "new", False)


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / ("n" * 250)  # a name as long as names may be is no hindrance
    write_whole(out, "old")

    def fail() -> None:
        with replacing(out) as beside:
            beside.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(ClaverError, match=r"^cannot write .*none/file: No such file or directory$"):
        write_whole(tmp_path / "none" / "file", "new")


@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_pipe_or_socket_is_refused_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, through_a_link: bool
) -> None:
    """As `--output /dev/null` and `/dev/stdout` would be; never tried with those, which a fault here would replace."""
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
    for name, kind in (("pipe", "named pipe"), ("socket", "socket")):
        place = tmp_path / name
        if through_a_link:
            place = tmp_path / f"link to {name}"
            place.symlink_to(name)
        said = f"^cannot write {place}: it is a {kind}, which a file would replace; name another"
        before = os.stat(name)
        for writer in (replacing, replacing_folder, only_writer):
            with pytest.raises(ClaverError, match=said), writer(place):  # type: ignore[operator]
                pass
        with pytest.raises(ClaverError, match=said):
            write_whole(place, "new")
        assert (os.stat(name).st_ino, os.stat(name).st_mode) == (before.st_ino, before.st_mode)
        assert place.is_symlink() == through_a_link
    links = ["link to pipe", "link to socket"] if through_a_link else []
    assert sorted(os.listdir()) == [*links, "pipe", "socket"]


def test_a_second_command_is_told_and_a_killed_one_hinders_nobody(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    first = hold(path)
    with pytest.raises(ClaverError, match=rf"^another claver command is writing {path}; let it end"), only_writer(path):
        pass
    with only_writer(tmp_path / "others.json"):
        pass
    first.kill()
    first.communicate()
    with only_writer(path):
        assert (tmp_path / ".answers.json.lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_does_not_empty_what_a_planted_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / ".answers.json.lock").symlink_to(tmp_path / "victim")
    with only_writer(tmp_path / "answers.json"):
        assert (tmp_path / "victim").read_text() == "precious"


def test_a_file_put_there_by_a_library_gets_those_permissions_too(tmp_path: Path) -> None:
    from tests.tiny import tiny_model

    before = os.umask(0o022)
    try:
        tiny_model().save_pretrained(tmp_path / "model")
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "model").iterdir()}
    assert modes == {"config.json": 0o644, "model.safetensors": 0o644}


def fill(folder: Path, what: str) -> None:
    with replacing_folder(folder) as new:
        (new / "inner").mkdir()
        (new / "inner" / "what").write_text(what)


def test_a_folder_appears_whole_in_the_place_of_the_one_before(tmp_path: Path) -> None:
    for what in ("first", "second"):
        fill(tmp_path / "runs" / "last", what)
    assert (tmp_path / "runs" / "last" / "inner" / "what").read_text() == "second"
    assert os.listdir(tmp_path / "runs") == ["last"]


@pytest.mark.parametrize("left", ["new", "old"])
@pytest.mark.parametrize("as_what", ["a link to a folder", "a link to nothing", "a file", "a folder"])
def test_what_stands_where_a_folder_is_made_is_removed_and_no_link_followed(
    tmp_path: Path, left: str, as_what: str
) -> None:
    fill(tmp_path / "last", "first")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "theirs").write_text("theirs")
    planted = tmp_path / f"last.{left}"
    if as_what == "a file":
        planted.write_text("")
    elif as_what == "a folder":
        fill(planted, "half")
    else:
        planted.symlink_to(outside if as_what == "a link to a folder" else tmp_path / "nothing")
    fill(tmp_path / "last", "second")
    assert not (tmp_path / "last").is_symlink()
    assert (tmp_path / "last" / "inner" / "what").read_text() == "second"
    assert os.listdir(outside) == ["theirs"]
    assert sorted(os.listdir(tmp_path)) == ["last", "outside"]


def test_a_folder_that_could_not_be_filled_leaves_what_was_there(tmp_path: Path) -> None:
    def fail() -> None:
        with replacing_folder(tmp_path / "last") as new:
            (new / "half").write_text("half")
            raise KeyboardInterrupt

    fill(tmp_path / "last", "first")
    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (tmp_path / "last" / "inner" / "what").read_text() == "first"
    assert os.listdir(tmp_path) == ["last"]
