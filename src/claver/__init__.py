"""claver: name the actions in a video (CLAVER, Kronecker mask and interpretive prompts).

The names below are imported when first used, so that `import claver` stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claver import moved
from claver.errors import CheckpointError, ClaverError, VideoError
from claver.lazy import lazy_names

if TYPE_CHECKING:
    from claver.attention import KroneckerMask, kronecker_attention
    from claver.evaluation import evaluate
    from claver.index.index import Index
    from claver.inference.encoder import VideoEmbedding, VideoEncoder
    from claver.inference.live import LiveRecognizer, Moment
    from claver.inference.prediction import Prediction
    from claver.inference.recognizer import Recognizer
    from claver.inference.views import Views
    from claver.models import Claver, ClaverConfig, load
    from claver.models.towers import register_tower
    from claver.models.vision.base import VisionTower
    from claver.text.text_bank import TextBank
    from claver.timeline.timeline import Timeline
    from claver.video import VideoLike

__version__ = "0.2.0"

moved.install()

_HOME = {
    "Claver": "models",
    "ClaverConfig": "models",
    "Index": "index.index",
    "KroneckerMask": "attention",
    "LiveRecognizer": "inference.live",
    "Moment": "inference.live",
    "Prediction": "inference.prediction",
    "Recognizer": "inference.recognizer",
    "TextBank": "text.text_bank",
    "Timeline": "timeline.timeline",
    "VideoEmbedding": "inference.encoder",
    "VideoEncoder": "inference.encoder",
    "VideoLike": "video",
    "Views": "inference.views",
    "VisionTower": "models.vision.base",
    "evaluate": "evaluation",
    "kronecker_attention": "attention",
    "load": "models",
    "register_tower": "models.towers",
}

__all__ = [
    "CheckpointError",
    "Claver",
    "ClaverConfig",
    "ClaverError",
    "Index",
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


__getattr__ = lazy_names(__name__, _HOME)
