"""Clips as real video files: a folder of them by class with a manifest."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from claver.errors import ClaverError
from claver.json_text import read_json
from claver.video.writing import encode

MANIFEST = "manifest.csv"
_SETTINGS = "motion.json"  # how a folder was made: by it a folder of ours is told from anything else


def write_folder(
    folder: str | Path, clips: Iterable[tuple[str, str, NDArray[np.uint8]]], fps: int, settings: dict[str, Any]
) -> Path:
    """Write clips (label, file stem, frames) as `folder/label/stem.mp4` and list them in a manifest, which is returned.

    The folder appears whole or not at all. One that was written with the same settings is left as it is; anything else
    that is already there is an error, and nothing of it is touched.
    """
    folder = Path(folder)
    if _already_written(folder, settings):
        return folder / MANIFEST
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as unfinished:
        staged = Path(unfinished) / folder.name
        staged.mkdir()
        rows = []
        for label, stem, frames in clips:
            path = staged / label.replace(" ", "_") / f"{stem}.mp4"
            path.parent.mkdir(exist_ok=True)
            encode(path, frames, fps)
            rows.append((path.relative_to(staged).as_posix(), label))
        _write_manifest(staged, rows, settings)
        if folder.is_dir():
            folder.rmdir()  # empty, or _already_written would have said so
        os.rename(staged, folder)
    return folder / MANIFEST


def _already_written(folder: Path, settings: dict[str, Any]) -> bool:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        if read_json(folder / _SETTINGS) == settings:
            return True
    except (OSError, ValueError):
        raise ClaverError(f"{folder} exists and holds something else: choose a new or an empty folder.") from None
    raise ClaverError(f"{folder} holds motion clips made with other settings: choose a new or an empty folder.")


def _write_manifest(folder: Path, rows: list[tuple[str, str]], settings: dict[str, Any]) -> None:
    with (folder / MANIFEST).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    (folder / _SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")
