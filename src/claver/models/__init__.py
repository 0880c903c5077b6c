"""The model of the paper: towers, similarity, loss, checkpoints."""

from __future__ import annotations

from claver.models.checkpoint.weights import read_tensors
from claver.models.claver import Claver, ClaverOutput
from claver.models.config import SIZES, ClaverConfig, ImageConfig, TemporalConfig, TextConfig, named_config
from claver.models.learned import Learned
from claver.models.load import load
from claver.models.objective import class_scores, interpretive_loss, similarity, video_embedding
from claver.models.tokenizer import Tokenizer

__all__ = [
    "SIZES",
    "Claver",
    "ClaverConfig",
    "ClaverOutput",
    "ImageConfig",
    "Learned",
    "TemporalConfig",
    "TextConfig",
    "Tokenizer",
    "class_scores",
    "interpretive_loss",
    "load",
    "named_config",
    "read_tensors",
    "similarity",
    "video_embedding",
]
