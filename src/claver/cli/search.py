"""`claver search`: moments of indexed videos that fit a text or a clip."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from claver.cli.formats import CsvSafeOption, check_output
from claver.cli.model import DeviceOption, DtypeOption, ModelOption, open_model, progress_shown
from claver.errors import ClaverError
from claver.files import write_whole
from claver.terminal import say, tell

if TYPE_CHECKING:
    from claver.index import SearchResult
    from claver.index.index import Index
    from claver.models import Claver

EPILOG = """
[bold]Examples[/]

claver search my.index "someone enters a room"\n
claver search my.index "a person sits down" "someone takes a seat" --not "someone stands up"\n
claver search my.index --like clip.mp4 --folder videos/2026\n
claver search my.index "waves" --top 50 --output waves.html
"""


class SearchFormat(StrEnum):
    """How moments are written."""

    table = "table"
    json = "json"
    csv = "csv"
    html = "html"
    m3u = "m3u"


def search(
    index: Annotated[Path, typer.Argument(show_default=False, help="What `claver index` made.")],
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT…", show_default=False, help="Texts of one meaning.")
    ] = None,
    negative: Annotated[
        list[str] | None, typer.Option("--not", show_default=False, help="A text that is not meant; may be repeated.")
    ] = None,
    like: Annotated[
        Path | None, typer.Option(show_default=False, help="A clip in place of texts; it is left out itself.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(show_default=False, help="Only videos below this folder.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Moments at most.")] = 20,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare all windows, though `claver index --build` indexed their vectors.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also moments that do not stand out of the background.")
    ] = False,
    form: Annotated[SearchFormat | None, typer.Option("--format", help="By default by --output's suffix.")] = None,
    output: Annotated[Path | None, typer.Option(show_default=False, help="A file in place of the screen.")] = None,
    csv_safe: CsvSafeOption = False,
    model: ModelOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "float32",
) -> None:
    """Find moments in indexed videos by a text or by a clip.

    Overlapping windows of one video are one moment. Where nothing stands out of what videos are usually like, no moment
    fits, and that is the answer; --all shows the nearest ones anyway.
    """
    from claver.index.index import Index
    from claver.index.writing import text_of

    kind = _form_for(form, output)
    if output is not None:
        check_output(output)
    opened = Index.open(index)
    loaded = _model(opened, model, device, dtype)
    with progress_shown("encoding texts") as progress:
        given = {"top": top, "folder": folder, "like": like, "negative": tuple(negative or ()), "exact": exact}
        found = opened.search(tuple(texts) if texts else None, loaded, progress=progress, **given)  # type: ignore[arg-type]
    shown = found if everything else found.only_fitting()
    if not found.fits:
        tell(_nothing(found))
    if output is not None:
        write_whole(output, text_of(shown, kind.value, csv_safe=csv_safe, beside=output))
    elif kind is not SearchFormat.table or shown.hits:
        say(text_of(shown, kind.value, csv_safe=csv_safe).rstrip("\n"))


def _form_for(form: SearchFormat | None, output: Path | None) -> SearchFormat:
    suffix = "" if output is None else output.suffix.lower().removeprefix(".").replace("m3u8", "m3u")
    if form is None and suffix in tuple(SearchFormat):
        form = SearchFormat(suffix)
    if form is SearchFormat.html and output is None:
        raise ClaverError("a page is a file: add --output NAME.html")
    return form or SearchFormat.table


def _model(index: Index, model: str | None, device: str | None, dtype: str) -> Claver:
    """The one named, or that which the index was made with."""
    known = index.settings().origin
    if model is None and not known.get("model"):
        raise ClaverError(f"{index.path} does not say with which model it was made; give it as --model")
    temporal = known.get("temporal") if model is None or known.get("model") == model else None
    return open_model(model or str(known["model"]), temporal=temporal, frames=None, device=device, dtype=dtype)


def _nothing(found: SearchResult) -> str:
    if not found.windows:
        return "no moment fits: there are no videos to search"
    nearest = "" if not found.hits else "; --all shows the nearest"
    if not found.exact:
        nearest += "; --exact compares all windows"
    return f"no moment fits: nothing in {found.windows:,} windows stands out of the background{nearest}"
