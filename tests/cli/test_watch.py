"""`claver watch`: JSON lines, events, clips, and one sentence for what cannot be."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.tiny import talking_model

from claver.video.writing import write_clip

ACTIONS = "waving, a bow"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("watch")
    talking_model("kmct").save_pretrained(made / "model")
    frames = np.random.default_rng(0).integers(0, 256, (24, 48, 64, 3), dtype=np.uint8)
    write_clip(made / "clip.mp4", frames, fps=8)
    write_clip(made / "other.mp4", frames[::-1], fps=8)
    return made


def run(folder: Path, *args: str, **more: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "claver", "watch", *args]
    settings = {"capture_output": True, "text": True, "timeout": 120, "cwd": folder, **more}
    return subprocess.run(command, **settings)  # type: ignore[call-overload,no-any-return]


def test_answers_events_and_clips_of_files(folder: Path, tmp_path: Path) -> None:
    events, clips = tmp_path / "events.csv", tmp_path / "clips"
    options = [
        "--model",
        "model",
        "--actions",
        ACTIONS,
        "--fps",
        "4",
        "--unknown",
        "off",
        "--enter",
        "0.4",
        "--leave",
        "0.3",
    ]
    done = run(folder, "clip.mp4", "other.mp4", *options, "--events", str(events), "--save-clips", str(clips))
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 24
    for source in ("clip.mp4", "other.mp4"):
        assert [line["seconds"] for line in lines if line["source"] == source] == [number / 4 for number in range(12)]
    assert {len(line["top"]) for line in lines} == {2}
    rows = list(csv.DictReader(events.open(encoding="utf-8")))
    assert rows
    assert {row["stream"] for row in rows} <= {"clip.mp4", "other.mp4"}
    assert len(list(clips.glob("*.mp4"))) == len(rows)
    assert "24 answers" in done.stderr
    assert f"{len(rows)} events" in done.stderr


def test_a_stream_on_stdin(folder: Path) -> None:
    with (folder / "clip.mp4").open("rb") as stream:
        done = run(folder, "-", "--model", "model", "--actions", ACTIONS, stdin=stream)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["seen"] for line in done.stdout.splitlines()] == list(range(1, 13))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nothing.mp4"], "nothing.mp4: there is no such file; give a file, a camera, an address or -."),
        (["gopher://x/1"], "addresses are read of rtsp"),
        (["-", "--actions", "-"], "stdin holds one stream or the actions, not both"),
        (["clip.mp4", "--enter", "0.2"], "must be 1 >= begin >= end > 0, not 0.2 and 0.4"),
        (["clip.mp4", "--events", "model/config.json"], "holds something else than events"),
        (["model/config.json"], "config.json: FFmpeg cannot open it as a video"),
    ],
)
def test_bad_input_is_one_sentence(folder: Path, args: list[str], said: str) -> None:
    done = run(folder, *args, "--model", "model", *([] if "--actions" in args else ["--actions", ACTIONS]))
    assert done.returncode == 1
    assert said in done.stderr
    assert len([line for line in done.stderr.splitlines() if "warning: no texts are known" not in line]) == 1
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_with_a_summary(folder: Path) -> None:
    server = Path(__file__).parents[1] / "inference" / "streaming_server.py"
    read, write = os.pipe()
    sender = subprocess.Popen(
        [sys.executable, str(server), f"pipe:{write}", "60"], pass_fds=[write], stderr=subprocess.DEVNULL
    )
    os.close(write)
    command = [sys.executable, "-m", "claver", "watch", "-", "--model", "model", "--actions", ACTIONS]
    with subprocess.Popen(
        command, stdin=read, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
    ) as watching:
        os.close(read)
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["seen"] == 1
        time.sleep(0.3)
        watching.send_signal(signal.SIGINT)
        _, told = watching.communicate(timeout=60)
    sender.kill()
    sender.wait()
    assert watching.returncode == 0
    assert "interrupted; " in told
    assert "Traceback" not in told
