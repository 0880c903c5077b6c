"""Losses and labels beyond Eq. 9 itself, which is `claver.models.interpretive_loss`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def contrastive_loss(logits_BU: Tensor, caption_of: Tensor) -> Tensor:
    """CLIP's symmetric loss between B images and the U *different* captions they have among them.

    Images that share a caption are all right answers to it: with every caption its own (U = B) this is CLIP's loss.

    Args:
        logits_BU: scaled similarities.
        caption_of: int64 [B], the caption of each image; each of the U captions occurs.
    """
    answers_UB = F.one_hot(caption_of, logits_BU.shape[1]).T.to(logits_BU.dtype)
    answers_UB = answers_UB / answers_UB.sum(1, keepdim=True)
    return (F.cross_entropy(logits_BU, caption_of) + F.cross_entropy(logits_BU.T, answers_UB)) / 2


def smooth_labels(labels: Tensor, classes: int, smoothing: float) -> Tensor:
    """Labels int64 [B] as distributions [B, C]: 1 − smoothing on the label, plus smoothing / C on every class."""
    return F.one_hot(labels, classes).to(torch.float32) * (1 - smoothing) + smoothing / classes
