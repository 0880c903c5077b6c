"""`kronecker_attention`: scaled dot-product attention under a Kronecker mask, executed by plan."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from claver.attention.caching import cached
from claver.attention.flash import flash_kernel
from claver.attention.halved import attend_in_parts
from claver.attention.mask import KroneckerMask
from claver.attention.plan import Plan, PlanKind, as_bias, plan_attention
from claver.log import warn_once


def kronecker_attention(
    q_BHtMd: Tensor, k_BHTNd: Tensor, v_BHTNd: Tensor, mask: KroneckerMask, *, plan: PlanKind = "auto"
) -> Tensor:
    """softmax(q kᵀ/√d + mask) v over all S = T·N tokens of a clip (Eq. 6), exact, by the cheapest plan.

    Args:
        q_BHtMd: queries of the first M ≤ N tokens of each of the last t ≤ T frames, [B, H, t, M, d]; M = 1 asks for
            class tokens only, t < T for the frames that come after cached keys and values.
        k_BHTNd: keys [B, H, T, N, d].
        v_BHTNd: values [B, H, T, N, d].
        mask: which keys each query sees.
        plan: `auto`, or one of `factorised`, `sliced`, `dense`, `flex`, `halved` to force it.

    Returns:
        [B, H, t, M, d].

    Raises:
        ValueError: shapes that do not fit together, a token that sees nothing, or a forced plan that does not fit.
    """
    if q_BHtMd.ndim != 5 or k_BHTNd.ndim != 5:
        raise ValueError(f"q and k have {q_BHtMd.ndim} and {k_BHTNd.ndim} axes; 5 are needed, [B, H, T, N, d]")
    frames, tokens = k_BHTNd.shape[2:4]
    alike = [(q_BHtMd.shape[axis], k_BHTNd.shape[axis]) for axis in (0, 1, -1)]
    if k_BHTNd.shape != v_BHTNd.shape or any(query != key for query, key in alike) or q_BHtMd.shape[2] > frames:
        shapes = ", ".join(str(tuple(x.shape)) for x in (q_BHtMd, k_BHTNd, v_BHTNd))
        raise ValueError(f"q [B, H, t, M, d], k and v [B, H, T, N, d] do not fit together: {shapes}")
    last, queries = q_BHtMd.shape[2:4]
    flash = flash_kernel(q_BHtMd) is not None
    chosen = plan_attention(mask, frames, tokens, queries, last=last, kind=plan, flash=flash)
    if chosen.kind == "flex":
        wanted = torch.is_grad_enabled() and any(x.requires_grad for x in (q_BHtMd, k_BHTNd, v_BHTNd))
        if wanted and not q_BHtMd.is_cuda:
            raise ValueError("FlexAttention has no gradients on a CPU; use plan='auto'")
        return _flex(q_BHtMd, k_BHTNd, v_BHTNd, mask)
    if chosen.kind == "halved":
        return attend_in_parts(q_BHtMd, k_BHTNd, v_BHTNd, chosen.parts, cached=chosen.cached)
    run = {"factorised": _factorised, "dense": _dense, "sliced": _sliced}[chosen.kind]
    return run(q_BHtMd, k_BHTNd, v_BHTNd, chosen)


def _factorised(q: Tensor, k: Tensor, v: Tensor, plan: Plan) -> Tensor:
    bias = None if plan.bias is None else as_bias(plan.bias, q.dtype, q.device)
    if plan.axis == "frame":
        k, v = (x[:, :, x.shape[2] - q.shape[2] :] for x in (k, v))
        return scaled_dot_product_attention(q, k, v, bias)  # [B, H, t, M, d], frames are a batch axis
    if plan.axis == "token":
        places = q.shape[3]
        q, k, v = (x[:, :, :, :places].transpose(2, 3) for x in (q, k, v))  # [B, H, M, t or T, d]
        return scaled_dot_product_attention(q, k, v, bias).transpose(2, 3)
    k, v = k.flatten(2, 3), v.flatten(2, 3)  # [B, H, S, d]
    if plan.keys is not None:
        keys = plan.keys.to(q.device)
        k, v = k.index_select(2, keys), v.index_select(2, keys)
    return scaled_dot_product_attention(q.flatten(2, 3), k, v).unflatten(2, q.shape[2:4])


def _dense(q: Tensor, k: Tensor, v: Tensor, plan: Plan) -> Tensor:
    bias = None if plan.bias is None else as_bias(plan.bias, q.dtype, q.device)
    out = scaled_dot_product_attention(q.flatten(2, 3), k.flatten(2, 3), v.flatten(2, 3), bias)
    return out.unflatten(2, q.shape[2:4])


def _sliced(q: Tensor, k: Tensor, v: Tensor, plan: Plan) -> Tensor:
    k, v = k.flatten(2, 3), v.flatten(2, 3)  # [B, H, S, d]
    outputs = []
    for frame, part in enumerate(plan.slices):
        keys = part.keys if isinstance(part.keys, slice) else part.keys.to(q.device)
        bias = None if part.bias is None else part.bias(q.dtype, q.device)
        outputs.append(scaled_dot_product_attention(q[:, :, frame], k[:, :, keys], v[:, :, keys], bias))
    return torch.stack(outputs, dim=2)


def _flex(q: Tensor, k: Tensor, v: Tensor, mask: KroneckerMask) -> Tensor:
    from torch.nn.attention.flex_attention import flex_attention

    block_mask = _flex_block_mask(mask, q.shape[2], k.shape[3], q.shape[3], str(q.device))
    rows = q.flatten(2, 3), k.flatten(2, 3), v.flatten(2, 3)
    if not _flex_compiles(q):
        return flex_attention(*rows, block_mask=block_mask).unflatten(2, q.shape[2:4])
    try:
        with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
            return _compiled_flex()(*rows, block_mask=block_mask).unflatten(2, q.shape[2:4])
    except (torch._dynamo.exc.TorchDynamoException, torch._dynamo.exc.FailOnRecompileLimitHit) as error:
        warn_once(f"FlexAttention is left for plan='auto': {str(error).splitlines()[0][:120]}")
        return kronecker_attention(q, k, v, mask)


@cached(32)
def _flex_block_mask(mask: KroneckerMask, frames: int, tokens: int, queries: int, device: str) -> Any:
    from torch.nn.attention.flex_attention import create_block_mask

    def visible(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return mask.visible(query // queries * tokens + query % queries, key, tokens)

    # Compiled it is evaluated tile by tile; as written, on all S×S pairs at once.
    lengths = (frames * queries, frames * tokens)
    return create_block_mask(visible, None, None, *lengths, device=device, _compile=device.startswith("cuda"))


@lru_cache(maxsize=1)
def _compiled_flex() -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=False)


def _flex_compiles(q: Tensor) -> bool:
    """Whether FlexAttention has a compiled kernel for these tensors; without it, it would build the S×S scores."""
    return q.is_cuda and q.dtype in (torch.float32, torch.bfloat16, torch.float16) and q.shape[-1] >= 16
