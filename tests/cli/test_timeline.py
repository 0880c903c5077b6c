"""`claver timeline` as people run it: folders, bad files, interruptions."""

import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Claver
from tests.crashing import read_crashing
from tests.videos import write_ffv1, write_video

from claver.inference import far
from claver.inference.jobs import Journal
from claver.timeline import Timeline

ACTIONS = "waving,bowing,running"


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    (folder / "deeper").mkdir()
    for seed, name in enumerate(("0.mp4", "1.mp4", "deeper/1.mp4")):
        write_video(folder / name, seed=seed, frames=30)
    return folder


def options(model: Path, *more: object) -> list[object]:
    return ["--model", model, "--actions", ACTIONS, "--fps", 10, *more]


def test_one_video_in_the_format_of_the_suffix(inside: Claver, model: Path, videos: Path, tmp_path: Path) -> None:
    output = tmp_path / "found.vtt"
    done = inside("timeline", videos / "0.mp4", *options(model, "--output", output))
    assert done.returncode == 0, done.stderr
    assert output.read_text().startswith("WEBVTT")
    assert not list(tmp_path.glob("*.partial"))


def test_a_folder_with_bad_files_in_one_table(inside: Claver, model: Path, videos: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    output = tmp_path / "found.csv"
    done = inside("timeline", tmp_path / "bad.mp4", videos, *options(model, "--output", output))
    assert done.returncode == 1
    assert "1 of 4 files could not be read" in done.stderr
    rows = list(csv.DictReader(output.open()))
    assert {Path(row["path"]).name for row in rows} == {"bad.mp4", "0.mp4", "1.mp4"}
    assert rows[0]["error"]


def test_a_file_for_each_video(inside: Claver, model: Path, videos: Path, tmp_path: Path) -> None:
    output = tmp_path / "annotations"
    done = inside("timeline", videos, *options(model, "--output", output, "--format", "eaf"))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in output.iterdir()} == {"0.eaf", f"{videos.name}_1.eaf", "deeper_1.eaf"}


def test_a_file_on_which_the_decoder_crashes_costs_itself_alone(
    inside: Claver, model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("0", "crashes", "z"):
        write_video(tmp_path / f"{name}.mp4", frames=30)
    monkeypatch.setattr(far, "FarReader", partial(far.FarReader, 60.0, read_crashing))
    output = tmp_path / "found.jsonl"
    done = inside("timeline", tmp_path, *options(model, "--output", output))
    assert done.returncode == 1
    assert "crashes.mp4: the process that read it was killed by SIGSEGV, as when a decoder" in done.stderr
    first, bad, last = map(json.loads, output.read_text().splitlines())
    assert "SIGSEGV" in bad["error"]
    assert first["segments"] == last["segments"]
    alone = tmp_path / "alone.jsonl"
    assert inside("timeline", tmp_path / "0.mp4", *options(model, "--output", alone)).returncode == 0
    assert json.loads(alone.read_text()) == first  # read in this process


@pytest.mark.parametrize(("damaged", "code"), [("answer", 0), ("skip", 0), ("fail", 1)])
def test_damaged_files(damaged: str, code: int, inside: Claver, model: Path, tmp_path: Path) -> None:
    torn = write_ffv1(tmp_path / "torn.mkv", {5})
    output = tmp_path / "found.jsonl"
    done = inside("timeline", torn, *options(model, "--output", output, "--damaged", damaged))
    assert done.returncode == code, done.stderr
    assert "damaged" in done.stderr
    (record,) = map(json.loads, output.read_text().splitlines())
    assert {"answer": "segments", "skip": "skipped", "fail": "error"}[damaged] in record


@pytest.mark.parametrize("form", ["json", "srt"])
def test_it_resumes(
    form: str, inside: Claver, model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / ("found.json" if form == "json" else "found")
    command = ["timeline", videos, *options(model, "--output", output, "--format", form)]
    whole = Timeline.of.__func__  # type: ignore[attr-defined]
    looked: list[str] = []

    def interrupted(cls: Any, source: far.FarVideo, *args: Any, **settings: Any) -> Timeline:
        looked.append(Path(source.name).name)
        if len(looked) == 2:
            raise KeyboardInterrupt
        return whole(cls, source, *args, **settings)

    monkeypatch.setattr(Timeline, "of", classmethod(interrupted))
    done = inside(*command)
    assert done.returncode == 130
    assert "the same command resumes" in done.stderr
    assert not output.is_file()
    again = inside(*command)
    assert again.returncode == 0, again.stderr
    assert "1 of 3 files done before, resuming" in again.stderr
    assert looked == ["0.mp4", "1.mp4", "1.mp4", "1.mp4"]
    if form == "json":
        assert [Path(record["path"]).name for record in json.loads(output.read_text())] == ["0.mp4", "1.mp4", "1.mp4"]
    else:
        assert len(list(output.glob("*.srt"))) == 3


def test_other_settings_do_not_resume(inside: Claver, model: Path, videos: Path, tmp_path: Path) -> None:
    output = tmp_path / "found.json"
    with Journal(output, {"fps": 3.0}):
        pass
    done = inside("timeline", videos, *options(model, "--output", output))
    assert done.returncode == 1
    assert "unfinished run with other" in done.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--output", "a.doc"], "names no format"),
        (["--output", "a.vtt", "--threshold", "0"], "threshold is auto or a level above 0"),
        (["--output", "a.vtt", "--threshold", "high"], "threshold is auto or a level above 0"),
        (["--output", "a.vtt", "--stride", "5"], "stride is in 1 ... 4"),
        (["--output", "no/such/a.csv"], "does not exist"),
    ],
)
def test_mistakes_in_one_sentence(
    more: list[str], said: str, inside: Claver, model: Path, videos: Path, tmp_path: Path
) -> None:
    done = inside("timeline", videos / "0.mp4", *options(model, *more), cwd=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_many_videos_for_a_file_of_one(inside: Claver, model: Path, videos: Path, tmp_path: Path) -> None:
    (tmp_path / "a.vtt").touch()
    done = inside("timeline", videos, *options(model, "--output", tmp_path / "a.vtt"))
    assert done.returncode == 1
    assert "name a folder" in done.stderr
