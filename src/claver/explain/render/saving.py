"""Writing an explanation: by its suffix a page, a picture, a video or numbers; without one a folder with all four."""

from __future__ import annotations

from pathlib import Path

from claver.errors import ClaverError
from claver.explain.evidence import Evidence
from claver.explain.render.page import page
from claver.explain.render.picture import draw_picture
from claver.explain.render.video import draw_video
from claver.files import refuse_special, write_whole
from claver.json_text import to_json
from claver.video.writing import write_clip

SUFFIXES = (".html", ".png", ".mp4", ".json")


def check_target(path: Path) -> None:
    """Raise `ClaverError` if nothing could be written there, before any work is done."""
    refuse_special(path)
    if path.suffix and path.suffix.lower() not in SUFFIXES and not path.is_dir():
        raise ClaverError(f"an explanation is written as {', '.join(SUFFIXES)} or into a folder, not as {path.name!r}")
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        if not path.parent.is_dir():
            raise ClaverError(f"cannot write {path}: the folder {path.parent} does not exist")
    elif not next(place for place in (path.absolute(), *path.absolute().parents) if place.exists()).is_dir():
        raise ClaverError(f"cannot write into {path}: it is no folder, or within a file")


def save(explanation: Evidence, path: Path) -> Path:
    """Write it; see `claver.explain.Explanation.save`."""
    check_target(path)
    try:
        if path.suffix.lower() in SUFFIXES and not path.is_dir():
            _write(explanation, path)
        else:
            path.mkdir(parents=True, exist_ok=True)
            for suffix in SUFFIXES:
                _write(explanation, path / f"explain{suffix}")
    except OSError as error:
        raise ClaverError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def _write(explanation: Evidence, path: Path) -> None:
    match path.suffix.lower():
        case ".mp4":
            write_clip(path, draw_video(explanation), fps=2)
        case ".html":
            write_whole(path, page(explanation).encode())
        case ".png":
            write_whole(path, draw_picture(explanation))
        case _:
            write_whole(path, to_json(explanation.to_dict()).encode())
