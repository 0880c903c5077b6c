"""Matplotlib figures; matplotlib is an extra, imported where something is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from claver.errors import ClaverError
from claver.files import replacing


def new_figure(width: float, height: float, *, laid_out: bool = True) -> Any:
    """An empty white figure of 100 dots an inch, whatever the user has set: videos count on it.

    Args:
        width: in inches.
        height: in inches.
        laid_out: whether matplotlib finds room for all parts; else each stands where it is put.

    Raises:
        ClaverError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ClaverError("pictures and videos need matplotlib; pip install 'claver[explain]'") from error
    return Figure(figsize=(width, height), facecolor="white", dpi=100, layout="constrained" if laid_out else None)


def save_figure(figure: Any, path: Path, dpi: int = 130) -> None:
    """Write a figure that appears complete or not at all; the suffix gives the format, PNG where there is none.

    Raises:
        OSError: it cannot be written.
        ValueError: a suffix of no format that matplotlib writes.
    """
    path = path if path.suffix else path.with_suffix(".png")
    with replacing(path) as beside:
        figure.savefig(beside, format=path.suffix.removeprefix("."), dpi=dpi)
