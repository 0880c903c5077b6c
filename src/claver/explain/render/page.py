"""An explanation as one HTML page that needs nothing else: no network, no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from claver.explain.evidence import Evidence, ExplainedText
from claver.explain.render.chart import Line, time_line
from claver.explain.render.heat_map import data_uri, enlarge, heat_picture, intensity, ramp
from claver.explain.render.markup import bar, tag, text
from claver.explain.render.summary import (
    KIND_NAMES,
    MAPS,
    Ranked,
    empty_note,
    headline,
    number,
    place_words,
    role,
    seconds_of,
    shown_actions,
    summary,
    time_line_note,
)
from claver.explain.words import KINDS, Kind, Word, share_of, word_spans
from claver.inference.prediction import percent, share_scale
from claver.terminal import shown_text

_HOW_TO_READ = """
Relevance follows Chefer, Gur and Wolf (2021): in every attention layer the weights, times how much what is explained
would change with them, where positive, averaged over heads and carried from layer to layer. It shows what attention
carried, not what would happen without it, and has no unit: compare within a row, not between clips. Verbs and nouns are
told apart by short lists and endings, which errs at times.
"""


def page(explanation: Evidence) -> str:
    """The whole page; whatever comes from outside is escaped."""
    style = resources.files("claver.explain.render").joinpath("page.css").read_text(encoding="utf-8")
    title = headline(explanation)
    view = tag("meta", name="viewport", content="width=device-width, initial-scale=1")
    head = [tag("meta", charset="utf-8"), view, text("title", title), tag("style", f"\n{style}")]
    top = [text("h1", title), _facts(explanation), text("p", summary(explanation), cls="lead")]
    pair = tag("div", _answers(explanation) + _time_line(explanation), cls="pair")
    main = [maps_section(explanation), pair, words_section(explanation)]
    read = tag("p", tag("strong", "How to read this.") + escape(_HOW_TO_READ))
    body = "\n".join([tag("header", top), tag("main", "\n".join(main)), tag("footer", read)])
    html = tag("html", f"\n{tag('head', head)}\n{tag('body', body)}\n", lang="en")
    return shown_text(f"<!doctype html>\n{html}\n")


def _facts(explanation: Evidence) -> str:
    facts = [
        PurePath(explanation.prediction.source).name,
        f"temporal attention: {KIND_NAMES[explanation.temporal_kind]}",
        f"{len(explanation.moments)} frame{'s' * (len(explanation.moments) > 1)}",
        f"{'difference of scores' if explanation.against else 'score'} {number(explanation.similarity, 2)}",
    ]
    return text("p", " · ".join(facts), cls="facts")


def _answers(explanation: Evidence) -> str:
    count, scale = len(explanation.prediction.actions), share_scale(explanation.prediction.top(1)[0].probability)
    many = (
        f"Probability among the {count} actions that compete"
        if count > 1
        else "Probability: one action alone, hence certain"
    )
    why = text("p", many + (f"; a full bar is {scale:.0%}." if scale < 1 else "."), cls="why")
    rows = [row for shown in shown_actions(explanation) for row in _answer_rows(explanation, shown, scale)]
    return tag("section", [text("h2", "Answers by rank"), why, tag("ol", rows, cls="bars")])


def _answer_rows(explanation: Evidence, shown: Ranked, scale: float) -> list[str]:
    """A bar, and before it how many actions are left out there, if any."""
    share = explanation.probability(shown.action)
    name, part = f"{shown.rank:,}. {shown.action}", role(explanation, shown.action)
    gap = [text("li", f"⋮ {shown.left_out:,} more", cls="gap")] if shown.left_out else []
    return [*gap, bar(name, share, part, percent(share), scale=scale)]


def _time_line(explanation: Evidence) -> str:
    actions, shown = explanation.prediction.actions, shown_actions(explanation)
    shown.sort(key=lambda one: ("chosen", "rival", "").index(role(explanation, one.action)))
    lines = [
        Line(f"{rank:,}. {name}", explanation.scores[:, actions.index(name)], role(explanation, name))
        for name, rank, _ in shown
    ]
    ends = ", ".join(f"{line.label} {number(line.scores[0])} to {number(line.scores[-1])}" for line in lines)
    chart = time_line(lines, f"Scores after each frame, from the first to the last: {ends}.")
    why = text("p", time_line_note(explanation), cls="why")
    return tag("section", [text("h2", "Time line"), why, chart, _numbers(explanation, shown)])


def _numbers(explanation: Evidence, shown: Sequence[Ranked]) -> str:
    """The chart as a table, for readers who want numbers or cannot see the chart."""
    rows = [tag("tr", [text("th", "action"), *(text("th", str(n + 1)) for n in range(len(explanation.scores)))])]
    for name, rank, _ in shown:
        index = explanation.prediction.actions.index(name)
        pairs = zip(explanation.scores[:, index], explanation.probabilities[:, index], strict=True)
        cells = [text("td", f"{number(score, 2)} ({percent(share)})") for score, share in pairs]
        rows.append(tag("tr", [text("th", f"{rank:,}. {name}", scope="row"), *cells]))
    table = tag("div", tag("table", rows, cls="numbers"), cls="scroll", tabindex=0)
    return tag("details", text("summary", "The numbers: score and probability after each frame") + table)


_WHY = """
Colour over the grey frame shows where the attention that made this score came from, on one scale per row; a white line
surrounds what is above half of that scale.
"""
_LEGEND = "the scale is the square root of relevance, so that weak relevance can be seen as well"


def maps_section(explanation: Evidence) -> str:
    """A column for each frame: the frame, its maps, and its share of the relevance."""
    frames, moments = explanation.prediction.frames, explanation.moments
    heads = [_head(explanation, frame) for frame in range(len(frames))]
    rows = [
        tag("tr", [tag("td"), *heads]),
        _row(
            "Frame", "as the model saw it", [_image(enlarge(f), f"Frame {n}.") for n, f in enumerate(frames, start=1)]
        ),
        *(_map_row(explanation, *kind) for kind in MAPS),
        _row("Share", "of the clip's relevance", [_column(share, moments.max()) for share in moments]),
    ]
    table = tag("div", tag("table", rows, cls="film", style=f"--frames:{len(frames)}"), cls="scroll", tabindex=0)
    vacant = text("p", note, cls="why") if (note := empty_note(explanation)) else ""
    return tag(
        "section", [text("h2", "Which moments, which places"), text("p", _WHY, cls="why"), table, _legend(), vacant]
    )


def _head(explanation: Evidence, frame: int) -> str:
    """The frame's number and when it is shown."""
    when = seconds_of(explanation, frame)
    return tag("th", str(frame + 1) + (text("small", when) if when else ""), scope="col")


def _map_row(explanation: Evidence, name: str, title: str, note: str) -> str:
    maps = getattr(explanation, name)
    together = zip(explanation.prediction.frames, maps, intensity(maps), strict=True)
    cells = [
        _image(heat_picture(frame, shade), f"{title} relevance in frame {number}: {place_words(values, maps)}.")
        for number, (frame, values, shade) in enumerate(together, start=1)
    ]
    return _row(title, note, cells)


def _row(title: str, note: str, cells: Iterable[str]) -> str:
    head = tag("th", title + text("small", note), scope="row")
    return tag("tr", [head, *(tag("td", cell) for cell in cells)])


def _image(picture: NDArray[np.uint8], alternative: str) -> str:
    height, width = picture.shape[:2]
    return tag("img", src=data_uri(picture), width=width, height=height, alt=alternative)


def _column(share: float, greatest: float) -> str:
    height = 100 * share / greatest if greatest > 0 else 0
    column = tag("div", tag("span", style=f"height:{height:.1f}%"), cls="column", aria_hidden="true")
    return column + text("div", f"{share:.0%}", cls="share")


def _legend() -> str:
    image = tag("img", cls="ramp", src=data_uri(ramp(192, 12)), alt="from grey over violet to light yellow")
    return tag("p", f"none {image} most · {_LEGEND}", cls="legend")


_PLURALS: dict[Kind, str] = {"verb": "verbs", "noun": "nouns", "other": "other words and marks"}
_LINES: dict[Kind, str] = {"verb": "solid line", "noun": "dotted line", "other": "no line"}


def words_section(explanation: Evidence) -> str:
    """The texts of the action, and of the one it is compared with, word by word."""
    parts = [_texts(explanation.action, explanation.texts)]
    if explanation.against:
        parts.append(_texts(explanation.against, explanation.against_texts))
    return tag("section", [text("h2", "Which words"), _key(), *parts])


def _key() -> str:
    samples = " · ".join(
        f"{text('span', kind, cls=f'word {kind}', style='--share:.45')} {line}" for kind, line in _LINES.items()
    )
    meaning = "The deeper a word's background, the larger its share of its text's relevance, printed below it."
    return tag("p", f"{samples}. {meaning}", cls="key")


def _texts(action: str, texts: Sequence[ExplainedText]) -> str:
    first, *others = texts
    left = tag("div", [_sentence(first), _bars(first.words)])
    more = [text("h4", "Other texts of this action, less similar to the clip"), *map(_sentence, others)]
    right = tag("div", more, cls="more") if others else ""
    return text("h3", f"Speaking for “{action}”") + tag("div", left + right, cls="halves")


def _sentence(text: ExplainedText) -> str:
    """The text as it is written, spaces and all."""
    parts, before = [], 0
    for word, (start, stop) in zip(text.words, word_spans(text.text), strict=True):
        parts.append(escape(text.text[before:start]) + _word(word))
        before = stop
    return tag("p", parts, cls="sentence")


def _word(word: Word) -> str:
    if word.is_mark:
        return tag("span", escape(word.text), cls="mark", title=f"{word.share:.0%}")
    share = text("small", f"{word.share:.0%}")
    return tag(
        "span", escape(word.text) + share, cls=f"word {word.kind}", style=f"--share:{word.share:.3f}", title=word.kind
    )


def _bars(words: Sequence[Word]) -> str:
    scale = share_scale(max((word.share for word in words), default=1))
    rows = [
        bar(f"{word.text} ({word.kind})", word.share, word.kind, f"{word.share:.0%}", scale=scale)
        for word in words
        if not word.is_mark
    ]
    present = [kind for kind in KINDS if any(word.kind == kind for word in words)]
    totals = ", ".join(f"{_PLURALS[kind]} {share_of(kind, words):.0%}" for kind in present)
    return tag("ol", rows, cls="bars") + text("p", f"Together: {totals}.", cls="key")
