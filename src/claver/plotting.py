"""Figures of matplotlib, which is an extra: imported where something is drawn, and missed in one sentence."""

from __future__ import annotations

from typing import Any

from claver.errors import ClaverError


def new_figure(width: float, height: float, *, laid_out: bool = True) -> Any:
    """An empty white figure of 100 dots an inch, whatever the user has set: films count on it.

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
        raise ClaverError("pictures and films need matplotlib; pip install 'claver[explain]'") from error
    return Figure(figsize=(width, height), facecolor="white", dpi=100, layout="constrained" if laid_out else None)
