"""The rendered dataset of motion, which needs no download: its verbs, clips, captions, tasks and stages.

A room of its own: `training` and `data` know nothing of it.

The names below are imported when first used: the verbs must not wait for torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claver.lazy import lazy_names

if TYPE_CHECKING:
    from claver.motion.rendering import (
        MotionClips,
        MotionDataset,
        MotionStills,
        render_clips,
        render_stills,
        write_clips,
    )
    from claver.motion.verbs import VERBS, Verb

_HOME = {
    "VERBS": "verbs",
    "MotionClips": "rendering",
    "MotionDataset": "rendering",
    "MotionStills": "rendering",
    "Verb": "verbs",
    "render_clips": "rendering",
    "render_stills": "rendering",
    "write_clips": "rendering",
}

__all__ = [
    "VERBS",
    "MotionClips",
    "MotionDataset",
    "MotionStills",
    "Verb",
    "render_clips",
    "render_stills",
    "write_clips",
]

__getattr__ = lazy_names(__name__, _HOME)
