"""The part of a page that shows frames and heat maps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from claver.explain.explanation import Explanation
from claver.explain.heat import brightness, data_uri, enlarge, heat_picture, ramp
from claver.explain.markup import tag, text
from claver.explain.telling import MAPS, empty_note, place_words, seconds_of

_WHY = """
Colour over the grey frame shows where the attention that made this score came from, on one scale per row; a white line
surrounds what is above half of that scale.
"""
_LEGEND = "the scale is the square root of relevance, so that weak relevance can be seen as well"


def maps_section(explanation: Explanation) -> str:
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


def _head(explanation: Explanation, frame: int) -> str:
    """The frame's number and when it is shown."""
    when = seconds_of(explanation, frame)
    return tag("th", str(frame + 1) + (text("small", when) if when else ""), scope="col")


def _map_row(explanation: Explanation, name: str, title: str, note: str) -> str:
    maps = getattr(explanation, name)
    together = zip(explanation.prediction.frames, maps, brightness(maps), strict=True)
    cells = [
        _image(heat_picture(frame, light), f"{title} relevance in frame {number}: {place_words(values, maps)}.")
        for number, (frame, values, light) in enumerate(together, start=1)
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
