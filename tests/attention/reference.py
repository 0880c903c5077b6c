"""Attention under a materialised mask, as the definition has it."""

import torch
from torch import Tensor

from claver.attention import KroneckerMask


def reference(q: Tensor, k: Tensor, v: Tensor, mask: KroneckerMask) -> Tensor:
    """The definition: scores of all pairs, −∞ where blocked, softmax, weighted sum."""
    frames, tokens, width = k.shape[2:]
    scores = q.flatten(2, 3) @ k.flatten(2, 3).transpose(-1, -2) / width**0.5
    rows = mask.matrix(frames, tokens).view(frames, tokens, -1)[:, : q.shape[3]].flatten(0, 1)
    weights = scores.masked_fill(~rows, float("-inf")).softmax(-1)
    return (weights @ v.flatten(2, 3)).unflatten(2, (frames, q.shape[3]))


def assert_as(actual: Tensor, expected: Tensor, inputs: list[Tensor]) -> None:
    """The same values, and the same gradients by the inputs, in float64."""
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-11)
    weight = torch.randn_like(expected)
    for mine, theirs in zip(
        torch.autograd.grad((actual * weight).sum(), inputs),
        torch.autograd.grad((expected * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)
