"""The halved plan: attention between halves of the clip without any mask, joined by their log-sum-exp.

Where a token sees itself, and of every other frame all tokens or none, the visible pairs are rectangles: the later
half of the frames sees the earlier half (and the other way round, if the mask looks ahead), and so on within each
half. A rectangle needs no mask, and the large ones have enough queries for the kernel's best block size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

Part = tuple[slice, slice]
"""Query frames and key frames, all of whose pairs are visible."""


def halves(first: int, stop: int, *, earlier: bool, later: bool) -> list[Part]:
    """The rectangles of the frames `first` to `stop`; `earlier`, `later`: which of the other frames a frame sees."""
    if stop - first < 2:
        return []
    middle = (first + stop) // 2
    before, after = slice(first, middle), slice(middle, stop)
    parts = [(after, before)] * earlier + [(before, after)] * later
    for start, end in ((first, middle), (middle, stop)):
        parts += halves(start, end, earlier=earlier, later=later)
    return parts


def attend_in_parts(q_BHtMd: Tensor, k_BHTNd: Tensor, v_BHTNd: Tensor, parts: Sequence[Part]) -> Tensor:
    """Attention of each token on itself and on the key frames of every part its own frame is a query of.

    Args:
        q_BHtMd: queries of the first M tokens of each of the last t frames, on a CPU.
        k_BHTNd: keys.
        v_BHTNd: values.
        parts: no pair of frames twice, and no frame with itself; frames are counted from the first of T.

    Returns:
        [B, H, t, M, d].
    """
    q, k, v = (_unit_stride(x) for x in (q_BHtMd, k_BHTNd, v_BHTNd))
    return _InParts.apply(q, k, v, parts)  # type: ignore[no-untyped-call]


class _InParts(torch.autograd.Function):
    """Written by hand since autograd has no derivative of the kernel's log-sum-exp, which the join needs."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, parts: Sequence[Part]) -> Tensor:
        first = k.shape[2] - q.shape[2]
        parts = [(slice(queries.start - first, queries.stop - first), keys) for queries, keys in parts]
        out, lse = _itself(q, k[:, :, first:], v[:, :, first:])
        for queries, keys in parts:
            part, part_lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                _rows(q, queries), _rows(k, keys), _rows(v, keys)
            )
            _join(out[:, :, queries], lse[:, :, queries], part, part_lse)
        out = out.to(q.dtype)
        ctx.parts = parts
        ctx.save_for_backward(q, k, v, out, lse)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """A part's share follows from the joined output and log-sum-exp alone, so the shares add up."""
        q, k, v, out, lse = ctx.saved_tensors
        grad = _unit_stride(grad)
        first = k.shape[2] - q.shape[2]
        grad_q, *own = _itself_backward(grad, q, k[:, :, first:], v[:, :, first:], out, lse)
        grad_k, grad_v = (torch.zeros_like(x, dtype=lse.dtype) for x in (k, v))
        for total, share in zip((grad_k, grad_v), own, strict=True):
            total[:, :, first:, : q.shape[3]] = share
        for queries, keys in ctx.parts:
            shares = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                _rows(grad, queries),
                _rows(q, queries),
                *(_rows(x, keys) for x in (k, v)),
                *(_rows(x, queries) for x in (out, lse)),
                0.0,
                False,
            )
            for total, share, frames in zip((grad_q, grad_k, grad_v), shares, (queries, keys, keys), strict=True):
                total[:, :, frames] += share.unflatten(2, total[:, :, frames].shape[2:4])
        return grad_q.to(q.dtype), grad_k.to(k.dtype), grad_v.to(v.dtype), None


def _itself(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Attention of each token on itself alone: the value, and the score as log-sum-exp."""
    batch, heads, frames, places, width = q.shape
    exact = torch.promote_types(q.dtype, torch.float32)
    # Laid out as the block wants it, tokens before heads, so that joining the heads later is no copy.
    out = torch.empty(batch, frames, places, heads, width, dtype=exact).permute(0, 3, 1, 2, 4)
    out.copy_(v[:, :, :, :places])
    return out, _own_scores(q, k, exact)


def _own_scores(q: Tensor, k: Tensor, exact: torch.dtype) -> Tensor:
    return (q.to(exact) * k[:, :, :, : q.shape[3]]).sum(-1) * q.shape[-1] ** -0.5


def _join(out: Tensor, lse: Tensor, part: Tensor, part_lse: Tensor) -> None:
    """Weigh two attentions over disjoint keys by their normalisers, into `out` and `lse`."""
    part_lse = part_lse.unflatten(2, lse.shape[2:])
    out.lerp_(part.unflatten(2, lse.shape[2:]).to(out.dtype), torch.sigmoid(part_lse - lse)[..., None])
    torch.logaddexp(lse, part_lse, out=lse)


def _itself_backward(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor) -> tuple[Tensor, ...]:
    """Gradients w.r.t. queries, and w.r.t. the keys and values of the same M tokens of each frame."""
    places, exact = q.shape[3], lse.dtype
    weight = (_own_scores(q, k, exact) - lse).exp()[..., None]
    grad = grad.to(exact)
    value = v[:, :, :, :places].to(exact)
    grad_score = weight * (grad * (value - out)).sum(-1, keepdim=True) * q.shape[-1] ** -0.5
    return grad_score * k[:, :, :, :places], grad_score * q, weight * grad


def _rows(x: Tensor, frames: slice) -> Tensor:
    """Some frames as one axis of rows: [B, H, T, N, …] to [B, H, t·N, …]."""
    return x[:, :, frames].flatten(2, 3)


def _unit_stride(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()
