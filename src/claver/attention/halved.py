"""The halved plan: attention between halves of the clip without any mask, joined by their log-sum-exp.

Where a token sees itself, and of every other frame all tokens or none, the visible pairs are rectangles: the later
half of the frames sees the earlier half (and the other way round, if the mask looks ahead), and so on within each
half. A rectangle needs no mask, and the large ones have enough queries for a kernel's best block size. The halves of
halves are alike, so that one call computes them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from claver.attention.flash import FlashKernel, flash_kernel
from claver.log import warn_once

C = TypeVar("C", bound=Callable[..., Any])


@dataclass(frozen=True)
class Part:
    """A rectangle that occurs in every block of so many frames.

    Attributes:
        block: frames of a block; the clip is a whole number of them.
        queries: frames of a block whose tokens have queries.
        keys: frames of a block whose tokens all of these see.
    """

    block: int
    queries: slice
    keys: slice

    @property
    def pairs(self) -> int:
        """Pairs of frames in a block."""
        return (self.queries.stop - self.queries.start) * (self.keys.stop - self.keys.start)


def halves(frames: int, *, earlier: bool, later: bool) -> list[Part]:
    """The rectangles of a clip; `earlier`, `later`: which of the other frames a frame sees."""
    return _halves(0, frames, frames, earlier, later)


def _halves(start: int, stop: int, block: int, earlier: bool, later: bool) -> list[Part]:
    if stop - start < 2:
        return []
    middle = (start + stop) // 2
    before, after = slice(start, middle), slice(middle, stop)
    parts = [Part(block, after, before)] * earlier + [Part(block, before, after)] * later
    if stop - start == block and block % 2 == 0:  # both halves are alike
        return parts + _halves(0, middle, middle, earlier, later)
    for low, high in ((start, middle), (middle, stop)):
        parts += _halves(low, high, block, earlier, later)
    return parts


def attend_in_parts(
    q_BHtMd: Tensor, k_BHTNd: Tensor, v_BHTNd: Tensor, parts: Sequence[Part], *, cached: bool
) -> Tensor:
    """Attention of each token on itself and on the key frames of every part its own frame is a query of.

    Args:
        q_BHtMd: queries of the first M tokens of each of the last t frames.
        k_BHTNd: keys.
        v_BHTNd: values.
        parts: of the last t frames; no pair of frames twice, and no frame with itself.
        cached: whether all of them see the frames before the last t as well.

    Returns:
        [B, H, t, M, d].

    Raises:
        ValueError: the device has no kernel that tells its log-sum-exp.
    """
    kernel = flash_kernel(q_BHtMd)
    if kernel is None:
        raise ValueError(f"the halved plan needs a flash kernel, which {q_BHtMd.device} has not for {q_BHtMd.dtype}")
    q, k, v = (_unit_stride(x) for x in (q_BHtMd, k_BHTNd, v_BHTNd))
    return _InParts.apply(q, k, v, tuple(parts), cached, kernel)  # type: ignore[no-untyped-call]


class _InParts(torch.autograd.Function):
    """Written by hand since autograd has no derivative of the kernel's log-sum-exp, which the join needs."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, parts: tuple[Part, ...], cached: bool, kernel: FlashKernel
    ) -> Tensor:
        first = k.shape[2] - q.shape[2]
        rectangles = _rectangles(q, k, v, parts, cached)
        found = [kernel.forward(_rows(q, part), *keys) for part, keys in rectangles]
        join = _fused(_joined) if q.is_cuda else _joined_in_place
        out, lse = join(q, k[:, :, first:], v[:, :, first:], found, [part for part, _ in rectangles])
        ctx.parts, ctx.cached, ctx.kernel = parts, cached, kernel
        ctx.save_for_backward(q, k, v, out, lse)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """A part's share follows from the joined output and log-sum-exp alone, so the shares add up."""
        q, k, v, out, lse = ctx.saved_tensors
        grad, first = _unit_stride(grad), k.shape[2] - q.shape[2]
        rectangles = _rectangles(q, k, v, ctx.parts, ctx.cached)
        shares = [
            ctx.kernel.backward(_rows(grad, part), _rows(q, part), *keys, _rows(out, part), _rows(lse, part))
            for part, keys in rectangles
        ]
        add = _fused(_summed) if q.is_cuda else _summed_in_place
        inputs = grad, q, k[:, :, first:], v[:, :, first:], out, lse
        grads = add(*inputs, shares, [part for part, _ in rectangles], len(ctx.parts))
        if first:  # frames before the queries', which only they look at
            earlier = [share.unflatten(2, (first, -1)) for share in shares[-1][1:]] if ctx.cached else ()
            earlier = earlier or [torch.zeros_like(x[:, :, :first]) for x in (k, v)]
            grads = (grads[0], *(torch.cat(pair, dim=2) for pair in zip(earlier, grads[1:], strict=True)))
        return (*grads, None, None, None)


Keys = tuple[Tensor, Tensor]
Rectangle = tuple[Part, Keys]
"""A part, and its keys and values as rows."""


def _rectangles(q: Tensor, k: Tensor, v: Tensor, parts: Sequence[Part], cached: bool) -> list[Rectangle]:
    """The parts with their keys; last, if asked for, all queries with the frames before theirs."""
    first = k.shape[2] - q.shape[2]
    found: list[Rectangle] = []
    for part in parts:
        own, frames = (x[:, :, first:] for x in (k, v)), Part(part.block, part.keys, part.keys)
        key, value = (_rows(x, frames) for x in own)
        found.append((part, (key, value)))
    if cached:
        whole = Part(q.shape[2], slice(0, q.shape[2]), slice(0, q.shape[2]))
        key, value = (x[:, :, :first].flatten(2, 3) for x in (k, v))
        found.append((whole, (key, value)))
    return found


def _joined_in_place(
    q: Tensor, k: Tensor, v: Tensor, found: Sequence[tuple[Tensor, Tensor]], parts: Sequence[Part]
) -> tuple[Tensor, Tensor]:
    """Outputs and log-sum-exps of parts, and each token on itself, as those of all; one part after the other."""
    batch, heads, frames, places, width = q.shape
    exact = torch.promote_types(q.dtype, torch.float32)
    # Laid out as the block wants it, tokens before heads, so that joining the heads later is no copy.
    out = torch.empty(batch, frames, places, heads, width, dtype=exact, device=q.device).permute(0, 3, 1, 2, 4)
    out.copy_(v[:, :, :, :places])
    lse = _own_scores(q, k, exact)
    for part, (rows, rows_lse) in zip(parts, found, strict=True):
        into, into_lse = _block(out, part), _block(lse, part)
        told = _as_block(rows_lse, into_lse)
        into.lerp_(_as_block(rows, into).to(exact), torch.sigmoid(told - into_lse)[..., None])
        torch.logaddexp(into_lse, told, out=into_lse)
    return out.to(q.dtype), lse


def _joined(
    q: Tensor, k: Tensor, v: Tensor, found: Sequence[tuple[Tensor, Tensor]], parts: Sequence[Part]
) -> tuple[Tensor, Tensor]:
    """The same with nothing written twice, for a compiler to make one pass of."""
    exact = torch.promote_types(q.dtype, torch.float32)
    scores = [_own_scores(q, k, exact)]
    scores += [_placed(lse, part, q, float("-inf")) for part, (_, lse) in zip(parts, found, strict=True)]
    values = [v[:, :, :, : q.shape[3]]]
    values += [_placed(rows, part, q, 0.0) for part, (rows, _) in zip(parts, found, strict=True)]
    top = scores[0]
    for score in scores[1:]:
        top = torch.maximum(top, score)
    total = sum((score - top).exp() for score in scores)
    assert isinstance(total, Tensor)
    lse = top + total.log()
    out = sum((score - lse).exp()[..., None] * value.to(exact) for score, value in zip(scores, values, strict=True))
    assert isinstance(out, Tensor)
    return _tokens_first(out.to(q.dtype)), lse


def _summed_in_place(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    shares: Sequence[tuple[Tensor, Tensor, Tensor]],
    parts: Sequence[Part],
    own: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients w.r.t. q and the keys and values of the same frames; only the first `own` parts are of those keys."""
    grad_q, *of_places = _itself_backward(grad, q, k, v, out, lse)
    grad_k, grad_v = (torch.zeros_like(x, dtype=lse.dtype) for x in (k, v))
    for total, share in zip((grad_k, grad_v), of_places, strict=True):
        total[:, :, :, : q.shape[3]] = share
    for at, (part, rows) in enumerate(zip(parts, shares, strict=True)):
        keys = Part(part.block, part.keys, part.keys)
        places = [(grad_q, part), (grad_k, keys), (grad_v, keys)][: 3 if at < own else 1]
        for (total, where), share in zip(places, rows, strict=False):
            into = _block(total, where)
            into += _as_block(share, into)
    return grad_q.to(q.dtype), grad_k.to(k.dtype), grad_v.to(v.dtype)


def _summed(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    shares: Sequence[tuple[Tensor, Tensor, Tensor]],
    parts: Sequence[Part],
    own: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The same with nothing written twice."""
    exact = lse.dtype
    grad_q, *of_places = _itself_backward(grad, q, k, v, out, lse)
    for part, rows in zip(parts, shares, strict=True):
        grad_q = grad_q + _placed(rows[0], part, q, 0.0).to(exact)
    keys = [Part(part.block, part.keys, part.keys) for part in parts[:own]]
    made = []
    for index, (like, share) in enumerate(zip((k, v), of_places, strict=True), start=1):
        total = F.pad(share, (0, 0, 0, like.shape[3] - q.shape[3]))
        for part, rows in zip(keys, shares[:own], strict=True):
            total = total + _placed(rows[index], part, like, 0.0).to(exact)
        made.append(_tokens_first(total.to(like.dtype)))
    return _tokens_first(grad_q.to(q.dtype)), made[0], made[1]


def _own_scores(q: Tensor, k: Tensor, exact: torch.dtype) -> Tensor:
    return (q.to(exact) * k[:, :, :, : q.shape[3]]).sum(-1) * q.shape[-1] ** -0.5


def _itself_backward(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor) -> tuple[Tensor, ...]:
    """Gradients w.r.t. queries, and w.r.t. the keys and values of the same M tokens of each frame."""
    places, exact = q.shape[3], lse.dtype
    weight = (_own_scores(q, k, exact) - lse).exp()[..., None]
    grad = grad.to(exact)
    value = v[:, :, :, :places].to(exact)
    grad_score = weight * (grad * (value - out)).sum(-1, keepdim=True) * q.shape[-1] ** -0.5
    return grad_score * k[:, :, :, :places], grad_score * q, weight * grad


def _block(x: Tensor, part: Part) -> Tensor:
    """The query frames of every block, a view: [B, H, T, N, …] to [B, G, H, f, N, …]."""
    return x.unflatten(2, (-1, part.block))[:, :, :, part.queries].movedim(2, 1)


def _rows(x: Tensor, part: Part) -> Tensor:
    """The query frames of every block, each block a clip of its own and its tokens in one axis [B·G, H, f·N, …]."""
    return _block(x, part).flatten(0, 1).flatten(2, 3)


def _as_block(rows: Tensor, like: Tensor) -> Tensor:
    """Rows as `_block` has them."""
    return rows.unflatten(0, like.shape[:2]).unflatten(3, like.shape[3:5])


def _placed(rows: Tensor, part: Part, like: Tensor, filling: float) -> Tensor:
    """Rows at their places of all frames [B, H, T, M, …], with a number wherever the part has none."""
    frames = part.queries.stop - part.queries.start
    x = rows.unflatten(0, (like.shape[0], -1)).unflatten(3, (frames, -1))  # [B, G, H, f, M, …]
    ends = [0, 0] * (x.ndim - 4) + [part.queries.start, part.block - part.queries.stop]
    return F.pad(x, ends, value=filling).movedim(1, 2).flatten(2, 3)


def _tokens_first(x: Tensor) -> Tensor:
    """The same [B, H, T, N, d], laid out with tokens before heads, as the block wants it."""
    return x.permute(0, 2, 3, 1, 4).contiguous().permute(0, 3, 1, 2, 4)


def _unit_stride(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()


@lru_cache(maxsize=8)
def _fused(plain: C) -> C:
    """A function in one pass over memory where the compiler can do that, else as it is written, which is told once.

    A new number of frames compiles once more, a new batch does not. Past the compiler's limit of variants, too, the
    function runs as it is written: more passes, never more memory than that of its inputs.
    """
    compiled = torch.compile(plain, dynamic=True)

    def run(*arguments: Any) -> Any:
        try:
            with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
                return compiled(*arguments)
        except Exception as error:  # of the compiler, of the machine's own compiler, or the limit of variants
            if isinstance(error, torch.OutOfMemoryError):
                raise
            warn_once(f"attention is joined without a compiler, which is slower: {str(error).splitlines()[0][:120]}")
            return plain(*arguments)

    return run  # type: ignore[return-value]
