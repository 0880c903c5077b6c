"""The page as a browser has it, and that it needs nothing but itself."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from tests.browser import browse
from tests.explain.conftest import EVIL, explained

from claver.explain import Explanation
from claver.explain.render.page import page
from claver.explain.render.summary import headline, seconds_of
from claver.models.config import Temporal
from claver.video import read_video

FRAMES = 4
EMPTY = {"meta", "img"}


class Elements(HTMLParser):
    """Elements with their attributes and text, and whether every one that was opened was closed."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def check(markup: str, explanation: Explanation) -> Elements:
    """What must hold of the page as written and of the browser's idea of it alike."""
    elements = Elements(markup)
    assert not elements.open
    assert "script" not in {name for name, _ in elements.found}
    assert not {"b", "link", "iframe"} & {name for name, _ in elements.found}
    images = elements.all("img")
    assert len(images) == 4 * FRAMES + 1
    assert all(image["alt"] and (image["src"] or "").startswith("data:image/png;base64,") for image in images)
    assert elements.all("html") == [{"lang": "en"}]
    assert elements.texts["h1"] == [headline(explanation)]
    assert len(elements.texts["h2"]) == 4
    (chart,) = elements.all("svg")
    assert chart["role"] == "img"
    assert str(chart["aria-label"]).startswith("Scores after each frame")
    assert len(elements.all("polyline")) == 3
    return elements


def test_the_page_is_whole_and_escaped(causal: Explanation) -> None:
    markup = page(causal)
    elements = check(markup, causal)
    beside_pictures = re.sub(r"base64,[^\"]*", "", markup)
    assert not re.search(r"//[a-z]|@import|url\(|https?:", beside_pictures)
    words = [attributes for attributes in elements.all("span") if "word" in str(attributes.get("class")).split()]
    assert {"word verb", "word noun", "word other"} <= {str(word["class"]) for word in words}
    assert any("Temporal relevance in frame 4: none." in str(image["alt"]) for image in elements.all("img"))
    assert "so that weak relevance can be seen as well" in markup
    assert elements.texts["small"][:4] == [seconds_of(causal, frame) for frame in range(4)]
    assert any("strongest at the" in str(image["alt"]) for image in elements.all("img"))


@pytest.mark.parametrize("kind", get_args(Temporal))
def test_every_kind_says_whether_it_looks_ahead(kind: Temporal, clip: Path) -> None:
    markup = page(explained(clip, kind))
    assert ("they look ahead" in markup) == (kind not in ("kmct", "mean"))
    assert ("temporal maps are empty" in markup) == (kind in ("class", "mean"))


def test_one_action_alone(clip: Path) -> None:
    from tests.tiny import talking_model

    from claver.explain import explain

    markup = page(explain(talking_model(), clip, "waving"))
    assert "one action alone" in markup
    assert "The score of “waving” is" in markup
    assert not Elements(markup).open


def test_a_browser_shows_it(chromium: str, causal: Explanation, tmp_path: Path) -> None:
    path = causal.save(tmp_path / "why.html")
    dom = browse(chromium, path, "--dump-dom")
    elements = check(dom, causal)
    assert EVIL in "".join(elements.texts["h1"])
    assert elements.texts["title"][0] == elements.texts["h1"][0]
    shares = "".join(elements.texts["div"])
    assert all(f"{share:.0%}" in shares for share in causal.moments)


def test_a_browser_draws_it(chromium: str, causal: Explanation, tmp_path: Path) -> None:
    path, shot = causal.save(tmp_path / "why.html"), tmp_path / "shot.png"
    browse(chromium, path, "--hide-scrollbars", "--window-size=1200,1500", f"--screenshot={shot}")
    pixels = read_video(shot)[0]
    assert pixels.shape == (1500, 1200, 3)
    assert pixels[:40].std() < 3  # margin
    dark = (pixels.sum(2) < 200).mean()
    assert 0.02 < dark < 0.6  # maps and letters are there
    accent = np.abs(pixels.astype(int) - [0x7A, 0x1F, 0x7D]).sum(2) < 12
    assert accent.sum() > 500  # bars
