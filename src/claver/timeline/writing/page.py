"""A time line as one HTML page: curves, segments and thumbnails, and a click seeks in the user's own video.

It needs no network, holds no file of the user's but small pictures, and its policy forbids it to load any other.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path, PurePath
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from claver.explain.render.heat_map import data_uri
from claver.explain.render.markup import tag, text
from claver.terminal import shown, shown_text
from claver.timeline.segments import Segment
from claver.timeline.track import Track
from claver.timeline.writing.text import clock

_POLICY = "default-src 'none'; img-src data:; media-src 'self' file: blob:; style-src 'unsafe-inline'; script-src "
_HEIGHT = 44  # of a curve, in the units of its drawing
_POINTS = 1000
"""Points of a curve that are drawn: more windows are joined to the highest of some."""
_ROWS, _FEWEST_ROWS = 60, 6
_PICTURES = 16
HOW_TO_READ = (
    "A curve shows how much the pictures speak for an action, relative to the background at the bottom line; all have "
    "one scale. A segment begins and ends where the curve crosses half of the level it must reach."
)

_CLICK = "Click anywhere to go there in the video; the video stays on your computer."


def page(track: Track, beside: Path | None = None) -> str:
    """The whole page; whatever comes from outside is escaped.

    Args:
        track: the time line.
        beside: the file that the page is written to; it looks for the video from there.
    """
    name = shown(PurePath(track.source).name)
    view = tag("meta", name="viewport", content="width=device-width, initial-scale=1")
    policy = tag("meta", http_equiv="Content-Security-Policy", content=f"{_POLICY}'unsafe-inline'")
    title = f"Time line of {name}"
    style = tag("style", "\n" + _part("page.css"))
    head = [tag("meta", charset="utf-8"), policy, view, text("title", title), style]
    player, rows, table = _player(track, beside), plots(track), segment_table(track)
    read = text("p", f"{HOW_TO_READ} {_CLICK}", cls="why")
    body = [text("h1", title), _facts(track), player, rows, table, read]
    script = tag("script", "\n" + _part("page.js"))
    html = tag("html", [tag("head", head), "\n", tag("body", [*body, script])], lang="en")
    return shown_text(f"<!doctype html>\n{html}\n")


def _part(name: str) -> str:
    return resources.files("claver.timeline.writing").joinpath(name).read_text(encoding="utf-8")


def _facts(track: Track) -> str:
    facts = [clock(round(track.duration * 1000)), f"{len(track.segments)} segments", f"{track.fps:g} frames a second"]
    facts += [f"threshold {track.threshold:.3g}"] + ([f"damaged: {track.damaged}"] if track.damaged else [])
    return text("p", " · ".join(facts), cls="facts")


def _player(track: Track, beside: Path | None) -> str:
    """The video where it lies beside the page, or any that the user picks."""
    pick = tag("input", type="file", accept="video/*", id="file")
    label = tag("label", "Video file: " + pick)
    video = tag("video", id="video", controls=True, preload="metadata", src=_address(track, beside))
    return tag("section", [video, tag("p", label)], cls="player")


def _address(track: Track, beside: Path | None) -> str | None:
    if beside is None or not os.path.isfile(track.source):
        return None
    address = os.path.relpath(os.path.abspath(track.source), os.path.abspath(beside.parent))
    return quote(address.replace(os.sep, "/").encode("utf-8", "surrogateescape"))


def plots(track: Track) -> str:
    """A row for each action on one axis of time, pictures above."""
    rows, left_out = _rows(track)
    scale = max(float(track.curves.max(initial=0)), track.threshold)
    lines = [_row("", _pictures(track), cls="pictures"), *(_action_row(track, row, scale) for row in rows)]
    more = [text("p", f"{left_out:,} more actions, which never happen, are not shown.", cls="why")] if left_out else []
    marks = [text("span", clock(round(track.duration * part * 250))[:8], cls="mark") for part in range(5)]
    lines.append(_row("", "".join(marks), cls="axis"))
    drawn = tag("div", lines, cls="plots", data_duration=f"{track.duration:.3f}")
    return tag("section", [drawn, *more])


def _rows(track: Track) -> tuple[list[int], int]:
    """The actions that are shown, those that happen first, and how many are not."""
    happens = {segment.action for segment in track.segments}
    peaks = track.curves.max(0, initial=-np.inf)
    order = sorted(range(len(track.actions)), key=lambda row: (track.actions[row] not in happens, -peaks[row]))
    count = min(max(sum(name in happens for name in track.actions), _FEWEST_ROWS), _ROWS)
    return order[:count], max(len(order) - count, 0)


def _row(label: str, plot: str, cls: str = "") -> str:
    return tag("div", [text("div", label, cls="name"), tag("div", plot, cls="plot")], cls=f"row {cls}".strip())


def _action_row(track: Track, row: int, scale: float) -> str:
    name = track.actions[row]
    own = [segment for segment in track.segments if segment.action == name]
    return _row(name, _curve(track, row, scale) + tag("div", [_button(track, one) for one in own], cls="segments"))


def _curve(track: Track, row: int, scale: float) -> str:
    times, values = _thinned((track.starts + track.stops) / 2, track.curves[:, row])
    x = np.concatenate([[0], times, [track.duration]]) / max(track.duration, 1e-9) * 1000
    y = _HEIGHT * (1 - np.clip(np.concatenate([values[:1], values, values[-1:]]) / scale, 0, 1))
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    area = tag("polygon", points=f"0,{_HEIGHT} {points} 1000,{_HEIGHT}")
    at = _HEIGHT * (1 - track.threshold / scale)
    level = tag("path", d=f"M0 {at:.1f}H1000")
    name = f"Curve of {track.actions[row]}, highest {float(values.max(initial=0)):.2f}"
    box = {"viewBox": f"0 0 1000 {_HEIGHT}", "preserveAspectRatio": "none", "role": "img", "aria-label": shown(name)}
    return tag("svg", area + level, **box)


def _thinned(times_W: npt.NDArray[np.float64], values_W: npt.NDArray[np.float64]) -> Sequence[npt.NDArray[np.float64]]:
    """At most so many points, each the highest of its neighbours."""
    each = -(-len(values_W) // _POINTS)
    if each == 1:
        return times_W, values_W
    firsts = np.arange(0, len(values_W), each)
    return times_W[np.minimum(firsts + each // 2, len(times_W) - 1)], np.maximum.reduceat(values_W, firsts)


def _button(track: Track, segment: Segment) -> str:
    left, width = (100 * time / max(track.duration, 1e-9) for time in (segment.start, segment.stop - segment.start))
    what = f"{shown(segment.action)}, {_span(segment)}, score {segment.score:.2f}"
    style = f"left:{left:.3f}%;width:{width:.3f}%"
    return tag("button", type="button", style=style, title=what, aria_label=what, data_time=f"{segment.start:.3f}")


def _span(segment: Segment) -> str:
    return " to ".join(clock(round(time * 1000)) for time in (segment.start, segment.stop))


def _pictures(track: Track) -> str:
    """Pictures at even times, so that each stands above its own."""
    count = min(len(track.thumbnails), _PICTURES)
    chosen = [track.thumbnails[number * len(track.thumbnails) // count] for number in range(count)]
    return "".join(
        tag("img", src=data_uri(picture), alt=f"The video at {clock(round(seconds * 1000))[:8]}.")
        for seconds, picture in chosen
    )


def segment_table(track: Track) -> str:
    """The segments in order of time; each row's button goes there."""
    rows = [
        tag("tr", [tag("td", _seek(segment)), text("td", segment.action), text("td", f"{segment.score:.2f}")])
        for segment in track.segments
    ]
    head = tag("tr", [text("th", name, scope="col") for name in ("When", "Action", "Score")])
    nothing = text("p", "No action reaches the threshold.", cls="why")
    return tag("section", [text("h2", "Segments"), tag("table", [head, *rows]) if rows else nothing])


def _seek(segment: Segment) -> str:
    return text("button", _span(segment), type="button", data_time=f"{segment.start:.3f}")
