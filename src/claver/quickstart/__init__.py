"""The quickstart: everything from nothing to an answer about a video file, offline, in minutes.

And with real weights that packages carry (`real_weights.py`): to a weak answer about anybody's video, in a minute.
"""

from __future__ import annotations

from claver.quickstart.real_weights import imagenet_model, lite0_model, real_recognizer
from claver.quickstart.run import QuickstartReport, run_quickstart

__all__ = ["QuickstartReport", "imagenet_model", "lite0_model", "real_recognizer", "run_quickstart"]
