"""Jobs: nothing is lost and nothing done twice, whatever interrupts them; and what a journal takes for its own."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.videos import write_video

from claver.errors import ClaverError, VideoError
from claver.inference.jobs import Journal, Record, error_record, for_each, run_job
from claver.video import VideoReader


def length(name: str) -> Record:
    if name == "bad":
        raise VideoError("bad: it is bad")
    return {"path": name, "length": len(name)}


def test_without_an_output_records_are_given_in_the_order_of_the_items_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[str] = []

    def backwards(items: Sequence[str]) -> Iterator[Record]:
        return (length(item) for item in reversed(items))

    records = run_job(["b", "aa", "b"], backwards, on_record=lambda record: seen.append(record["path"]))
    assert [(record["path"], record["length"]) for record in records] == [("b", 1), ("aa", 2), ("b", 1)]
    assert seen == ["b", "aa", "b"]
    assert os.listdir() == []


def test_interrupted_it_resumes_and_tries_what_failed_again(tmp_path: Path) -> None:
    output, tried, resumed = tmp_path / "lengths.jsonl", [], []

    def interrupted(items: Sequence[str]) -> Iterator[Record]:
        yield from for_each(length)(items[:2])
        raise KeyboardInterrupt

    def noted(items: Sequence[str]) -> Iterator[Record]:
        tried.extend(items)
        yield from for_each(length)(items)

    items = ["a", "bad", "ccc"]
    with pytest.raises(KeyboardInterrupt):
        run_job(items, interrupted, output=output, settings={"unit": "signs"})
    assert not output.exists()
    with pytest.raises(ClaverError, match="is an unfinished run with other unit"):
        run_job(items, noted, output=output, settings={"unit": "bytes"})
    records = run_job(items, noted, output=output, settings={"unit": "signs"}, on_resume=resumed.append)
    assert (tried, resumed) == (["bad", "ccc"], [1])
    assert records == [length("a"), error_record("bad", "bad: it is bad"), length("ccc")]
    assert [json.loads(line) for line in output.read_text().splitlines()] == records
    assert os.listdir(tmp_path) == ["lengths.jsonl"]


def test_what_could_not_be_written_is_kept(tmp_path: Path) -> None:
    def fail(records: Sequence[Record]) -> None:
        raise ClaverError("the disk is full")

    def never(items: Sequence[str]) -> Iterator[Record]:
        raise AssertionError

    with pytest.raises(ClaverError, match="the disk is full"):
        run_job(["a"], for_each(length), output=tmp_path / "a.jsonl", write=fail)
    assert run_job(["a"], never, output=tmp_path / "a.jsonl") == [length("a")]


def test_work_that_leaves_out_an_item_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match=r"^no record came of 1 of 2 items, such as b$"):
        run_job(["a", "b"], lambda items: [length("a")], output=tmp_path / "a.jsonl")
    assert os.listdir(tmp_path) == ["a.jsonl.partial"]


def frames(path: str) -> Record:
    with VideoReader(path) as video:
        return {"path": path, "frames": video.info.frames}


def test_workers_do_the_same(tmp_path: Path) -> None:
    items = [str(write_video(tmp_path / "clip.mp4")), str(tmp_path / "none.mp4")]
    records = run_job(items, for_each(frames, workers=1, timeout=60))
    assert records == run_job(items, for_each(frames))
    assert ["error" in record for record in records] == [False, True]


def test_a_journal_of_before_is_gone_on_with(tmp_path: Path) -> None:
    """As `claver recognize` of 0.2.0 wrote it; a file with an error is tried again, a skipped one is not."""
    (tmp_path / "out.jsonl.partial").write_text(
        '{"settings": {"model": "m 0123", "actions": ["a"], "top": 1}}\n'
        '{"path": "a.mp4", "seconds": [0.1], "damaged": null, "top": [{"action": "a", "score": 0.2}]}\n'
        '{"path": "b.mp4", "error": "b.mp4: there is no such file."}\n'
        '{"path": "c.mp4", "skipped": "c.mp4: it is damaged (…) and was skipped.", "damaged": {"share": 0.5}}\n'
        '{"path": "d.mp4", "seco'
    )
    settings, tried = {"model": "m 0123", "actions": ["a"], "top": 1}, []

    def work(items: Sequence[str]) -> Iterator[Record]:
        tried.extend(items)
        yield from ({"path": item, "top": []} for item in items)

    records = run_job(["a.mp4", "b.mp4", "c.mp4", "d.mp4"], work, output=tmp_path / "out.jsonl", settings=settings)
    assert tried == ["b.mp4", "d.mp4"]
    assert records[0]["top"][0]["score"] == 0.2
    assert "skipped" in records[2]


@pytest.mark.parametrize("score", ["NaN", "1e999", "-Infinity"])
def test_records_with_numbers_that_are_none_are_not_gone_on_with(tmp_path: Path, score: str) -> None:
    path = tmp_path / "out.json.partial"
    path.write_text('{"settings": {}}\n{"path": "a.mp4", "score": ' + score + "}\n")
    before = path.read_bytes()
    with pytest.raises(ClaverError, match=r"out.json.partial is in the way: it is no journal of claver"):
        Journal(tmp_path / "out.json", {})
    assert path.read_bytes() == before


def test_a_pipe_in_the_place_of_a_journal_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out.json.partial")
    with pytest.raises(ClaverError, match=r"out.json.partial is in the way: it is no journal of claver"):
        Journal(tmp_path / "out.json", {})
    assert os.listdir(tmp_path) == ["out.json.partial"]
