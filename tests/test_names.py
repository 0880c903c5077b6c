"""Names as people write them: what is one name, what is text, and which lists are numbered."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claver.names import composed, fault, seems_numbered, text_lines, without_numbers


@pytest.mark.parametrize(
    "name", ["می\u200cدود", "👩\u200d🍳 cooking", "lancer\u00a0le ballon", "投げる\u3000球", "a\u2028b"]
)
def test_joiners_and_blanks_of_any_kind_are_text(name: str) -> None:
    assert fault(name) == ""


def test_control_characters_and_halves_of_characters_are_not() -> None:
    assert "control character ('\\x1b')" in fault("a\x1b[31m")
    assert "control character" in fault("a\tb")
    assert "is not UTF-8 text" in fault("caf\udce9")


@pytest.mark.parametrize(
    ("lines", "names", "first"),
    [
        (["0 abseiling", "1 tai chi"], ["abseiling", "tai chi"], 0),
        (["1 ApplyEyeMakeup", "2 ApplyLipstick", "3 Archery"], ["ApplyEyeMakeup", "ApplyLipstick", "Archery"], 1),
        (["0,abseiling", "1,tai chi"], ["abseiling", "tai chi"], 0),
        (["1. bow", "2. wave, twice"], ["bow", "wave, twice"], 1),
        (["id,name", "0,abseiling", "1,tai chi"], ["abseiling", "tai chi"], 0),
        (["id\tname", "0\tabseiling"], ["abseiling"], 0),
        (["1 b", "0 a"], ["a", "b"], 0),
        (["class_id,class_name", "0,abseiling"], ["abseiling"], 0),
        (["Index\tAction name", "1\tabseiling", "2\tarchery"], ["abseiling", "archery"], 1),
        (["# classes of ours", "0 abseiling", "1 archery"], ["abseiling", "archery"], 0),
        (["archery,1", "abseiling, outdoors,0"], ["abseiling, outdoors", "archery"], 0),
        (["name\tid", "abseiling\t1", "archery\t2"], ["abseiling", "archery"], 1),
    ],
)
def test_numbered_lists_give_names(lines: list[str], names: list[str], first: int) -> None:
    assert without_numbers(lines) == (names, first)


@pytest.mark.parametrize(
    "lines",
    [
        ["100 meters running", "200 meters running", "400 meters hurdles"],
        ["3d printing", "4d printing"],
        ["1 hand clapping", "juggling"],
        ["0 abseiling"],
        ["0 abseiling", "1,tai chi"],
        ["0 abseiling", "2 tai chi"],
        ["0 abseiling", "0 tai chi"],
        ["id,name", "waving"],
        ["gear 1", "gear 2"],
        ["juggling", "1 hand clapping"],
        [],
    ],
)
def test_names_that_begin_with_numbers_are_not_cut(lines: list[str]) -> None:
    assert without_numbers(lines) == (lines, None)


@pytest.mark.parametrize(
    ("lines", "seems"),
    [
        (["1 abseiling", "2 archery", "4 bowling"], True),
        (["abseiling,0", "archery,2"], True),
        (["0 abseiling", "0 archery"], True),
        (["100 meters running", "200 meters running"], False),
        (["0 abseiling", "1 archery"], False),
        (["bow", "wave"], False),
    ],
)
def test_lists_whose_numbers_have_gaps_are_noticed(lines: list[str], seems: bool) -> None:
    assert seems_numbered(lines) == seems


@given(st.lists(st.text(st.characters(categories=["L", "M", "N"]), min_size=1).map(str.strip).filter(bool), min_size=2))
def test_numbers_put_before_names_are_taken_off_again(names: list[str]) -> None:
    for first in (0, 1):
        assert without_numbers([f"{n} {name}" for n, name in enumerate(names, first)]) == (names, first)


def test_lines_end_at_ends_of_lines_alone() -> None:
    assert text_lines("a\r\nb\rc\u2028d\x85e\nf") == ["a", "b", "c\u2028d\x85e", "f"]


@given(st.text())
def test_composed_and_decomposed_names_are_one(name: str) -> None:
    assert composed(unicodedata.normalize("NFD", name)) == composed(name)
