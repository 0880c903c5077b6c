"""Where an explanation goes: by its suffix a page, a picture, a film or numbers; without one a folder with all four."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from claver.errors import ClaverError
from claver.files import write_whole
from claver.json_text import to_json

if TYPE_CHECKING:
    from claver.explain.explanation import Explanation

SUFFIXES = (".html", ".png", ".mp4", ".json")


def check_target(path: Path) -> None:
    """Raise `ClaverError` if nothing could be written there, before any work is done."""
    if path.suffix and path.suffix.lower() not in SUFFIXES and not path.is_dir():
        raise ClaverError(f"an explanation is written as {', '.join(SUFFIXES)} or into a folder, not as {path.name!r}")
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        if not path.parent.is_dir():
            raise ClaverError(f"cannot write {path}: the folder {path.parent} does not exist")
    elif not next(place for place in (path.absolute(), *path.absolute().parents) if place.exists()).is_dir():
        raise ClaverError(f"cannot write into {path}: it is no folder, or within a file")


def save(explanation: Explanation, path: Path) -> Path:
    """Write it; see `Explanation.save`."""
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


def _write(explanation: Explanation, path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix == ".mp4":
        from claver.data.motion_files import write_clip
        from claver.explain.film import draw_film

        write_clip(path, draw_film(explanation), fps=2)
    else:
        write_whole(path, {".html": _page, ".png": _picture, ".json": _numbers}[suffix](explanation))


def _page(explanation: Explanation) -> bytes:
    from claver.explain.page import page

    return page(explanation).encode()


def _picture(explanation: Explanation) -> bytes:
    from claver.explain.picture import draw_picture

    return draw_picture(explanation)


def _numbers(explanation: Explanation) -> bytes:
    return to_json(explanation.to_dict()).encode()
