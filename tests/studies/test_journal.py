import json
from pathlib import Path

import pytest

from claver.errors import ClaverError
from claver.studies import find_study
from claver.studies.journal import Journal
from claver.studies.study import Record, as_now, key_of

RUNS = [{"seed": seed, "kind": "kmt"} for seed in range(3)]


def test_what_is_done_is_known_to_the_next_command(tmp_path):
    journal = Journal(tmp_path / "data.jsonl")
    assert journal.missing([*RUNS, RUNS[0]]) == RUNS
    journal.add(Record(RUNS[1], {"top1": 0.5}))
    later = Journal(tmp_path / "data.jsonl")
    assert later.missing([{"kind": "kmt", "seed": 1}, RUNS[2]]) == [RUNS[2]]
    assert later.records(RUNS) == [Record(RUNS[1], {"top1": 0.5})]


def test_runs_of_another_recipe_or_of_none_that_is_known_are_done_again(tmp_path, caplog):
    path = tmp_path / "data.jsonl"
    path.write_text('{"settings": {"seed": 0, "kind": "kmt"}, "figures": {"top1": 0.1}}\n')  # by an earlier version
    Journal(path, lambda settings: "old").add(Record(RUNS[1], {"top1": 0.2}))
    journal = Journal(path, lambda settings: "new")
    assert journal.missing(RUNS) == RUNS
    assert journal.records(RUNS) == []
    assert caplog.messages == [f"2 runs in {path} were made by other recipes or texts and are done again"]
    journal.add(Record(RUNS[1], {"top1": 0.3}))
    assert Journal(path, lambda settings: "new").records(RUNS) == [Record(RUNS[1], {"top1": 0.3})]
    assert Journal(path, lambda settings: "old").records(RUNS) == [Record(RUNS[1], {"top1": 0.2})]


def test_settings_that_no_recipe_takes_any_more_are_not_done(tmp_path):
    def refuse(settings):
        raise ClaverError("unknown key")

    Journal(tmp_path / "data.jsonl").add(Record(RUNS[0], {"top1": 0.5}))
    assert Journal(tmp_path / "data.jsonl", refuse).missing(RUNS[:1]) == RUNS[:1]


def test_a_line_cut_short_is_dropped_and_the_next_one_is_whole(tmp_path):
    path = tmp_path / "data.jsonl"
    Journal(path).add(Record(RUNS[0], {"top1": 0.5}))
    with path.open("ab") as file:
        file.write(b'{"settings": {"seed": 1')
    journal = Journal(path)
    assert journal.missing(RUNS) == RUNS[1:]
    journal.add(Record(RUNS[1], {"top1": 0.25}))
    assert [record.figures["top1"] for record in Journal(path).records(RUNS)] == [0.5, 0.25]


@pytest.mark.parametrize("content", ["shopping\n", "[1]\n", '{"settings": 3, "figures": {}}\n'])
def test_a_foreign_file_is_left_alone(tmp_path, content):
    (tmp_path / "data.jsonl").write_text(content)
    with pytest.raises(ClaverError, match="no journal of a study"):
        Journal(tmp_path / "data.jsonl")
    assert (tmp_path / "data.jsonl").read_text() == content


@pytest.mark.parametrize("content", [b'{"mine": 1}\nno end', b"no end", b"\xff\xfe\n", b'{"settings": 3}\n'])
def test_a_foreign_file_is_left_as_it_is(content, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes(content)
    with pytest.raises(ClaverError, match="no journal of a study"):
        Journal(path)
    assert path.read_bytes() == content


def test_settings_in_words_of_before_are_those_of_today(tmp_path: Path) -> None:
    """What version 0.1 called `waves` is `sinusoidal`: neither records nor caches are lost by the name."""
    path = tmp_path / "data.jsonl"
    line = {"settings": {"seed": 0, "motion.temporal.init": "waves"}, "made_of": "x", "figures": {"top1": 0.5}}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    today = {"motion.temporal.init": "sinusoidal", "seed": 0}
    journal = Journal(path, lambda settings: "x")
    assert journal.missing([today]) == []
    assert journal.records([today]) == [Record(today, {"top1": 0.5})]


def test_digests_of_runs_are_those_that_were_written_before() -> None:
    """By the settings of a record of docs/studies; the digest is what version 0.2.0 of 2026-11-26 made of them."""
    line = (Path(__file__).parents[2] / "docs/studies/shuffle/data.jsonl").read_text(encoding="utf-8").splitlines()[0]
    before = json.loads(line)["settings"]
    assert before["motion.temporal.init"] == "waves"
    assert find_study("shuffle").made_of(as_now(before)) == "41e15915ce77"
    assert key_of(as_now(before)) == key_of(before)
