"""Sub-word scores joined to words, and verbs told from nouns."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny import letter_tokenizer

from claver.data.classes import benchmark_classes
from claver.explain.words import KINDS, share_of, token_spans, weigh_words, word_kinds, word_spans
from claver.models.tokenizer import packaged_clip_tokenizer

TAGGED = """
a/O cartoon/N kangaroo/N disco/N dances/V
a/O man/N is/O abseiling/V via/O using/V a/O rope/N
an/O otter/N stands/V on/O a/O surfboard/N surfing/V water/N
a/O person/N is/O cutting/V watermelon/N with/O a/O knife/N
moves/V left/O
a/O shape/N spins/V counter-clockwise/O
a/O video/N of/O a/O shape/N that/O slides/V to/O the/O right/O
long/O jump/N
clean/V and/O jerk/V
the/O dancer/N kicks/V high,/O then/O throws/V the/O ball/N
throwing/V kicks/N
two/O people/N reach/V out/O and/O hold/V each/O other's/O hand/N
hands/N meet,/V move/V up/O and/O down,/O and/O part/V
playing/V the/O drums/N
a/O boy/N ties/V his/O shoe/N
she/O carried/V a/O painting/N and/O painted/V the/O ceiling/N
pull/V ups/N
slowly/O she/O hopped/V over/O the/O snow/N
"""


@pytest.mark.parametrize("line", TAGGED.strip().splitlines())
def test_kinds_of_words(line: str) -> None:
    words, initials = zip(*(word.rsplit("/", 1) for word in line.split()), strict=True)
    assert "".join(kind[0].upper() for kind in word_kinds(words)) == "".join(initials)


def test_nearly_every_action_has_a_verb() -> None:
    names = benchmark_classes("kinetics400")
    without = [name for name in names if "verb" not in word_kinds(name.split())]
    assert len(without) / len(names) < 0.05
    assert {"yoga", "archery", "high kick"} <= set(without)


@given(st.text())
def test_any_text_has_a_kind_for_each_word(text: str) -> None:
    kinds = word_kinds(text.split())
    assert len(kinds) == len(text.split())
    assert set(kinds) <= set(KINDS)


def test_scores_of_tokens_add_up_to_words() -> None:
    tokenizer = letter_tokenizer()
    # start, "a", " ", "b", "c", end: the space goes with the word behind it
    words = weigh_words("a bc", [9, 1, 2, 3, 4, 9], tokenizer)
    assert [(word.text, word.share) for word in words] == [("a", 0.1), ("bc", 0.9)]
    assert share_of("noun", words) + share_of("verb", words) + share_of("other", words) == pytest.approx(1)
    assert [word.share for word in weigh_words("a bc", [9, 0, 0, 0, 0, 9], tokenizer)] == [0, 0]
    assert weigh_words("", [9, 9], tokenizer) == ()


def test_a_word_that_was_cut_off_has_no_share() -> None:
    words = weigh_words("ab cd", [9, 1, 1, 9], letter_tokenizer(4))
    assert [word.share for word in words] == [1, 0]


def test_marks_are_apart_from_words() -> None:
    # start, a, b, comma, space, c, full stop, end
    words = weigh_words("ab, c.", [9, 1, 1, 2, 0, 3, 1, 9], letter_tokenizer())
    assert [(word.text, word.share, word.is_mark) for word in words] == [
        ("ab", 0.25, False),
        (",", 0.25, True),
        ("c", 0.375, False),
        (".", 0.125, True),
    ]
    split = [word.text for word in weigh_words("It's (counter-clockwise), “high”!", [], letter_tokenizer())]
    assert split == ["It's", "(", "counter-clockwise", "),", "“", "high", "”!"]
    assert [word.kind for word in weigh_words("kicks high, then throws.", [], letter_tokenizer())] == [
        *("verb", "other", "other", "other", "verb", "other")
    ]


@settings(deadline=None)  # the first example loads the vocabulary
@given(st.lists(st.text("abgnirs',.!-éß1", min_size=1), max_size=8))
def test_clip_s_tokens_belong_to_one_word_each(words: list[str]) -> None:
    tokenizer = packaged_clip_tokenizer()
    if tokenizer is None:
        pytest.skip("instant-clip-tokenizer (extra clip-vocabulary) is not installed")
    text = " ".join(words)
    ids = tokenizer.encode(text)[1:-1]
    spans = list(token_spans(text, tokenizer))
    assert [token for start, stop in spans for token in ids[start:stop]] == ids
    starts = [start for start, _ in word_spans(text)]
    for start, stop in pairwise([place for place in starts if not place or text[place - 1] == " "]):
        (first, last) = (spans[starts.index(place)][0] for place in (start, stop))
        assert ids[first:last] == tokenizer.encode(text[start:stop])[1:-1]
