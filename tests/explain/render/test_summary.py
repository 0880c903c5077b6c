"""Markup that is escaped, and what a page says in words."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claver.explain import ExplainedText, Explanation, Word
from claver.explain.render.markup import bar, tag, text
from claver.explain.render.page import page
from claver.explain.render.summary import (
    headline,
    ordinal,
    place_words,
    role,
    seconds_of,
    shown_actions,
    summary,
)
from claver.video import Damage

PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40)


class Reader(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.data = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= dict(attrs)

    def handle_data(self, data: str) -> None:
        self.data += data


@given(PRINTABLE, PRINTABLE)
def test_text_and_attributes_come_back_as_they_were(content: str, value: str) -> None:
    read = Reader(text("p", content, title=value, cls="a", hidden=False, lang=None, aria_label="x", open=True))
    assert read.tags == ["p"]
    assert read.data == content
    assert read.attributes == {"title": value, "class": "a", "aria-label": "x", "open": None}


@given(PRINTABLE)
def test_a_bar_holds_its_name(name: str) -> None:
    read = Reader(bar(name, 0.25, "verb"))
    assert read.data == name + "25.0%"
    assert read.attributes["style"] == "width:25.0%"


def test_elements_without_content() -> None:
    assert tag("img", alt='"') == '<img alt="&quot;">'
    assert tag("div", ["a", "b"]) == "<div>ab</div>"


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [(0, 0, "top left"), (3, 3, "middle centre"), (6, 6, "bottom right"), (6, 3, "bottom centre")],
)
def test_places_in_words(row: int, column: int, words: str) -> None:
    maps = np.zeros((2, 7, 7), dtype=np.float32)
    maps[0, row, column], maps[1] = 3, 1 / 49
    assert place_words(maps[0], maps) == f"75% of the row, strongest at the {words}"
    assert place_words(np.zeros((7, 7), dtype=np.float32), maps) == "none"


def test_what_is_explained_is_always_shown(causal: Explanation) -> None:
    assert causal.against is not None
    for count in (1, 2, 3, 9):
        shown = shown_actions(causal, count)
        assert {causal.action, causal.against} <= {one.action for one in shown}
        assert len(shown) == min(max(count, 2), 3)
    assert [role(causal, name) for name in (causal.action, causal.against, "bowing")] == ["chosen", "rival", ""]
    assert shown_actions(causal)[0] == (causal.prediction.action, 1, 0)  # best first


def standing(scores: dict[str, float], action: str, against: str | None, causal: Explanation) -> Explanation:
    """The explanation as if the actions had these scores."""
    values = np.array(list(scores.values()), dtype=np.float32)
    shares = np.exp(values) / np.exp(values).sum()
    prediction = replace(causal.prediction, actions=tuple(scores), scores=values, probabilities=shares)
    difference = scores[action] - (scores[against] if against else 0)
    line = {"scores": np.tile(values, (4, 1)), "probabilities": np.tile(shares, (4, 1))}
    return replace(causal, action=action, against=against, prediction=prediction, similarity=difference, **line)


def test_ranks_are_those_among_all(causal: Explanation) -> None:
    many = standing({f"action {n}": -float(n) for n in range(1, 401)}, "action 229", "action 354", causal)
    assert shown_actions(many) == [
        ("action 1", 1, 0),
        ("action 2", 2, 0),
        ("action 3", 3, 0),
        ("action 229", 229, 225),
        ("action 354", 354, 124),
    ]
    assert "“action 229” is 229th" in summary(many)
    assert "“action 354” is 354th" in summary(many)
    assert [many.to_dict()[key] for key in ("answer", "rank", "against_rank")] == ["action 1", 229, 354]
    markup = page(many)
    assert "⋮ 225 more" in markup
    assert "354. action 354" in markup


@pytest.mark.parametrize(
    ("scores", "action", "against", "title"),
    [
        ({"a": 1}, "a", None, "What made the score of “a”?"),
        ({"a": 1, "b": 0}, "a", None, "Why “a”?"),
        ({"a": 1, "b": 0}, "a", "b", "Why “a” rather than “b”?"),
        ({"a": 0, "b": 1}, "a", "b", "The model names “b”, not “a”"),
        ({"a": 0, "b": 1}, "a", None, "The model names “b”; “a” is 2nd of 2"),
        ({"a": 0, "b": -1, "c": 1}, "a", "b", "The model names “c”; “a” scores above “b”"),
        ({"a": -1, "b": 0, "c": 1}, "a", "b", "The model names “c”; “a” scores below “b”"),
    ],
)
def test_the_headline_says_what_is_so(
    scores: dict[str, float], action: str, against: str | None, title: str, causal: Explanation
) -> None:
    assert headline(standing(scores, action, against, causal)) == title


def test_the_summary_leaves_function_words_out(causal: Explanation) -> None:
    words = (Word("a", "other", 0.7), Word("man", "noun", 0.1), Word("waves", "verb", 0.15), Word(".", "other", 0.05))
    told = summary(replace(causal, texts=(ExplainedText("a man waves.", 1.0, words),)))
    assert "In “a man waves.”, function words aside, “waves” weighs most (15%)." in told
    assert "“a” weighs" not in told
    left = (Word("moves", "verb", 0.2), Word("left", "other", 0.7), Word("it", "other", 0.1))
    assert "“left” weighs most (70%)" in summary(replace(causal, texts=(ExplainedText("moves left it", 1.0, left),)))


def test_seconds_stand_beside_frames(causal: Explanation) -> None:
    assert causal.seconds is not None
    times = [seconds_of(causal, frame) for frame in range(len(causal.moments))]
    assert times == [f"{second:.1f}\u00a0s" for second in causal.seconds]
    assert causal.to_dict()["seconds"] == causal.seconds.tolist()
    first = int(causal.moments.argmax())
    assert f"{first + 1} ({times[first]})" in summary(causal)
    unknown = replace(causal, prediction=replace(causal.prediction, seconds=None))
    assert seconds_of(unknown, 0) == ""
    assert unknown.to_dict()["seconds"] is None


def test_numbers_in_words() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 111, 229, 1002)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "111th", "229th", "1,002nd")
    ]


def test_damage_is_told_first(causal: Explanation) -> None:
    assert "damaged" not in summary(causal)
    assert causal.to_dict()["damaged"] is None
    damage = Damage(0.25, None, "in packet 4: slice CRC mismatch")
    marked = replace(causal, prediction=replace(causal.prediction, damaged=damage))
    assert summary(marked).startswith(
        "The video is damaged: 25 % of the frames used damaged, in packet 4: slice CRC mismatch."
    )
    assert marked.to_dict()["damaged"] == {"share": 0.25, "present": None, "cause": damage.cause}
    assert "The video is damaged" in page(marked)
