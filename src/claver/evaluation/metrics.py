"""Accuracies from scores [B, C] and labels int64 [B]."""

from __future__ import annotations

import torch
from torch import Tensor


def top_k_accuracy(scores_BC: Tensor, labels: Tensor, k: int = 1) -> float:
    """The share of samples whose label is among the k best scores; k above C counts all classes.

    Raises:
        ValueError: k below 1, or no samples.
    """
    if k < 1 or not len(labels):
        raise ValueError(f"top-k accuracy needs k ≥ 1 and at least one sample, not k={k} and {len(labels)} samples")
    best = scores_BC.topk(min(k, scores_BC.shape[1]), dim=1).indices
    return (best == labels[:, None]).any(1).double().mean().item()


def confusion(scores_BC: Tensor, labels: Tensor) -> Tensor:
    """Counts int64 [C, C]: row = label, column = best score."""
    classes = scores_BC.shape[1]
    return torch.bincount(labels * classes + scores_BC.argmax(1), minlength=classes**2).view(classes, classes)


def per_class_accuracy(scores_BC: Tensor, labels: Tensor) -> Tensor:
    """Top-1 accuracy of each class, float64 [C]; NaN for a class without samples."""
    counts = confusion(scores_BC, labels).double()
    return counts.diagonal() / counts.sum(1)


def within_pairs(scores_BC: Tensor, labels: Tensor, partner: Tensor) -> float:
    """How often the label beats its partner class, ties counting one half; `partner` is int64 [C].

    On time-reversed pairs of clips a model that ignores the order of frames gets one half.
    """
    own = scores_BC.gather(1, labels[:, None])[:, 0]
    other = scores_BC.gather(1, partner[labels][:, None])[:, 0]
    return ((own > other).double() + (own == other).double() / 2).mean().item()
