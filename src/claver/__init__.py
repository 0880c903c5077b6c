"""claver: name the actions in a video (CLAVER, Kronecker mask and interpretive prompts).

The names below are imported when first used, so that `import claver` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from claver import moved
from claver.errors import CheckpointError, ClaverError, VideoError

if TYPE_CHECKING:
    from claver.attention import KroneckerMask, kronecker_attention
    from claver.evaluation import evaluate
    from claver.inference.encoder import VideoEmbedding, VideoEncoder, Views
    from claver.inference.live import LiveRecognizer, Moment
    from claver.inference.prediction import Prediction
    from claver.inference.recognizer import Recognizer
    from claver.models import Claver, ClaverConfig, load
    from claver.models.towers import register_tower
    from claver.models.vision.base import VisionTower
    from claver.text.text_bank import TextBank
    from claver.timeline.timeline import Timeline
    from claver.video import VideoLike

__version__ = "0.2.0"

moved.install()

_HOME = {
    "Claver": "claver.models",
    "ClaverConfig": "claver.models",
    "KroneckerMask": "claver.attention",
    "LiveRecognizer": "claver.inference.live",
    "Moment": "claver.inference.live",
    "Prediction": "claver.inference.prediction",
    "Recognizer": "claver.inference.recognizer",
    "TextBank": "claver.text.text_bank",
    "Timeline": "claver.timeline.timeline",
    "VideoEmbedding": "claver.inference.encoder",
    "VideoEncoder": "claver.inference.encoder",
    "VideoLike": "claver.video",
    "Views": "claver.inference.encoder",
    "evaluate": "claver.evaluation",
    "kronecker_attention": "claver.attention",
    "VisionTower": "claver.models.vision.base",
    "load": "claver.models",
    "register_tower": "claver.models.towers",
}

__all__ = [
    "CheckpointError",
    "Claver",
    "ClaverConfig",
    "ClaverError",
    "KroneckerMask",
    "LiveRecognizer",
    "Moment",
    "Prediction",
    "Recognizer",
    "TextBank",
    "Timeline",
    "VideoEmbedding",
    "VideoEncoder",
    "VideoError",
    "VideoLike",
    "Views",
    "VisionTower",
    "__version__",
    "evaluate",
    "kronecker_attention",
    "load",
    "register_tower",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'claver' has no attribute {name!r}")
