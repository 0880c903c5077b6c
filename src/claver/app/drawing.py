"""Pieces of the page as HTML; whatever comes from outside is escaped, and a line of it cannot act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from claver.app.job import Job
from claver.app.uploads import Clip
from claver.explain import Explanation
from claver.explain.render.markup import tag, text
from claver.explain.render.page import maps_section, words_section
from claver.explain.render.summary import headline, summary
from claver.index import Hit
from claver.inference.prediction import NONE, Ranked, percent
from claver.terminal import shown, shown_text
from claver.timeline import Track
from claver.timeline.writing.page import HOW_TO_READ, plots, segment_table
from claver.timeline.writing.text import clock

_BARS = 8


def card(content: str | Sequence[str], *, cls: str = "", **attributes: object) -> str:
    """A piece of the page with a frame around it."""
    return shown_text(tag("div", content, cls=f"cl-card {cls}".strip(), **attributes))


def error_card(why: str) -> str:
    """Why there is no result."""
    return card(text("p", why[:1].upper() + why[1:]), cls="cl-error", role="alert")


def stopped_card() -> str:
    """The work was stopped as asked."""
    return card(text("p", "Stopped."), cls="cl-note", role="status")


def progress_card(job: Job) -> str:
    """How far the work is."""
    share = None if job.share is None else f"{job.share:.3f}"
    bar = tag("progress", max=1, value=share, aria_label="progress")
    done = "" if job.share is None else f" · {job.share:.0%}"
    return card([text("p", f"{shown(job.words)[:120]}{done} …"), bar], cls="cl-progress", role="status")


def hint(words: str) -> str:
    """What to do, where there is nothing to see yet."""
    return card(text("p", words), cls="cl-hint")


def clip_card(clip: Clip, *, start: float | None = None) -> str:
    """A clip that plays, with its name and what is known of it."""
    note = [text("p", clip.note, cls="cl-small")] if clip.note else []
    facts = (
        f"{clock(round(clip.facts.seconds * 1000))[:8]} · {clip.facts.width} × {clip.facts.height} · {clip.facts.codec}"
    )
    about = tag("p", [text("strong", clip.name), text("span", facts, cls="cl-small")], cls="cl-clip-name")
    return card([player(clip.address, start=start, name=clip.name), about, *note], cls="cl-clip")


def player(address: str, *, start: float | None = None, name: str = "") -> str:
    """A video with the browser's own controls."""
    place = address if start is None else f"{address}#t={start:.2f}"
    quiet = {"controls": True, "playsinline": True, "preload": "metadata"}
    return tag("video", src=place, aria_label=f"Video {name}", **quiet)


def answer_card(answer: Ranked, *, damaged: str = "", live: bool = False) -> str:
    """The answer as a sentence and as bars."""
    best = answer.top(1)[0]
    none = answer.none_of_these
    said = NONE if none else best.action
    share = answer.unknown if none and answer.unknown is not None else best.probability
    verdict = tag("p", [text("span", shown(said), cls="cl-said"), text("span", percent(share), cls="cl-share")])
    rows = [
        _bar(one.action, one.probability, "cl-best" if rank == 0 and not none else "")
        for rank, one in enumerate(answer.top(_BARS))
    ]
    left = len(answer.actions) - len(rows)
    more = [text("li", f"and {left:,} more", cls="cl-small")] if left > 0 else []
    bars = tag("ol", [*rows, *more, *_none_row(answer)], cls="cl-bars")
    marked = [text("p", f"The file is damaged: {damaged}.", cls="cl-small")] if damaged else []
    note = [] if live else [text("p", _note(answer), cls="cl-small")]
    return card([tag("div", verdict, cls="cl-verdict", role="status"), bars, *marked, *note], cls="cl-answer")


def _bar(name: str, share: float, cls: str) -> str:
    fill = tag("span", cls="cl-fill", style=f"width:{100 * share:.1f}%")
    parts = [text("span", shown(name), cls="cl-name"), tag("span", fill, cls="cl-track", aria_hidden="true")]
    return tag("li", [*parts, text("span", percent(share), cls="cl-number")], cls=cls or None)


def _none_row(answer: Ranked) -> list[str]:
    if answer.unknown is None:
        return []
    return [_bar(NONE, answer.unknown, "cl-none cl-best" if answer.none_of_these else "cl-none")]


def _note(answer: Ranked) -> str:
    if len(answer.actions) == 1:
        told = "With a single action there is nothing to choose between: only the last bar tells something."
    else:
        told = "The bars of the actions say what is likely if one of them is what happens."
    if answer.unknown is None:
        return told
    return f"{told} “{NONE}” is a probability of its own: that a name out of some 900 others fits as well."


def why_card(explanation: Explanation) -> str:
    """Which moments, places and words made the score."""
    head = [text("h3", headline(explanation)), text("p", summary(explanation))]
    return card([*head, maps_section(explanation), words_section(explanation)], cls="cl-why")


def timeline_card(clip: Clip, track: Track, downloads: Mapping[str, str]) -> str:
    """The video, the curves and segments of its actions, and files of them."""
    links = [tag("a", name, href=address, download=True, cls="cl-link") for name, address in downloads.items()]
    count = len(track.segments)
    told = f"{count} segment{'s' * (count != 1)} of {len({one.action for one in track.segments})} actions"
    facts = text("p", f"{told} · {track.fps:g} frames looked at in a second", cls="cl-small")
    damaged = [text("p", f"The file is damaged: {track.damaged}.", cls="cl-small")] if track.damaged else []
    read = text("p", f"{HOW_TO_READ} Click or press Enter on a segment to go there in the video.", cls="cl-small")
    saved = tag("p", ["Save as: ", *links], cls="cl-links")
    parts = [player(clip.address, name=clip.name), facts, *damaged, plots(track), segment_table(track), saved, read]
    return card(parts, cls="cl-timeline")


def hit_card(number: int, hit: Hit, name: str, address: str | None, picture: str | None = None) -> str:
    """A moment that was found: a picture that plays in place, unless its file is not open here."""
    span = f"{clock(round(hit.start * 1000))[:8]} to {clock(round(hit.stop * 1000))[:8]}"
    best = f"score {hit.score:.2f}, best at {clock(round(hit.best * 1000))[:8]}"
    about = tag("p", [text("strong", f"{number}. {name}"), text("span", f"{span} · {best}", cls="cl-small")])
    shown_video = text("p", "Its file is not open here.", cls="cl-small")
    if address is not None:
        quiet = {"controls": True, "playsinline": True, "preload": "none"}
        shown_video = tag("video", src=address, poster=picture, aria_label=f"Video {name}", **quiet)
    return card([shown_video, about], cls="cl-hit cl-clip-name")


def hits_card(cards: Sequence[str], fits: bool) -> str:
    """All moments that were found, and whether any stands out."""
    if not cards:
        return card(text("p", "No moment was found."), cls="cl-note", role="status")
    told = f"{len(cards)} moment{'s' * (len(cards) != 1)}, best first."
    if not fits:
        told = f"No moment fits: nothing stands out of the rest. The nearest {len(cards)} are shown."
    return text("p", told, role="status", cls="cl-fits") + tag("div", cards, cls="cl-hits")
