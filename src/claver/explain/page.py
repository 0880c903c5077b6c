"""An explanation as one HTML page that needs nothing else: no network, no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import PurePath

from claver.explain.chart import Line, time_line
from claver.explain.explanation import Explanation
from claver.explain.markup import bar, tag, text
from claver.explain.page_maps import maps_section
from claver.explain.page_words import words_section
from claver.explain.telling import (
    KIND_NAMES,
    Ranked,
    headline,
    number,
    role,
    shown_actions,
    summary,
    time_line_note,
)
from claver.prediction import percent, share_scale
from claver.terminal import shown_text

_HOW_TO_READ = """
Relevance follows Chefer, Gur and Wolf (2021): in every attention layer the weights, times how much what is explained
would change with them, where positive, averaged over heads and carried from layer to layer. It shows what attention
carried, not what would happen without it, and has no unit: compare within a row, not between clips. Verbs and nouns are
told apart by short lists and endings, which errs at times.
"""


def page(explanation: Explanation) -> str:
    """The whole page; whatever comes from outside is escaped."""
    style = resources.files("claver.explain").joinpath("page.css").read_text(encoding="utf-8")
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


def _facts(explanation: Explanation) -> str:
    facts = [
        PurePath(explanation.prediction.source).name,
        f"temporal attention: {KIND_NAMES[explanation.temporal_kind]}",
        f"{len(explanation.moments)} frame{'s' * (len(explanation.moments) > 1)}",
        f"{'difference of scores' if explanation.against else 'score'} {number(explanation.similarity, 2)}",
    ]
    return text("p", " · ".join(facts), cls="facts")


def _answers(explanation: Explanation) -> str:
    count, scale = len(explanation.prediction.actions), share_scale(explanation.prediction.top(1)[0].probability)
    many = (
        f"Probability among the {count} actions that compete"
        if count > 1
        else "Probability: one action alone, hence certain"
    )
    why = text("p", many + (f"; a full bar is {scale:.0%}." if scale < 1 else "."), cls="why")
    rows = [row for shown in shown_actions(explanation) for row in _answer_rows(explanation, shown, scale)]
    return tag("section", [text("h2", "Answers by rank"), why, tag("ol", rows, cls="bars")])


def _answer_rows(explanation: Explanation, shown: Ranked, scale: float) -> list[str]:
    """A bar, and before it how many actions are left out there, if any."""
    share = explanation.probability(shown.action)
    name, part = f"{shown.rank:,}. {shown.action}", role(explanation, shown.action)
    gap = [text("li", f"⋮ {shown.left_out:,} more", cls="gap")] if shown.left_out else []
    return [*gap, bar(name, share, part, percent(share), scale=scale)]


def _time_line(explanation: Explanation) -> str:
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


def _numbers(explanation: Explanation, shown: Sequence[Ranked]) -> str:
    """The chart as a table, for whoever wants figures or cannot see the chart."""
    rows = [tag("tr", [text("th", "action"), *(text("th", str(n + 1)) for n in range(len(explanation.scores)))])]
    for name, rank, _ in shown:
        place = explanation.prediction.actions.index(name)
        pairs = zip(explanation.scores[:, place], explanation.probabilities[:, place], strict=True)
        cells = [text("td", f"{number(score, 2)} ({percent(share)})") for score, share in pairs]
        rows.append(tag("tr", [text("th", f"{rank:,}. {name}", scope="row"), *cells]))
    table = tag("div", tag("table", rows, cls="numbers"), cls="scroll", tabindex=0)
    return tag("details", text("summary", "The numbers: score and probability after each frame") + table)
