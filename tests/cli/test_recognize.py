"""`claver recognize` run as people run it: a process of its own, real files, interrupted, resumed, misused."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Claver
from tests.tiny import talking_model
from tests.videos import write_big_gif, write_ffv1, write_video

from claver.cli.formats import Format, form_for
from claver.errors import ClaverError
from claver.files import only_writer
from claver.inference.jobs import Journal

ACTIONS = "waving,bowing,running"


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    (folder / "deeper").mkdir()
    for seed in range(3):
        write_video(folder / f"{seed}.mp4", seed=seed)
    write_video(folder / "deeper" / "3.avi", seed=3)
    (folder / "notes.txt").write_text("no video")
    return folder


def claver(*arguments: Any, **settings: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "claver", "recognize", *map(str, arguments)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "COLUMNS": "100"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, **settings)


def test_a_folder_as_json_lines_in_order(inside: Claver, model: Path, videos: Path) -> None:
    done = inside("recognize", videos, "--model", model, "--actions", ACTIONS, "--format", "jsonl", "--top", 2)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(record["path"]).name for record in records] == ["0.mp4", "1.mp4", "2.mp4", "3.avi"]
    for record in records:
        assert [set(answer) for answer in record["top"]] == [{"action", "probability", "score"}] * 2
        assert record["top"][0]["score"] >= record["top"][1]["score"]


def test_a_table_for_one_file_and_a_pattern_as_csv(inside: Claver, model: Path, videos: Path) -> None:
    done = inside("recognize", videos / "0.mp4", "--model", model, "--actions", ACTIONS)
    assert done.returncode == 0, done.stderr
    assert str(videos / "0.mp4") in done.stdout
    assert all(action in done.stdout for action in ACTIONS.split(","))
    done = inside(
        "recognize", f"{videos}/**/*.avi", "--model", model, "--actions", ACTIONS, "--format", "csv", "--top", 1
    )
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(Path(row["path"]).name, row["rank"]) for row in rows] == [("3.avi", "1")]
    assert 0 < float(rows[0]["probability"]) <= 1


def test_bad_files_are_passed_over_and_reported_at_the_end(
    inside: Claver, model: Path, videos: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes((videos / "0.mp4").read_bytes()[:300])
    arguments = (bad, videos / "1.mp4", tmp_path / "missing.mp4", "--model", model, "--actions", ACTIONS)
    arguments += ("--workers", 0)
    done = inside("recognize", *arguments, "--format", "json", "--output", tmp_path / "out.json")
    assert done.returncode == 1
    assert "2 of 3 files could not be read" in done.stderr
    assert f"{tmp_path / 'missing.mp4'}: there is no such file." in done.stderr
    records = json.loads((tmp_path / "out.json").read_text())
    assert ["error" in record for record in records] == [True, False, True]
    assert not (tmp_path / "out.json.partial").exists()


def test_a_file_that_takes_too_long_is_given_up_and_the_others_go_on(
    inside: Claver, model: Path, videos: Path, tmp_path: Path
) -> None:
    slow = write_big_gif(tmp_path / "slow.gif", frames=40, height=6000, width=8000)
    arguments = (videos / "0.mp4", slow, videos / "1.mp4", "--model", model, "--actions", ACTIONS, "--format", "jsonl")
    done = inside("recognize", *arguments, "--workers", 1, "--decode-timeout", 1)
    assert done.returncode == 1
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["top" in record for record in records] == [True, False, True]
    assert records[1]["error"] == (
        f"{slow}: it was not read within 1 s and was given up; a longer --decode-timeout lets it finish."
    )


def test_damaged_files_are_marked_skipped_or_failed(inside: Claver, model: Path, videos: Path, tmp_path: Path) -> None:
    """In every format and in the summary; the exit code tells of errors alone."""
    sound, torn = write_ffv1(tmp_path / "sound.mkv"), write_ffv1(tmp_path / "torn.mkv", [4, 5])
    options = (sound, torn, "--model", model, "--actions", ACTIONS, "--workers", 0)
    text = "25 % of the frames used damaged, in packet 4: slice CRC mismatch"
    done = inside("recognize", *options, "--format", "json")
    assert done.returncode == 0
    first, second = json.loads(done.stdout)
    assert first["damaged"] is None
    assert first["seconds"] == second["seconds"] == [0.1, 0.3, 0.5, 0.7]
    assert second["damaged"]["share"] == 0.25
    assert second["damaged"]["cause"].startswith("in packet 4: slice CRC mismatch")
    assert "claver: 1 of 2 files are damaged; their answers are marked:" in done.stderr
    assert f"claver: {torn}: damaged: {text}" in done.stderr
    rows = list(csv.DictReader(io.StringIO(inside("recognize", *options, "--format", "csv", "--top", 1).stdout)))
    assert [row["damaged"][: len(text)] for row in rows] == ["", text]
    assert [row["seconds"] for row in rows] == ["0.1 0.3 0.5 0.7"] * 2
    table = inside("recognize", *options).stdout
    assert f"  damaged: {text}" in table
    assert table.count("4 frames, 0.10 … 0.70 s") == 2
    assert table.count("damaged:") == 1

    output = ("--format", "jsonl", "--output", tmp_path / "out.jsonl")
    done = inside("recognize", *options, "--damaged", "skip", *output)
    assert done.returncode == 0
    first, second = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert "top" in first
    assert set(second) == {"path", "skipped", "damaged"}
    assert "claver: 1 of 2 files are damaged and were skipped:" in done.stderr
    done = inside("recognize", *options, "--damaged", "fail")
    assert done.returncode == 1
    assert f"{torn}: it is damaged ({text}" in done.stderr
    assert str(torn) not in done.stdout, "what has no answer is named once, at the end"


def test_interrupted_and_resumed_it_loses_and_repeats_nothing(inside: Claver, model: Path, tmp_path: Path) -> None:
    """Stopped by Ctrl-C in mid-run; the second run skips what is done and ends as an unbroken one does."""
    for seed in range(16):
        write_video(tmp_path / f"{seed:02}.mp4", frames=30, height=120, width=160, seed=seed)
    options = ["--model", model, "--actions", ACTIONS, "--format", "jsonl", "--workers", 0, "--batch-size", 1]
    options += ["--views", "4x1"]
    output, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.partial"
    command = [sys.executable, "-m", "claver", "recognize", str(tmp_path), *map(str, options), "--output", str(output)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while (not journal.exists() or journal.read_bytes().count(b"\n") < 3) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "the same command resumes where it stopped" in errors
    assert not output.exists()
    finished = journal.read_bytes().count(b"\n") - 1
    assert 2 <= finished < 16
    with journal.open("a") as file:
        file.write('{"path": "cut short')

    other = inside("recognize", tmp_path, *options, "--top", 1, "--output", output)
    assert other.returncode == 1
    assert "is an unfinished run with other top" in other.stderr

    done = inside("recognize", tmp_path, *options, "--output", output)
    assert done.returncode == 0, done.stderr
    assert f"{finished} of 16 files done before" in done.stderr
    assert not journal.exists()
    whole = inside("recognize", tmp_path, *options, "--output", tmp_path / "whole.jsonl")
    assert whole.returncode == 0
    assert output.read_text() == (tmp_path / "whole.jsonl").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.mp4"], "claver: no --model given, and openai/clip-vit-base-patch16"),
        (["*.none"], "claver: no file matches *.none"),
        (["x.mp4", "--model", "MODEL", "--actions", "nowhere.csv"], "claver: there is no file of actions nowhere.csv"),
        (["x.mp4", "--model", "MODEL", "--views", "3"], "claver: views must be clips x crops"),
        (["x.mp4", "--model", "MODEL", "--temporal", "kmta"], "claver: temporal must be one of kmt, kmct"),
        (["x.mp4", "--model", "MODEL", "--damaged", "no"], "claver: damaged is one of answer, skip, fail, not 'no'"),
        (["x.mp4", "--model", "MODEL", "--dtype", "half"], "claver: dtype must be float32"),
        (["x.mp4", "--model", "MODEL", "--device", "abacus"], "claver: device 'abacus' cannot be used here"),
        (
            ["x.mp4", "--model", "MODEL", "--output", "/dev"],
            "claver: cannot write /dev: it exists and is no regular file",
        ),
        (["", "--model", "MODEL"], "claver: an empty name is no video"),
        (["x.mp4", "--model", ""], "claver: --model is empty; name a model, or leave it out for the default"),
        (["x.mp4", "--model", "", "--dry-run"], "claver: --model is empty; name a model"),
        (["x.mp4", "--model", "MODEL", "--views", "", "--dry-run"], "claver: views must be clips x crops"),
        (["x.mp4", "--model", "MODEL", "--temporal", ""], "claver: temporal must be one of kmt, kmct"),
        (["x.mp4", "--model", "nowhere.pt"], "claver: there is no file or folder nowhere.pt"),
        (["x.mp4", "--model", "MODEL", "--output", "no/such/folder.csv"], "the folder no/such does not exist"),
    ],
)
def test_misuse_ends_in_one_sentence(
    inside: Claver,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    done = inside("recognize", *[model if a == "MODEL" else a for a in arguments])
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_address_is_no_pattern(tmp_path: Path) -> None:
    from claver.cli.inputs import find_videos

    assert find_videos(["https://example.org/watch?v=1"]) == ["https://example.org/watch?v=1"]


def test_an_empty_folder_is_named(inside: Claver, tmp_path: Path) -> None:
    done = inside("recognize", tmp_path)
    assert done.returncode == 1
    assert f"the folder {tmp_path} holds no video file" in done.stderr


def test_a_reader_that_stops_listening_is_no_error_message(model: Path, videos: Path) -> None:
    command = (
        f"{sys.executable} -m claver recognize {videos} --model {model} --actions {ACTIONS} "
        "--format jsonl --workers 0 | head -c 1"
    )
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert done.stdout == "{"


def test_a_file_that_is_no_journal_stays_as_it_is(inside: Claver, model: Path, videos: Path, tmp_path: Path) -> None:
    mine = tmp_path / "out.csv.partial"
    for contents in ("my own notes", "my own\nnotes\n", '{"settings": 1}\n'):
        mine.write_text(contents)
        done = inside(
            "recognize", videos / "0.mp4", "--model", model, "--actions", ACTIONS, "--output", tmp_path / "out.csv"
        )
        assert done.returncode == 1
        assert "is no journal of claver" in done.stderr
        assert mine.read_text() == contents


def test_a_run_does_not_go_on_with_other_weights(inside: Claver, videos: Path, tmp_path: Path) -> None:
    talking_model().save_pretrained(tmp_path / "model")
    settings = ["--model", tmp_path / "model", "--actions", ACTIONS, "--output", tmp_path / "out.jsonl"]
    settings += ["--workers", 0]
    failing = inside("recognize", videos / "0.mp4", tmp_path / "missing.mp4", *settings)
    assert failing.returncode == 1
    (tmp_path / "out.jsonl").rename(tmp_path / "kept")
    journal = tmp_path / "out.jsonl.partial"
    journal.write_text('{"settings": {"model": "another"}}\n')
    done = inside("recognize", videos / "0.mp4", *settings)
    assert done.returncode == 1
    assert "is an unfinished run with other model" in done.stderr


def test_a_name_that_is_not_utf8(inside: Claver, model: Path, videos: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/b\xffd.mp4"
    with open(odd, "wb") as file:
        file.write((videos / "0.mp4").read_bytes())
    options = ["--model", model, "--actions", ACTIONS, "--format", "jsonl", "--output", tmp_path / "out.jsonl"]
    done = inside("recognize", tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.jsonl").read_bytes().count(b"\n") == 1


def test_a_second_command_on_one_output_is_told_so(model: Path, videos: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    asked = (videos, "--model", model, "--actions", ACTIONS, "--format", "jsonl", "--output", output, "--workers", 0)
    with only_writer(output):
        done = claver(*asked)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"claver: another claver command is writing {output}; let it end, or choose another place\n"
    assert claver(*asked).returncode == 0
    assert [file.name for file in tmp_path.iterdir()] == ["answers.jsonl"]


def test_a_journal_may_name_files_with_signs_that_end_lines(tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    name = "a\x85b\u2028c\x0bd\x1ce\udcff.mp4"
    with Journal(output, {"top": 1}) as journal:
        journal.add({"path": name, "top": []})
    with Journal(output, {"top": 1}) as journal:
        assert list(journal.done) == [name]


def test_a_journal_is_not_written_through_a_planted_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("")
    (tmp_path / "answers.jsonl.partial").symlink_to(tmp_path / "victim")
    with pytest.raises(ClaverError, match="is in the way"):
        Journal(tmp_path / "answers.jsonl", {})
    assert (tmp_path / "victim").read_text() == ""


def test_the_suffix_of_the_output_chooses_the_format_unless_one_is_asked_for(tmp_path: Path) -> None:
    assert form_for(None, tmp_path / "a.JSONL") is Format.jsonl
    assert form_for(None, tmp_path / "a.csv") is Format.csv
    assert form_for(None, tmp_path / "a.txt") is form_for(None, None) is Format.table
    assert form_for(Format.json, tmp_path / "a.csv") is Format.json


@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"])
def test_a_dry_run_of_a_list_on_stdin_reads_no_weights_and_writes_nothing(
    inside: Claver, model: Path, videos: Path, tmp_path: Path, end: str
) -> None:
    bare = tmp_path / "model"
    bare.mkdir()
    (bare / "config.json").write_bytes((model / "config.json").read_bytes())  # and nothing else
    names = f"{videos / '1.mp4'}{end}{end}{videos / '0.mp4'}{end}{tmp_path}/no\x1bne.mp4{end}"
    asked = ("-", "--model", bare, "--actions", ACTIONS, "--output", tmp_path / "a.csv", "--dry-run")
    done = inside("recognize", *asked, input=names)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"model    {bare}, kmct, 4 frames"
    assert lines[1].startswith("actions  3, with ")
    assert lines[2:5] == ["views    1x1 of each video", f"output   {tmp_path / 'a.csv'}, csv", "files    3"]
    assert lines[5:7] == [f"  {videos / '1.mp4'}", f"  {videos / '0.mp4'}"]
    assert lines[7] == rf"  {tmp_path}/no\x1bne.mp4  (there is no such file)"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_actions_on_stdin_a_failure_once_and_the_same_bytes_everywhere(
    inside: Claver, model: Path, videos: Path, tmp_path: Path
) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/od\xff\x1b[2J\r.mp4"))
    odd.write_bytes((videos / "0.mp4").read_bytes())
    (tmp_path / "none").mkdir()
    asked = (os.fsencode(odd), os.fsencode(tmp_path / "none.mp4"), "--model", model, "--actions", "-", "--workers", "0")
    for form in ("csv", "json", "jsonl"):
        output = tmp_path / f"out.{form}"
        command = [sys.executable, "-m", "claver", "recognize", *asked]
        said = {"input": b"waving\n\nbowing\n", "capture_output": True, "timeout": 120}
        to_file = inside("recognize", *map(os.fsdecode, asked), "--output", output, input="waving\n\nbowing\n")
        to_pipe = subprocess.run([*command, "--format", form], **said)
        assert (to_file.returncode, to_pipe.returncode) == (1, 1), to_file.stderr
        assert output.read_bytes() == to_pipe.stdout
        assert b"bowing" in to_pipe.stdout
    table = inside("recognize", *map(os.fsdecode, asked), input="waving\nbowing\n")
    assert table.stderr.count("none.mp4") == 1
    assert "none.mp4" not in table.stdout
    assert r"od\udcff\x1b[2J\r.mp4" in table.stdout
    assert "\x1b" not in table.stdout + table.stderr


def test_stdin_is_read_for_one_thing_and_must_name_something(inside: Claver, model: Path) -> None:
    for asked, said in (
        (("-", "--actions", "-"), "stdin holds either"),
        (("-", "--actions", "a"), "names no file"),
        (("clip.mp4", "--actions", "-"), "names no action"),
    ):
        done = inside("recognize", *asked, "--model", model, input="\n")
        assert done.returncode == 1
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_after_a_long_job_it_is_said_what_bound_it(
    inside: Claver, model: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["recognize", str(videos), "--model", str(model), "--actions", "waving, bowing", "--workers", "0"]
    assert "the speed was bound by" not in inside(*command).stderr
    monkeypatch.setattr("claver.cli.recognize._LONG", 0.0)
    monkeypatch.setattr("claver.inference.encoder.ViewEncoder._timed", _as_if_no_time_passed)
    told = inside(*command).stderr
    assert "0% of the time went into waiting for files to be decoded: the speed was bound by the model" in told
    monkeypatch.setattr("claver.inference.encoder.ViewEncoder._timed", _as_if_an_hour_passed)
    assert "the speed was bound by the files, which more --workers may help" in inside(*command).stderr


def _as_if_no_time_passed(encoder: Any, files: Any) -> Any:
    return files


def _as_if_an_hour_passed(encoder: Any, files: Any) -> Any:
    encoder.waited += 3600
    return files
