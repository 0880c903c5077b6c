"""The bank file while it grows: on disk at once, taken over by the next run, never somebody else's."""

from pathlib import Path

import pytest

from claver.errors import ClaverError
from claver.text import Source, read_prompts
from claver.text.generator import BankFile
from claver.text.record import Kind

ACTIONS = ("juggling", "rowing")


def source(**settings: object) -> Source:
    return Source("m", "2026-11-22", {"temperature": 0.9} | settings)


def sources(**settings: object) -> dict[Kind, Source]:
    return {"body": source(**settings), "synonym": source(**settings)}


def test_a_text_is_on_disk_when_add_returns_and_the_finished_file_is_in_order(tmp_path: Path) -> None:
    path = tmp_path / "bank.jsonl"
    file = BankFile(path, "own", ACTIONS, sources())
    assert not path.exists()
    for added, (action, kind, text) in enumerate(
        [("rowing", "body", "Arms pull."), ("juggling", "body", "Hands."), ("juggling", "synonym", "tossing")], 1
    ):
        file.add(action, kind, text)  # type: ignore[arg-type]
        assert len(read_prompts(path)) == added
    file.finish()
    assert [prompt.text for prompt in read_prompts(path)] == ["tossing", "Hands.", "Arms pull."]
    assert read_prompts(path)[0].source == source()


@pytest.mark.parametrize(
    "torn", [b"", b'{"li', b'{"list": "own", "action": "row', b'{"list": "own", "action": "rowing", "k']
)
def test_the_next_run_takes_over_what_is_whole(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "bank.jsonl"
    first = BankFile(path, "own", ACTIONS, sources())
    first.add("juggling", "body", "Hände werfen.")
    first.close()
    path.write_bytes(path.read_bytes() + torn)
    second = BankFile(path, "own", ACTIONS, sources())
    assert [prompt.text for prompt in second.prompts] == ["Hände werfen."]
    second.add("rowing", "body", "Arms pull.")
    assert [prompt.text for prompt in read_prompts(path)] == ["Hände werfen.", "Arms pull."]


def test_a_line_whose_end_an_editor_left_out_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "bank.jsonl"
    first = BankFile(path, "own", ACTIONS, sources())
    first.add("juggling", "body", "Hands.")
    first.close()
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    BankFile(path, "own", ACTIONS, sources()).add("rowing", "body", "Arms pull.")
    assert [prompt.text for prompt in read_prompts(path)] == ["Hands.", "Arms pull."]


def test_another_day_more_actions_and_texts_of_other_kinds_are_no_other_settings(tmp_path: Path) -> None:
    path = tmp_path / "bank.jsonl"
    BankFile(path, "own", ACTIONS, {"body": Source("m", "2020-01-01", {"temperature": 0.9})}).add("rowing", "body", "a")
    BankFile(path, "own", ACTIONS, {"synonym": source(temperature=0.1)}).add("rowing", "synonym", "b")
    more = BankFile(path, "own", (*ACTIONS, "hopping"), {"body": source()})
    assert [prompt.text for prompt in more.prompts] == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "hmdb51"}, r"another list \('own', not 'hmdb51'\)"),
        ({"actions": ("juggling",)}, r"another list of actions \('rowing' is not asked for\)"),
        ({"sources": sources(temperature=0.5)}, r"another temperature \(0.9, not 0.5\)"),
        ({"sources": {"body": Source("n", "2026-11-22", {})}}, r"another model \('m', not 'n'\)"),
    ],
)
def test_a_bank_made_otherwise_is_left_alone_unless_told(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    path = tmp_path / "bank.jsonl"
    BankFile(path, "own", ACTIONS, sources()).add("rowing", "body", "Arms pull.")
    asked = {"name": "own", "actions": ACTIONS, "sources": sources()} | change
    before = path.read_bytes()
    with pytest.raises(ClaverError, match=sentence):
        BankFile(path, **asked)  # type: ignore[arg-type]
    replaced = BankFile(path, **asked, overwrite=True)  # type: ignore[arg-type]
    assert path.read_bytes() == before  # until there is something in its place
    replaced.add("juggling", "body", "Hands.")
    assert [prompt.text for prompt in read_prompts(path)] == ["Hands."]


@pytest.mark.parametrize(
    "content", [b"dear diary", b"dear diary\n", b'{"a": 1}', b'{"list": "oth', b"\xff\xfe\n", b"{"]
)
def test_somebody_elses_file_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "diary"
    path.write_bytes(content)
    if content == b"{":  # nothing tells it from our own torn line, and nothing is lost with it
        assert BankFile(path, "own", ACTIONS, sources()).prompts == []
    else:
        with pytest.raises(ClaverError, match="diary"):
            BankFile(path, "own", ACTIONS, sources())
    assert path.read_bytes() == content


def test_a_full_disk_is_said_and_keeps_what_is_there(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("no device /dev/full here")
    file = BankFile(tmp_path / "bank.jsonl", "own", ACTIONS, sources())
    file._file = full.open("r+b", buffering=0)
    with pytest.raises(ClaverError, match=r"cannot write .*bank.jsonl: No space left"):
        file.add("juggling", "body", "Hands.")
    assert file.prompts == []
