"""Markup that is escaped, and what a page says in words."""

from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claver.explain import Explanation
from claver.explain.markup import bar, tag, text
from claver.explain.telling import headline, number, place_words, role, shown_actions, summary

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
        assert {causal.action, causal.against} <= set(shown)
        assert len(shown) == min(max(count, 2), 3)
    assert [role(causal, name) for name in (causal.action, causal.against, "bowing")] == ["chosen", "rival", ""]
    assert shown_actions(causal)[0] == causal.prediction.action  # best first


def test_summary_names_what_stands_out(causal: Explanation) -> None:
    told = summary(causal)
    strongest = int(causal.moments.argmax())
    assert f"“{causal.prediction.action}”" in told
    assert f" {strongest + 1} " in told
    assert headline(causal).startswith("Why “waving” rather than")
    assert number(-1.26) == "−1.3"
    assert number(-0.04) == number(np.float32(-0.04)) == "0.0"
