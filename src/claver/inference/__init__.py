"""Using a model: video in, embeddings and answers out, and jobs over many files.

The names below are imported when first used: a job's journal must not wait for torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claver.lazy import lazy_names

if TYPE_CHECKING:
    from claver.inference.calibration import Calibration
    from claver.inference.encoder import Failure, VideoEmbedding, VideoEncoder
    from claver.inference.live import LiveRecognizer, Moment
    from claver.inference.open_set import Background, OpenSet
    from claver.inference.peer_models import PeerModel, load_peer
    from claver.inference.peers import Peer
    from claver.inference.prediction import Answer, Prediction
    from claver.inference.recognizer import Recognizer
    from claver.inference.views import Views
    from claver.inference.windows import WindowEncoder, WindowIterator, Windows

_HOME = {
    "Answer": "prediction",
    "Background": "open_set",
    "Calibration": "calibration",
    "Failure": "encoder",
    "LiveRecognizer": "live",
    "Moment": "live",
    "OpenSet": "open_set",
    "Peer": "peers",
    "PeerModel": "peer_models",
    "Prediction": "prediction",
    "Recognizer": "recognizer",
    "VideoEmbedding": "encoder",
    "VideoEncoder": "encoder",
    "Views": "views",
    "WindowEncoder": "windows",
    "WindowIterator": "windows",
    "Windows": "windows",
    "load_peer": "peer_models",
}

__all__ = [
    "Answer",
    "Background",
    "Calibration",
    "Failure",
    "LiveRecognizer",
    "Moment",
    "OpenSet",
    "Peer",
    "PeerModel",
    "Prediction",
    "Recognizer",
    "VideoEmbedding",
    "VideoEncoder",
    "Views",
    "WindowEncoder",
    "WindowIterator",
    "Windows",
    "load_peer",
]

__getattr__ = lazy_names(__name__, _HOME)
