"""Accuracies from scores [B, C] and labels int64 [B].

One rule for ties, in all of them: of equal scores the class with the lower index comes first, as in
`Prediction.top`. A label whose score is −∞ is never right: such is a clip that could not be read.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from claver.errors import ClaverError


def ordered(scores_BC: Tensor) -> Tensor:
    """The classes of each sample, best first, int64 [B, C], by the rule for ties above.

    Raises:
        ClaverError: a score is NaN.
    """
    if scores_BC.isnan().any():
        raise ClaverError("some scores are NaN: the model's weights are damaged, or its number type is too small")
    return scores_BC.argsort(dim=1, descending=True, stable=True)


def ranks(scores_BC: Tensor, labels: Tensor) -> Tensor:
    """Rank of each label among the classes, int64 [B]: 0 is best, C is never (see the rule for ties above).

    Raises:
        ClaverError: a score is NaN.
    """
    found = (ordered(scores_BC) == labels[:, None]).long().argmax(1)
    return found.masked_fill(scores_BC.gather(1, labels[:, None])[:, 0] == -torch.inf, scores_BC.shape[1])


def top_k_accuracy(scores_BC: Tensor, labels: Tensor, k: int = 1) -> float:
    """The share of samples whose label is among the k best scores; k above C counts all classes.

    Raises:
        ClaverError: k below 1, no samples, or NaN.
    """
    if k < 1 or not len(labels):
        raise ClaverError(f"top-k accuracy needs k ≥ 1 and at least one sample, not k={k} and {len(labels)} samples")
    return (ranks(scores_BC, labels) < min(k, scores_BC.shape[1])).double().mean().item()


def confusion(scores_BC: Tensor, labels: Tensor) -> Tensor:
    """Counts int64 [C, C]: row = label, column = best score. A sample whose scores are all −∞ has no answer.

    Raises:
        ClaverError: a score is NaN.
    """
    classes, answered = scores_BC.shape[1], (scores_BC > -torch.inf).any(1)
    best = ordered(scores_BC[answered])[:, 0]
    return torch.bincount(labels[answered] * classes + best, minlength=classes**2).view(classes, classes)


def per_class_accuracy(scores_BC: Tensor, labels: Tensor) -> Tensor:
    """Top-1 accuracy of each class, float64 [C]; NaN for a class without samples.

    Raises:
        ClaverError: a score is NaN.
    """
    classes, right = scores_BC.shape[1], ranks(scores_BC, labels) == 0
    counts, hits = torch.bincount(labels, minlength=classes), torch.bincount(labels[right], minlength=classes)
    return hits.double() / counts


def within_pairs(scores_BC: Tensor, labels: Tensor, partner: Tensor) -> float:
    """Share of samples whose label scores above its partner class, ties counting one half; `partner` is int64 [C].

    On time-reversed pairs of clips a model that ignores the order of frames gets one half.
    """
    own = scores_BC.gather(1, labels[:, None])[:, 0]
    other = scores_BC.gather(1, partner[labels][:, None])[:, 0]
    return ((own > other).double() + (own == other).double() / 2).mean().item()


def auroc(known: Tensor, unknown: Tensor) -> float:
    """The probability that a sample of `known` [A] scores above one of `unknown` [B]; ties count one half."""
    ordered_unknown = unknown.sort().values
    below = torch.searchsorted(ordered_unknown, known).double()
    up_to = torch.searchsorted(ordered_unknown, known, right=True).double()
    return ((below + up_to) / 2 / len(unknown)).mean().item()


def fpr_at_tpr(known: Tensor, unknown: Tensor, rate: float = 0.95) -> float:
    """The share of `unknown` [B] at or above the highest threshold that at least this share of `known` [A] reaches."""
    rank = min(len(known), math.floor((1 - rate) * len(known) + 1e-9) + 1)
    return (unknown >= known.kthvalue(rank).values).double().mean().item()
