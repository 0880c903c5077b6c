"""JSON of others: one sentence with the line, whatever is wrong, in bounded time."""

import json
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claver.errors import ClaverError
from claver.json_text import parse_json, read_json


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,\n "b": }', "here, line 2: not valid JSON (Expecting value)"),
        ("[" * 100_000, "here: JSON that is nested too deeply"),
        ('{"a": ' * 100_000, "here: JSON that is nested too deeply"),
        ("[1, NaN]", "here: NaN is not finite"),
        ("-Infinity", "here: -Infinity is not finite"),
        ("[1e999]", "here: the number 1e999 is too large"),
        ("9" * 5000, "here: a whole number of thousands of digits"),
        ("", "here, line 1: not valid JSON (Expecting value)"),
    ],
)
def test_what_is_wrong_is_one_sentence(text: str, said: str) -> None:
    begun = perf_counter()
    with pytest.raises(ClaverError) as caught:
        parse_json(text, "here")
    assert str(caught.value) == said
    assert perf_counter() - begun < 2


def test_a_line_of_many_is_named() -> None:
    with pytest.raises(ClaverError, match=r"^here, line 7: not a line of JSON"):
        parse_json("{", "here", 7)
    with pytest.raises(ClaverError, match=r"^here, line 7: NaN is not finite"):
        parse_json("NaN", "here", 7)


def test_a_file_is_read_in_bounds(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a\xff": 1.5}')
    assert read_json(tmp_path / "a.json") == {"a\udcff": 1.5}
    with pytest.raises(ClaverError, match="has more than 5 bytes"):
        read_json(tmp_path / "a.json", 5)


@given(st.text() | st.text(alphabet='[]{}",:-+.0123456789eENaInfity \n\\u'))
def test_nothing_but_a_sentence_comes_of_any_text(text: str) -> None:
    with suppress(ClaverError):
        assert parse_json(text, "here") == json.loads(text)
