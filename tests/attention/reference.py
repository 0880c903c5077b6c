"""Attention under a materialised mask, as the definition has it."""

from torch import Tensor

from claver.attention import KroneckerMask


def reference(q: Tensor, k: Tensor, v: Tensor, mask: KroneckerMask) -> Tensor:
    """The definition: scores of all pairs, −∞ where blocked, softmax, weighted sum."""
    frames, tokens, width = k.shape[2:]
    scores = q.flatten(2, 3) @ k.flatten(2, 3).transpose(-1, -2) / width**0.5
    rows = mask.matrix(frames, tokens).view(frames, tokens, -1)[:, : q.shape[3]].flatten(0, 1)
    weights = scores.masked_fill(~rows, float("-inf")).softmax(-1)
    return (weights @ v.flatten(2, 3)).unflatten(2, (frames, q.shape[3]))
