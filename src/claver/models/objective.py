"""Similarity, the loss of Eq. 9 and the score of Eq. 10, each in the paper's and in the released arithmetic.

All of it in float32 at least, whatever the towers compute in: a cosine times 100 has steps of a quarter in bfloat16.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional as F

from claver.models.config import Aggregate


def exact(x: Tensor) -> Tensor:
    """The same numbers in float32, or in float64 if they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Within this context operations on a device compute in the type of what they are given."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def video_embedding(frames_BTE: Tensor, aggregate: Aggregate = "paper") -> Tensor:
    """Mean over frames, [B, E]; the released code normalises every frame first."""
    with without_autocast(frames_BTE.device):
        frames = exact(frames_BTE)
        return (frames if aggregate == "paper" else F.normalize(frames, dim=-1)).mean(1)


def similarity(video_BE: Tensor, text_KCE: Tensor, scale: Tensor | float, aggregate: Aggregate = "paper") -> Tensor:
    """Scaled cosines [B, K, C] of Eq. 3; the released code does not normalise the mean of its unit frames again."""
    with without_autocast(video_BE.device):
        video = exact(video_BE)
        video = F.normalize(video, dim=-1) if aggregate == "paper" else video
        text = F.normalize(exact(text_KCE), dim=-1).to(video.dtype)
        return scale * (video @ text.flatten(0, 1).T).unflatten(1, text.shape[:2])


def interpretive_loss(logits_BKC: Tensor, labels: Tensor) -> Tensor:
    """Eq. 9: cross entropy over classes, for every clip and each of the K' texts drawn, averaged.

    Args:
        logits_BKC: similarities to K' texts of C classes.
        labels: int64 [B], or a distribution over classes [B, C] (smoothing, mixup, cutmix).

    Returns:
        The scalar −1/(B·K') Σ_i Σ_k Σ_c y_ic log softmax_c(sim).
    """
    log_shares = exact(logits_BKC).log_softmax(-1).mean(1)  # [B, C]
    if labels.ndim == 1:
        return F.nll_loss(log_shares, labels)
    return -(labels * log_shares).sum(-1).mean()


def class_scores(logits_BKC: Tensor, aggregate: Aggregate = "paper") -> Tensor:
    """Eq. 10: the sum over a class's texts, [B, C]; the released code averages softmaxes over classes instead.

    Scores of several views of one clip are to be added.
    """
    logits = exact(logits_BKC)
    return logits.sum(1) if aggregate == "paper" else logits.softmax(-1).mean(1)


def probabilities(scores: Tensor, aggregate: Aggregate = "paper", *, sigmoid: bool = False) -> Tensor:
    """Scores of actions [..., C] as probabilities [..., C].

    Args:
        scores: as of Eq. 10, averaged over texts.
        aggregate: the released score is a sum of softmaxes already: dividing by its total makes it a distribution.
        sigmoid: of a model whose similarities have a bias, as SigLIP's: each text fits or not, whatever the others do,
            and probabilities do not add up to 1.
    """
    if aggregate == "released":
        return scores / scores.sum(-1, keepdim=True)
    return scores.sigmoid() if sigmoid else scores.softmax(-1)
