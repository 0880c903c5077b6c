"""`claver index` and `claver search`."""

import json
import os
from pathlib import Path

import pytest
from tests.tiny import talking_model
from tests.videos import write_video
from typer.testing import CliRunner

from claver.cli.main import app

pytest.importorskip("lancedb", reason="lancedb (extra search) is not installed")


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    talking_model().save_pretrained(tmp_path / "model")
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(3):
        write_video(folder / f"{number}.mp4", frames=40, seed=number)
    return folder


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments))
    told = done.output if done.exception is None or isinstance(done.exception, SystemExit) else str(done.exception)
    assert (done.exit_code != 0) == (code != 0), told
    return told


def test_folders_are_indexed_once_and_searched_without_naming_the_model(videos: Path, tmp_path: Path) -> None:
    told = run("index", str(videos), "--index", "my.index", "--model", "model", "--fps", "5")
    assert told.startswith("3 added; ")
    write_video(videos / "new.mp4", frames=40, seed=7)
    assert run("index", "videos", "--index", "my.index").startswith("1 added, 3 unchanged; ")
    assert "4 videos, " in run("index", "--index", "my.index", "--info")
    run("search", "my.index", "falls", "--all", "--top", "2", "--output", "found.json")
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found["moments"]) == 2
    assert {os.path.dirname(one["path"]) for one in found["moments"]} == {os.path.realpath(videos)}
    run("search", "my.index", "falls", "--not", "rises", "--output", "found.html", "--all", "--top", "4")
    assert (tmp_path / "found.html").read_text().count("<video") == 4
    run("search", "my.index", "--like", str(videos / "new.mp4"), "--all", "--output", "found.m3u")
    assert "new.mp4" not in (tmp_path / "found.m3u").read_text()


def test_where_nothing_stands_out_that_is_the_answer(
    videos: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from claver.index import Hit, Index, SearchResult

    run("index", str(videos), "--index", "my.index", "--model", "model", "--fps", "5")
    nearest = Hit(str(videos / "0.mp4"), 0, 1, -0.5, 0.5)
    monkeypatch.setattr(Index, "search", lambda *_, **__: SearchResult(("falls",), (nearest,), 12))
    told = run("search", "my.index", "falls")
    assert "no moment fits: nothing in 12 windows stands out" in told
    assert "-0.50" not in told
    assert "-0.50" in run("search", "my.index", "falls", "--all")


def test_a_bad_file_is_told_and_does_not_stop_the_others(videos: Path) -> None:
    (videos / "bad.mp4").write_bytes(b"no video")
    told = run("index", str(videos), "--index", "my.index", "--model", "model", "--fps", "5", code=1)
    assert "3 added" in told
    assert "bad.mp4" in told
    assert "not in it: " in run("index", "--index", "my.index", "--info")
    assert "4 unchanged" in run("index", str(videos), "--index", "my.index")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["index", "--index", "my.index", "--model", "model"], "name the folders"),
        (["index", "nowhere", "--index", "my.index", "--model", "model"], "there is no folder or file 'nowhere'"),
        (["search", "nowhere.index", "falls"], "there is no index at nowhere.index"),
        (["index", "--index", "nowhere.index", "--info"], "there is no index at nowhere.index"),
    ],
)
def test_what_is_missing_is_told_in_one_sentence(videos: Path, arguments: list[str], told: str) -> None:
    assert told in run(*arguments, code=1)


def test_a_page_needs_a_file(videos: Path) -> None:
    run("index", str(videos), "--index", "my.index", "--model", "model", "--fps", "5")
    assert "add --output NAME.html" in run("search", "my.index", "falls", "--format", "html", code=1)


def test_vectors_are_indexed_on_demand(videos: Path, tmp_path: Path) -> None:
    run("index", str(videos), "--index", "my.index", "--model", "model", "--fps", "5", "--build")
    told = run("index", "--index", "my.index", "--info")
    windows = told.split(" windows")[0].split(", ")[-1]
    assert f"vectors indexed: {windows} of {windows}" in told
    told = run("index", "--index", "my.index", "--build")
    assert f"indexing the vectors of {windows} windows" in told
    assert f"the vectors of {windows} windows are indexed, after " in told
    for more, exact in ((), False), (("--exact",), True):
        run("search", "my.index", "falls", "--all", "--output", "found.json", *more)
        found = json.loads((tmp_path / "found.json").read_text())
        assert found["exact"] is exact
        assert found["moments"]


def test_where_an_index_of_vectors_finds_nothing_comparing_all_is_named(
    videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from claver.index import Index, SearchResult

    run("index", str(videos), "--index", "my.index", "--model", "model", "--fps", "5")
    monkeypatch.setattr(Index, "search", lambda *_, **__: SearchResult(("falls",), (), 12, exact=False))
    assert "stands out of the background; --exact compares all windows" in run("search", "my.index", "falls")


def test_the_bar_shows_files_windows_hours_and_time_left(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.progress import Progress

    shown: list[dict[str, object]] = []
    real = Progress.update
    monkeypatch.setattr(Progress, "update", lambda self, task, **now: shown.append(now) or real(self, task, **now))
    run("index", str(videos), "--index", "my.index", "--model", "model", "--fps", "5")
    last = [now for now in shown if "more" in now][-1]
    assert (last["completed"], last["total"]) == (1, 1)
    assert str(last["more"]).startswith("3 of 3 files, ")
    assert str(last["more"]).endswith(" h of video")
