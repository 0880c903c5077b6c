import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claver.errors import ClaverError
from claver.text.record import KINDS, Prompt, Source, parse_prompt, read_prompts, write_prompts

LINE = {"list": "own", "action": "juggling", "kind": "synonym", "text": "keeping balls in the air"}
words = st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), min_size=1, max_size=5).map(" ".join)
sources = st.none() | st.builds(Source, words, words, st.dictionaries(words, st.floats(0, 1) | words))


@given(st.builds(Prompt, words, words, st.sampled_from(KINDS), words, sources))
def test_a_line_gives_back_its_text(prompt: Prompt) -> None:
    line = prompt.to_json()
    assert "\n" not in line
    assert parse_prompt(line, "here", 1) == prompt


def test_a_file_gives_back_its_texts(tmp_path: Path) -> None:
    prompts = [Prompt("own", "juggling", kind, f"text {kind}", Source("a model", "2026-11-22")) for kind in KINDS]
    assert read_prompts(write_prompts(prompts, tmp_path / "bank.jsonl")) == prompts
    assert [file.name for file in tmp_path.iterdir()] == ["bank.jsonl"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "poem"}, "kind 'poem' is none of template, decomposition"),
        ({"text": " "}, "'text' is missing, empty or not text"),
        ({"action": 3}, "'action' is missing, empty or not text"),
        ({"source": "me"}, "'source' should be an object"),
        ({"source": {"model": "m", "date": "d", "settings": 5}}, "the settings of 'source' should be an object"),
        ({"text": "half a \ud83d smile"}, "holds half a character"),
    ],
)
def test_a_malformed_line_is_named(change: dict[str, object], message: str, tmp_path: Path) -> None:
    file = tmp_path / "bank.jsonl"
    file.write_text(json.dumps(LINE) + "\n" + json.dumps(LINE | change) + "\n")
    with pytest.raises(ClaverError, match=message) as caught:
        read_prompts(file)
    assert f"{file}, line 2" in str(caught.value)


def test_what_is_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match="there is no bank"):
        read_prompts(tmp_path / "none.jsonl")
    for text, message in (("juggling\n", "not a line of JSON"), ("[1]\n", "expected an object")):
        (tmp_path / "bank.jsonl").write_text(text)
        with pytest.raises(ClaverError, match=message):
            read_prompts(tmp_path / "bank.jsonl")
    (tmp_path / "bank.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(ClaverError, match="not UTF-8"):
        read_prompts(tmp_path / "bank.jsonl")
