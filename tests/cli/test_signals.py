"""However a command is ended, its processes end with it, its journal stays whole and the exit code is the shell's."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.cli.conftest import Claver
from tests.tiny import talking_model
from tests.videos import write_video

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found under /proc")
HARD = [signal.SIGKILL, signal.SIGTERM]


def below(pid: int) -> list[int]:
    """The processes that descend from one."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(entry.parent.name)] = int(parent)
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def has_lines(journal: Path) -> bool:
    """Whether three files are in a journal, after its first line."""
    return journal.exists() and journal.read_bytes().count(b"\n") >= 4


def end(
    command: list[object], journal: Path, number: int, under_way: Callable[[Path], bool] = has_lines
) -> tuple[subprocess.Popen[str], str]:
    """Run a command in a group of its own, end it when it is well under way; nothing stays behind."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "COLUMNS": "100"}
    arguments = [sys.executable, "-m", "claver", *map(str, command)]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)
    deadline = time.monotonic() + 120
    while not under_way(journal) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    children = below(process.pid)
    assert len(children) >= 2
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    deadline = time.monotonic() + 10
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [child for child in children if alive(child)]
    return process, errors


def check(process: subprocess.Popen[str], errors: str, journal: Path, number: int) -> None:
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 128 + number, errors
        assert "Traceback" not in errors
        assert f"claver: ended by {signal.Signals(number).name}" in errors
    lines = journal.read_bytes().splitlines(keepends=True)
    whole = lines if number != signal.SIGKILL else lines[: len(lines) - (not lines[-1].endswith(b"\n"))]
    assert len(whole) >= 4
    for line in whole:
        assert isinstance(json.loads(line), dict)
        assert line.endswith(b"\n")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    clip = write_video(folder / "clip.avi", frames=60, height=240, width=320)
    (folder / "videos").mkdir()
    for number in range(1500):
        (folder / "videos" / f"{number:04}.avi").symlink_to(clip)
    talking_model().save_pretrained(folder / "model")
    rows = "".join(f"videos/{number:04}.avi,waving\n" for number in range(1500))
    (folder / "list.csv").write_text(f"path,label\n{rows}")
    return folder


@pytest.mark.parametrize("number", [*HARD, pytest.param(signal.SIGQUIT, marks=pytest.mark.slow)])
def test_recognize_ends_with_its_workers(many: Path, tmp_path: Path, number: int) -> None:
    output, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.partial"
    options = ["--model", many / "model", "--actions", "waving,bowing", "--format", "jsonl", "--batch-size", 1]
    command = ["recognize", many / "videos", *options, "--workers", 2, "--output", output]
    check(*end(command, journal, number), journal, number)
    assert not output.exists()


@pytest.mark.parametrize("number", [signal.SIGHUP, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_data_check_ends_with_its_workers(many: Path, tmp_path: Path, number: int) -> None:
    output, journal = tmp_path / "report.json", tmp_path / "report.json.partial"
    command = ["data", "check", many / "list.csv", "--format", "json", "--workers", 2, "--output", output]
    check(*end(command, journal, number), journal, number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_index_ends_with_its_workers_and_the_next_run_finishes(
    inside: Claver, many: Path, tmp_path: Path, number: int
) -> None:
    pytest.importorskip("lancedb", reason="lancedb (extra search) is not installed")
    folder, index = tmp_path / "videos", tmp_path / "my.index"
    folder.mkdir()
    for seed in range(60):
        write_video(folder / f"{seed}.avi", frames=120, height=240, width=320, seed=seed)
    command = ["index", folder, "--index", index, "--model", many / "model", "--fps", 10, "--workers", 2]
    process, errors = end(command, index / "files.sqlite", number, lambda path: path.exists() and decoding(path))
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert "Traceback" not in errors
    done = inside(*command)
    assert done.returncode == 0, done.stderr
    told = inside("index", "--index", index, "--info").stdout
    assert told.startswith("60 videos, ")


def decoding(index: Path) -> bool:
    """Whether a worker has one of the videos open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if os.readlink(link).startswith(f"{index.parent.parent}/videos/"):
                return True
    return False


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    code = (
        "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from claver.cli.signals import ending_in_order\n"
        "with ending_in_order(): os.kill(os.getpid(), signal.SIGHUP)\n"
        "print('still here', signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "still here True\n", done.stderr
