"""Moments as a table, JSON, CSV, a page, or a playlist."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePath
from urllib.parse import quote

from claver.csv_text import csv_text
from claver.errors import ClaverError
from claver.explain.render.heat_map import data_uri
from claver.explain.render.markup import tag, text
from claver.index.pictures import picture_at
from claver.index.result import Hit, SearchResult
from claver.json_text import to_json
from claver.terminal import shown, shown_text
from claver.timeline.writing.text import clock

_POLICY = "default-src 'none'; img-src data:; media-src 'self' file:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; line-height: 1.5; }
ol { list-style: none; padding: 0; display: grid; gap: 1.25rem; }
ol { grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); }
li { border: 1px solid #8886; border-radius: .6rem; padding: .75rem; overflow-wrap: anywhere; }
video, img { width: 100%; height: auto; border-radius: .4rem; background: #000; }
.facts { opacity: .8; font-variant-numeric: tabular-nums; }
"""


def text_of(result: SearchResult, form: str, *, csv_safe: bool = False, beside: Path | None = None) -> str:
    """All moments in one of the formats.

    Args:
        result: the moments.
        form: table, json, csv, html or m3u.
        csv_safe: as in `csv_text`.
        beside: the file that a page or playlist is written to, from which it looks for the videos.

    Raises:
        ClaverError: another format, or a name that it cannot hold.
    """
    writers: dict[str, Callable[[SearchResult], str]] = {
        "table": _table,
        "json": _json,
        "csv": partial(_csv, safe=csv_safe),
        "html": partial(_page, beside=beside),
        "m3u": partial(_playlist, beside=beside),
    }
    if form not in writers:
        raise ClaverError(f"format must be {', '.join(writers)}, not {form!r}")
    return writers[form](result)


def _json(result: SearchResult) -> str:
    values = {"query": list(result.query), "fits": result.fits, "windows": result.windows, "exact": result.exact}
    return to_json(values | {"moments": [hit.to_dict() for hit in result.hits]}, indent=2, allow_nan=False)


def _csv(result: SearchResult, safe: bool) -> str:
    rows: list[list[object]] = [["rank", "path", "start", "stop", "best", "score"]]
    for rank, hit in enumerate(result.hits, start=1):
        rows.append([rank, hit.path, f"{hit.start:.3f}", f"{hit.stop:.3f}", f"{hit.best:.3f}", f"{hit.score:.4f}"])
    return csv_text(rows, safe=safe)


def _table(result: SearchResult) -> str:
    from rich.markup import escape
    from rich.table import Table

    from claver.progress import Screen

    table = Table(box=None, pad_edge=False)
    for title in ("#", "score", "from", "to"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("video", overflow="fold")
    for rank, hit in enumerate(result.hits, start=1):
        table.add_row(str(rank), f"{hit.score:.2f}", _clock(hit.start), _clock(hit.stop), escape(shown(hit.path)))
    file = io.StringIO()
    Screen(file=file, width=max(60, min(160, Screen(stderr=True).width))).print(table, highlight=False)
    return file.getvalue()


def _playlist(result: SearchResult, beside: Path | None) -> str:
    """An extended M3U; start and stop are VLC's options, which other players pass over."""
    lines = ["#EXTM3U"]
    for hit in result.hits:
        name = f"{_clock(hit.start)} {shown(PurePath(hit.path).name)}"
        lines += [f"#EXTINF:{max(1, round(hit.stop - hit.start))},{name}"]
        lines += [f"#EXTVLCOPT:start-time={hit.start:.3f}", f"#EXTVLCOPT:stop-time={hit.stop:.3f}"]
        lines.append(_address(hit.path, beside))
    return shown_text("\n".join(lines) + "\n")


def _page(result: SearchResult, beside: Path | None) -> str:
    """A page that needs no network and no JavaScript; whatever comes from outside is escaped."""
    title = "Moments: " + " / ".join(shown(word) for word in result.query)
    view = tag("meta", name="viewport", content="width=device-width, initial-scale=1")
    policy = tag("meta", http_equiv="Content-Security-Policy", content=_POLICY)
    head = [tag("meta", charset="utf-8"), policy, view, text("title", title), tag("style", _STYLE)]
    told = f"{len(result)} moments of {result.windows:,} windows"
    facts = text("p", told if result.fits else f"No moment stands out of the background; {told}.", cls="facts")
    items = tag("ol", [_item(rank, hit, beside) for rank, hit in enumerate(result.hits, start=1)])
    html = tag("html", [tag("head", head), "\n", tag("body", [text("h1", title), facts, items])], lang="en")
    return shown_text(f"<!doctype html>\n{html}\n")


def _item(rank: int, hit: Hit, beside: Path | None) -> str:
    name = shown(PurePath(hit.path).name)
    address = f"{_address(hit.path, beside)}#t={hit.start:.3f},{hit.stop:.3f}"
    picture = picture_at(hit.path, hit.best)
    poster = {} if picture is None else {"poster": data_uri(picture)}
    video = tag("video", src=address, controls="controls", preload="none", **poster)
    times = text("p", f"{rank}. {_clock(hit.start)} – {_clock(hit.stop)}, score {hit.score:.2f}", cls="facts")
    link = tag("a", text("span", name), href=address)
    return str(tag("li", [video, times, link]))


def _address(path: str, beside: Path | None) -> str:
    """Of a video, relative to a file where there is one; what a URL cannot have is quoted."""
    if beside is None:
        return "file://" + quote(os.fsencode(path))
    return quote(os.fsencode(os.path.relpath(path, beside.absolute().parent)))


def _clock(seconds: float) -> str:
    return clock(round(seconds * 1000))
