"""Attention rollout of relevance (Chefer et al. 2021, Eq. 5 and 6), by rows and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from claver.explain.activation_record import ActivationRecord, Layer

Visible = Callable[[Tensor, Tensor], Tensor]
"""Elementwise on positions: whether a query may attend to a key."""
PIECE = 2**22
"""Weights computed at a time, over clips and heads: 16 MiB in fp32; more only where a single query has more."""


def roll_out(
    record: ActivationRecord, target: Tensor, start_BRL: Tensor, visible: Visible | None = None, *, piece: int = PIECE
) -> tuple[Tensor, Tensor]:
    """Propagate the relevance for a scalar from the output tokens of a tower to its input tokens.

    Args:
        record: the tower's run.
        target: a scalar computed from its output.
        start_BRL: where R rows begin in each of B sequences; zero at tokens that the last block did not compute.
        visible: which keys a query attends to; all if None.
        piece: attention weights computed at a time.

    Returns:
        The rows [B, R, L], and the gradient of the scalar w.r.t. the tokens that went in.
    """
    rows, by_input = start_BRL.to(exact(start_BRL.dtype)), target
    for layer, gradient in record.replay(target):
        rows = pass_down(rows if layer.pools else rows[..., _asking(layer)], layer, visible, piece=piece)
        by_input = gradient
    return rows, by_input


def pass_down(rows_BRM: Tensor, layer: Layer, visible: Visible | None = None, *, piece: int = PIECE) -> Tensor:
    """One layer of relevance: R ← R + R·Ā with Ā = mean over heads of (∇A ⊙ A)⁺, for some rows of R.

    Chefer's rule, R ← R + Ā·R from the first layer to the last, multiplies (1 + Ā) from the left; for the few rows of R
    that are read out the same product is had from the last layer to the first, and no L×L matrix is ever built.
    Attention weights are recomputed for as many queries at a time as make `piece` weights (at least one query); about
    four tensors of that size are alive at once, whatever the length of the clip.

    Args:
        rows_BRM: relevance of the layer's outputs, R rows for each of B sequences.
        layer: q [B, M, H, d], k and v [B, L, H, d], with any further axes between B and H joined in order.
        visible: which keys each query attends to, by position; all if None.
        piece: weights computed at a time.

    Returns:
        [B, R, L], relevance of the layer's inputs; for one that pools M is 1 + L.
    """
    q, k, v, grad_output = (_sequences(part) for part in (layer.q, layer.k, layer.v, layer.grad_output))
    if layer.pools:  # what was pooled is no token below: it is all handed on, to those it was read from
        return rows_BRM[..., 1:] + rows_BRM[..., :1] @ _relevance(q, k, v, grad_output, None)
    asking = _asking(layer)
    carried = rows_BRM.new_zeros(*rows_BRM.shape[:2], k.shape[1])
    passed = carried.index_copy(2, asking, rows_BRM)  # the residual branch
    keys = torch.arange(k.shape[1], device=k.device)
    for part in _pieces(q.shape[1], k.shape[0] * k.shape[1] * k.shape[2], piece):
        seen = None if visible is None else visible(asking[part, None], keys)
        carried += rows_BRM[:, :, part] @ _relevance(q[:, part], k, v, grad_output[:, part], seen)
    return passed + carried


def _relevance(q_BmHd: Tensor, k_BLHd: Tensor, v_BLHd: Tensor, grad_BmHd: Tensor, seen_mL: Tensor | None) -> Tensor:
    """Ā for some queries, [B, m, L]; exactly zero where a key is masked."""
    scores = torch.einsum("bmhd,blhd->bhml", q_BmHd * q_BmHd.shape[-1] ** -0.5, k_BLHd)
    if seen_mL is not None:
        scores.masked_fill_(~seen_mL, float("-inf"))
    weights = torch.softmax(scores, -1)
    del scores
    return torch.einsum("bmhd,blhd->bhml", grad_BmHd, v_BLHd).mul_(weights).relu_().mean(1)


def exact(dtype: torch.dtype) -> torch.dtype:
    """The dtype of relevance: at least single precision."""
    return torch.promote_types(dtype, torch.float32)


def _sequences(x: Tensor) -> Tensor:
    """[B, …, H, d] as [B, L, H, d] in at least single precision."""
    return x.flatten(1, -3).to(exact(x.dtype))


def _asking(layer: Layer) -> Tensor:
    """Positions, among the keys, of the tokens that had queries, [M]: what `select` picks from the positions."""
    positions = torch.arange(layer.k.shape[1:-2].numel(), device=layer.k.device).view(1, *layer.k.shape[1:-2], 1)
    return (positions if layer.select is None else layer.select(positions)).flatten()


def _pieces(queries: int, weights_each: int, piece: int) -> Iterator[slice]:
    step = max(1, piece // weights_each)
    return (slice(start, start + step) for start in range(0, queries, step))
