import pytest

from claver.errors import ClaverError
from claver.studies.journal import Journal
from claver.studies.study import Record

RUNS = [{"seed": seed, "kind": "kmt"} for seed in range(3)]


def test_what_is_done_is_known_to_the_next_command(tmp_path):
    journal = Journal(tmp_path / "data.jsonl")
    assert journal.missing([*RUNS, RUNS[0]]) == RUNS
    journal.add(Record(RUNS[1], {"top1": 0.5}))
    later = Journal(tmp_path / "data.jsonl")
    assert later.missing([{"kind": "kmt", "seed": 1}, RUNS[2]]) == [RUNS[2]]
    assert later.records(RUNS) == [Record(RUNS[1], {"top1": 0.5})]


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
