"""Odd words on the command line and hostile files: one sentence, no traceback, nothing endless."""

import os
import sys
from pathlib import Path

import pytest
from tests.tiny import talking_model

from claver.cli import main
from claver.files import only_writer

LONG, NUMBER = "x" * 5000, "9" * 5000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    talking_model().save_pretrained(folder / "model")
    (folder / "clip.mp4").write_bytes(bytes(range(256)))
    (folder / "list.csv").write_text("path,label\nclip.mp4,a\n")
    (folder / "null.csv").write_bytes(b"path,label\n\0,a\n")
    for suffix in ("csv", "txt", "jsonl", "yaml", "json"):
        (folder / f"deep.{suffix}").write_text("[" * 100_000 + "\n")
        (folder / f"bytes.{suffix}").write_bytes(bytes(range(256)) * 4)
    (folder / "nan.jsonl").write_text('{"list": "a", "action": "b", "kind": "synonym", "text": NaN}\n')
    return folder


def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: Path, words: str) -> str:
    """What the command line says, which must be one sentence of bearable length; exit code 1, or 2 for its usage."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["claver", *(word.replace("␀", "\0") for word in words.split(" "))])
    monkeypatch.setattr(os, "dup2", lambda *_: None)  # the output of the tests stays open
    with pytest.raises(SystemExit) as ended:
        main.main()
    said = capsys.readouterr().err
    assert ended.value.code in (1, 2)
    assert "Traceback" not in said
    assert "should not have happened" not in said
    assert len(said) < 4000
    if ended.value.code == 1:
        errors = [line for line in said.splitlines() if not line.startswith("claver: warning: ")]
        assert [line.startswith("claver: ") for line in errors] == [True]
    return said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"recognize {LONG} --model model --actions a,b --workers 0", ""),
        ("recognize a␀b --model model --actions a,b", "null character"),
        ("recognize clip.mp4 --model model --actions deep.jsonl", "deep.jsonl, line 1: JSON that is nested too deeply"),
        ("recognize clip.mp4 --model model --actions bytes.txt", "bytes.txt is not UTF-8 text"),
        ("recognize clip.mp4 --model model --actions nan.jsonl", "nan.jsonl, line 1: NaN is not finite"),
        ("recognize clip.mp4 --model model --actions a,b --device meta", "device 'meta' cannot be used here"),
        ("recognize clip.mp4 --model model --actions a,b --views 99x3x", "views must be clips x crops"),
        (f"recognize clip.mp4 --model model --actions a,b --top {NUMBER}", ""),
        (f"recognize clip.mp4 --model {LONG} --actions a,b", ""),
        ("evaluate deep.csv --model model", "there is no column 'path'"),
        ("data shard null.csv --output shards", "null"),
        (f"data shard list.csv --output shards --size {'9' * 400}GB", "a size should be like 512MB"),
        ("data shard list.csv --output shards --size ٣MB", "a size should be like 512MB"),
        ("train deep.yaml", "recipe deep.yaml, line 1: not valid YAML (nested too deeply)"),
        ("train bytes.yaml", "bytes.yaml is not UTF-8 text"),
        ("train motion steps=9" + "9" * 5000, "a whole number of thousands of digits"),
        ("train motion lr=.nan", "lr"),
        ("train motion lr=.inf", "lr"),
        ("study texts clip.mp4 bytes.txt --model model", ""),
        ("prompts show a --bank deep.jsonl", "nested too deeply"),
        ("prompts validate bytes.jsonl", "is not UTF-8 text"),
        ("blend model model --output out --weights nan", "--weights are numbers from 0 to 1"),
    ],
)
def test_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: Path, words: str, said: str
) -> None:
    assert said in refused(capsys, monkeypatch, place, words)


@pytest.mark.parametrize(
    "words",
    [
        "recognize clip.mp4 --model none --actions a --output pipe.jsonl",
        "evaluate list.csv --model none --output pipe.jsonl",
        "evaluate list.csv --model none --predictions pipe.jsonl",
        "explain clip.mp4 --action a --model none --output pipe.html",
        "data index . --output pipe.jsonl",
        "data index . --output list2.csv --report pipe.jsonl",
        "data check list.csv --output pipe.jsonl",
        "data check list.csv --write-good pipe.jsonl",
        "data split list.csv --few-shot 1 --output pipe.jsonl",
        "data shard list.csv --output pipe.jsonl",
        "prompts generate --actions a --model none --base-url http://127.0.0.1:9/v1 --output pipe.jsonl",
        "quickstart --output pipe.jsonl",
    ],
)
def test_a_pipe_is_no_output_and_stays_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    for name in ("pipe.jsonl", "pipe.html"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "list.csv").write_text("path,label\nclip.mp4,a\n")
    (tmp_path / "clip.mp4").write_bytes(b"")
    said = refused(capsys, monkeypatch, tmp_path, words)
    assert " is a named pipe, which a file would replace; " in said
    assert said.endswith(("; name another file\n", "; leave out --output to write to stdout, or name a file\n"))
    assert sorted(os.listdir(tmp_path)) == ["clip.mp4", "list.csv", "pipe.html", "pipe.jsonl"]
    assert (tmp_path / "pipe.jsonl").is_fifo()
    assert (tmp_path / "pipe.html").is_fifo()


def test_what_nobody_thought_of_is_one_sentence_as_well(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, said in (
        (RuntimeError("a\x1b[2J\nb"), r"this should not have happened, --verbose says where: RuntimeError: a\x1b[2J b"),
        (MemoryError(), "not enough memory for what was asked"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "not enough memory"),
    ):
        monkeypatch.setattr(main, "app", lambda error=error: (_ for _ in ()).throw(error))
        with pytest.raises(SystemExit):
            main.main()
        assert capsys.readouterr().err.startswith(f"claver: {said}")


def test_a_second_command_is_told_by_those_that_have_no_journal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    for words in ("data index . --output {0}", "data split list.csv --few-shot 1 --output {0}"):
        with only_writer(place / "one.csv"):
            assert "another claver command is writing" in refused(
                capsys, monkeypatch, place, words.format(place / "one.csv")
            )
