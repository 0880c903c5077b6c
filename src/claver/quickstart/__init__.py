"""The quickstart: everything from nothing to an answer about a video file, offline, in minutes."""

from __future__ import annotations

from claver.quickstart.run import QuickstartReport, run_quickstart

__all__ = ["QuickstartReport", "run_quickstart"]
