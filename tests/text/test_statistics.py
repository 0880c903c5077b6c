"""Figures of a small bank counted by hand, and differences that lead from one bank to the other."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tiny import letter_tokenizer

from claver.text import Prompt, PromptBank
from claver.text.record import Kind
from claver.text.statistics import Change, KindStatistics, differences, openings, statistics_of


def bank(*rows: tuple[str, Kind, str]) -> PromptBank:
    return PromptBank(tuple(Prompt("own", action, kind, text) for action, kind, text in rows))


SMALL = bank(
    ("waving", "synonym", "saying hi"),
    ("waving", "synonym", "saying bye"),
    ("bowing", "synonym", "bending"),
    ("bowing", "body", "The back bends."),
    ("waving", "body", "The back is straight."),
)


def test_figures() -> None:
    synonyms, body = statistics_of(SMALL, letter_tokenizer())
    assert synonyms == KindStatistics("synonym", 3, (1, 1.5, 2), (pytest.approx((11 + 12 + 9) / 3), 12), 4 / 5)
    assert (body.per_action, body.distinct) == ((1, 1, 1), 5 / 7)
    assert statistics_of(SMALL)[0].tokens is None
    assert openings(SMALL) == [("the back", 2)]


def test_a_rewritten_text_is_told_from_a_new_one() -> None:
    after = bank(
        ("waving", "synonym", "saying hi"),
        ("bowing", "synonym", "bending"),
        ("bowing", "synonym", "curtsying"),
        ("bowing", "body", "The back bends."),
        ("waving", "body", "The back is quite straight."),
    )
    assert differences(SMALL, after) == [
        Change("waving", "synonym", "saying bye", None),
        Change("bowing", "synonym", None, "curtsying"),
        Change("waving", "body", "The back is straight.", "The back is quite straight."),
    ]


ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["synonym", "body"]), st.text("xy ", min_size=1)))


@given(ROWS, ROWS)
def test_differences_lead_from_one_bank_to_the_other(one: list[tuple[str, Kind, str]], two: list) -> None:
    first, second = bank(*dict.fromkeys(one)), bank(*dict.fromkeys(two))
    texts = Counter((p.action, p.kind, p.text) for p in first.prompts)
    for change in differences(first, second):
        if change.before is not None:
            texts[change.action, change.kind, change.before] -= 1
        if change.after is not None:
            texts[change.action, change.kind, change.after] += 1
    assert +texts == Counter((p.action, p.kind, p.text) for p in second.prompts)
    assert not differences(first, first)
