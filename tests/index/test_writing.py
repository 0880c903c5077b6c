"""Moments in every format, read by somebody else's parsers."""

import csv
import io
import json
import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from tests.browser import browse, find_chromium
from tests.videos import write_video

from claver.errors import ClaverError
from claver.index import Hit, SearchResult
from claver.index.writing import text_of

HOSTILE = "=a<img src=x onerror=document.title='out'>\n#EXTM3U&\"'%41.mp4"


@pytest.fixture
def result(tmp_path: Path) -> SearchResult:
    folder = tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "plain.mp4", frames=60, seed=1)
    write_video(folder / HOSTILE.replace("/", ""), frames=60, seed=2)
    paths = sorted(str(path) for path in folder.iterdir())
    hits = tuple(Hit(path, 0.5, 1.75, 3.0 - at, 1.0) for at, path in enumerate(paths))
    return SearchResult(("<b>waves</b>", "a hand"), hits, 12)


def test_json_and_csv_hold_the_values(result: SearchResult) -> None:
    found = json.loads(text_of(result, "json"))
    assert found["query"] == list(result.query)
    assert found["fits"] is True
    assert found["moments"] == [hit.to_dict() for hit in result.hits]
    rows = list(csv.DictReader(io.StringIO(text_of(result, "csv"))))
    assert [(row["path"], float(row["start"]), float(row["stop"])) for row in rows] == [
        (hit.path, 0.5, 1.75) for hit in result.hits
    ]


def test_a_playlist_has_one_line_for_each_entry_whatever_files_are_called(result: SearchResult, tmp_path: Path) -> None:
    lines = text_of(result, "m3u", beside=tmp_path / "found.m3u").splitlines()
    assert lines[0] == "#EXTM3U"
    assert [line for line in lines if line.startswith("#EXTVLCOPT:start-time")] == ["#EXTVLCOPT:start-time=0.500"] * 2
    addresses = [line for line in lines if not line.startswith("#")]
    assert [os.path.join(tmp_path, unquote(address)) for address in addresses] == [hit.path for hit in result.hits]
    assert len(lines) == 1 + 4 * 2


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_page_escapes_names_and_plays_in_place(result: SearchResult, tmp_path: Path) -> None:
    parser = Elements()
    parser.feed(text_of(result, "html", beside=tmp_path / "found.html"))
    videos = [values for tag, values in parser.found if tag == "video"]
    assert [tag for tag, _ in parser.found if tag in ("script", "img", "b")] == []
    for values, hit in zip(videos, result.hits, strict=True):
        address, _, times = str(values["src"]).partition("#")
        assert os.path.join(tmp_path, unquote(address)) == hit.path
        assert times == "t=0.500,1.750"
        assert str(values["poster"]).startswith("data:image/png;base64,")


def test_a_browser_shows_the_page(result: SearchResult, tmp_path: Path) -> None:
    chromium, page = find_chromium(), tmp_path / "found.html"
    page.write_text(text_of(result, "html", beside=page), encoding="utf-8")
    shown = browse(chromium, page, "--dump-dom")
    assert "<title>Moments: &lt;b&gt;waves&lt;/b&gt; / a hand</title>" in shown
    assert shown.count("<video") == 2


def test_a_file_that_is_gone_has_no_picture_and_another_format_is_refused(tmp_path: Path) -> None:
    gone = SearchResult(("waves",), (Hit(str(tmp_path / "gone.mp4"), 0, 1, -1.0, 0.5),), 1)
    page = text_of(gone, "html")
    assert "poster" not in page
    assert "No moment stands out" in page
    with pytest.raises(ClaverError, match="not 'pdf'"):
        text_of(gone, "pdf")
