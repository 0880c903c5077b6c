"""Banks of texts: what comes with the package is whole, and choosing from it loses nothing unsaid."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claver.errors import ClaverError
from claver.text import BENCHMARKS, DEFAULT_TEMPLATES, KINDS, Prompt, PromptBank, benchmark_classes, write_prompts
from claver.text.bank import KINETICS, shipped_names
from claver.text.record import Kind
from claver.text.validate import validate

LEAST = {"kinetics400": 2, "kinetics600": 2, "ucf101": 3, "hmdb51": 3}


def bank(*rows: tuple[str, Kind, str], of: str = "own") -> PromptBank:
    return PromptBank(tuple(Prompt(of, action, kind, text) for action, kind, text in rows))


SMALL = bank(
    ("waving", "synonym", "saying hello"),
    ("waving", "decomposition", "A wave."),
    ("bowing", "decomposition", "A bow."),
    ("bowing", "synonym", "curtsying"),
    ("bowing", "synonym", "bending over"),
)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_class_has_enough_texts_of_every_kind(name: str) -> None:
    shipped = PromptBank.shipped(name)
    assert shipped.names == tuple(benchmark_classes(name))
    assert shipped.kinds == KINDS
    counts = shipped.counts()
    assert min(counts[action, kind] for action in shipped.names for kind in KINDS) >= LEAST[name]
    assert all(counts[action, "template"] == len(DEFAULT_TEMPLATES) for action in shipped.names)
    assert {prompt.list for prompt in shipped.prompts} == {name}


@pytest.mark.parametrize("name", [KINETICS, "ucf101", "hmdb51"])
def test_what_is_shipped_is_valid(name: str) -> None:
    pytest.importorskip("instant_clip_tokenizer")
    stored = PromptBank.shipped(name).of_kinds(set(KINDS) - {"template"})
    findings = validate(stored.prompts, kinds=stored.kinds, least=2 if name == KINETICS else 3)
    assert findings == []
    assert all(prompt.source is not None and prompt.text.isascii() for prompt in stored.prompts)


def test_no_pattern_of_a_sentence_goes_through_a_list() -> None:
    for name in (KINETICS, "ucf101", "hmdb51"):
        sentences = PromptBank.shipped(name).of_kinds({"decomposition", "body"}).prompts
        openings = Counter(tuple(prompt.text.casefold().split()[:3]) for prompt in sentences)
        assert openings.most_common(1)[0][1] <= max(6, len(sentences) // 200), name


def test_kinetics_is_one_bank_for_two_lists() -> None:
    both = set(benchmark_classes("kinetics400")) | set(benchmark_classes("kinetics600"))
    assert set(PromptBank.shipped(KINETICS).names) == both
    assert shipped_names() == BENCHMARKS
    with pytest.raises(ClaverError, match="no texts come with claver for 'ssv2'"):
        PromptBank.shipped("ssv2")


def test_texts_come_kind_by_kind_even_kinds_first() -> None:
    actions = SMALL.actions(["bowing", "waving"])
    assert actions.texts == (("A bow.", "curtsying", "bending over"), ("A wave.", "saying hello"))
    even = bank(("a", "synonym", "x"), ("b", "synonym", "y"), ("a", "decomposition", "X a."), ("a", "body", "A x."))
    assert even.actions().texts == (("x", "X a.", "A x."), ("y",))
    assert SMALL.actions(kinds=["synonym"]).texts == (("saying hello",), ("curtsying", "bending over"))


def test_actions_without_text_are_named_or_get_templates() -> None:
    with pytest.raises(ClaverError, match=r"no text of the kinds asked for about 'nodding' and 1 other$"):
        SMALL.actions(["waving", "nodding", "flying"])
    assert SMALL.actions(["waving", "nodding"], templates=["they are {}"]).texts[1] == ("they are nodding",)


def test_merging_keeps_everything_once() -> None:
    more = bank(("bowing", "synonym", "curtsying"), ("nodding", "synonym", "agreeing"))
    both = SMALL | more
    assert both.prompts == (*SMALL.prompts, more.prompts[1])
    assert (both | both) == both
    twice = bank(("waving", "synonym", "hi"), of="a") | bank(("waving", "synonym", "hi"), of="b")
    assert len(twice) == 2
    assert twice.actions().texts == (("hi",),)


def test_a_file_comes_back_and_templates_are_filled_where_none_are(tmp_path: Path) -> None:
    write_prompts(SMALL.prompts, tmp_path / "bank.jsonl")
    assert PromptBank.read(tmp_path / "bank.jsonl") == SMALL
    filled = SMALL.with_templates(["{}", "someone {}"])
    assert filled.actions().texts[0] == ("waving", "someone waving", "A wave.", "saying hello")
    assert filled.with_templates() == filled
    assert "2 actions, 9 texts: template, decomposition, synonym" in repr(filled)


TEXTS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(KINDS), st.text("xyz", min_size=1)), max_size=30)


@given(TEXTS, st.integers(0, 4), st.integers(0, 3))
def test_taking_some_depends_on_nothing_else_in_the_bank(
    rows: list[tuple[str, Kind, str]], count: int, seed: int
) -> None:
    whole = bank(*rows)
    taken = whole.take(count, seed)
    assert taken.counts() == Counter({key: min(count, have) for key, have in whole.counts().items() if count})
    assert set(taken.prompts) <= set(whole.prompts)
    alone = whole.of_actions("a").of_kinds({"body"})
    assert alone.take(count, seed) == taken.of_actions("a").of_kinds({"body"})
    assert taken.take(count, seed) == taken
