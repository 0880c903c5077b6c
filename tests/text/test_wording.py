"""How texts are worded, told by the texts."""

import pytest

from claver.text.actions import Actions
from claver.text.selection import read_actions, texts_for
from claver.text.wording import wording


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("names", "plain"),
        ("templates", "plain"),
        ("templates-plain", "plain"),
        ("names,templates", "plain"),
        ("rewritten", "rewritten"),
        ("interpretive", "described"),
        ("decomposition", "described"),
        (None, "described"),
    ],
)
@pytest.mark.parametrize("benchmark", ["hmdb51", "ucf101", "kinetics400"])
def test_every_choice_of_texts_has_its_word(texts: str | None, said: str, benchmark: str) -> None:
    assert wording(read_actions(benchmark, texts=texts)) == said


def test_texts_of_ones_own_are_told_by_what_they_are() -> None:
    assert wording(texts_for(["surfing the net"])) == "plain"
    assert wording(Actions(("a", "b"), (("a",), ("b: it is b", "b: or so")))) == "described"
    assert wording(Actions(("a", "b"), (("a: it is a",), ("b: it is b", "b: or so")))) == "rewritten"
    assert wording(Actions(("a", "b"), (("b",), ("a",)))) == "described"


@pytest.mark.parametrize(
    ("names", "texts", "said"),
    [
        (("archery", "yoga"), (("a photo of archery.",), ("A photo of Yoga.",)), "plain"),
        (("archery", "yoga"), (("a photo of archery.",), ("a film of yoga.",)), "described"),
        (("ApplyEyeMakeup", "YoYo"), (("apply eye makeup",), ("Yo Yo",)), "plain"),
        (("Archery",), (("archery",),), "plain"),
        (("archery",), (("see archery",),), "described"),  # of one action nobody knows what is a template
        (("a", "b"), (("a: ",), ("b: it is b",)), "described"),
        (("c++", "c"), (("see c++",), ("see c",)), "plain"),
        (("c++", "c"), (("c",), ("c++",)), "described"),
        (("+", "-"), (("-",), ("+",)), "described"),
        (("+",), (("!!!",),), "described"),
        (("hit", "eat"), (("a weather photo of hit.",), ("a weather photo of eat.",)), "plain"),
        (("射箭", "瑜伽"), (("一张射箭的照片",), ("一张瑜伽的照片",)), "plain"),
        (("hand-shaking", "hugging"), (("Hand shaking",), ("hugging",)), "plain"),
    ],
)
def test_names_are_found_however_they_are_spelled(
    names: tuple[str, ...], texts: tuple[tuple[str, ...], ...], said: str
) -> None:
    assert wording(Actions(names, texts)) == said
