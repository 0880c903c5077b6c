"""The usual way of running the model, everything computed, and what each of our levers leaves out of it.

The same weights by the same blocks: what comes out is the same, which the tests hold them to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from claver.attention.plan import as_bias, plan_attention
from claver.models import Claver
from claver.models.block import Attend, run_block
from claver.models.temporal import attend_across, select_summary
from claver.models.text.clip import ClipText, attend_before


@dataclass(frozen=True)
class Step:
    """One more lever than the step before it.

    Attributes:
        name: what is left out.
        run: the model with all levers so far.
    """

    name: str
    run: Callable[[], Tensor]


def video_steps(model: Claver, video_BTCHW: Tensor) -> list[Step]:
    """From everything computed to what `encode_video` does, to be counted: a mask is never built, it costs nothing."""
    return [
        Step("everything", lambda: reference_video(model, video_BTCHW, masked=False)),
        Step(
            "last block: class tokens only",
            lambda: reference_video(model, video_BTCHW, masked=False, class_only=not model.temporal.reads_patches),
        ),
        Step("attention: visible pairs only", lambda: model.encode_video(video_BTCHW)),
    ]


def text_steps(model: Claver, tokens_CL: Tensor) -> list[Step]:
    """From texts padded to the whole context to what `encode_text` does; the texts end at their last token."""
    whole = padded(model, tokens_CL)
    return [
        Step("everything", lambda: reference_text(model, whole)),
        Step("texts cut at their end", lambda: reference_text(model, tokens_CL)),
        Step("last block: end token only", lambda: model.encode_text(tokens_CL)),
    ]


def padded(model: Claver, tokens_CL: Tensor) -> Tensor:
    """Texts filled up to the whole context."""
    return F.pad(tokens_CL, (0, model.text.context - tokens_CL.shape[1]), value=model.text.pad)


def reference_video(model: Claver, video_BTCHW: Tensor, *, masked: bool = True, class_only: bool = False) -> Tensor:
    """Frame embeddings [B, T, E], every token computed in every block.

    Args:
        model: of any kind; `class` and `mean` have only class tokens in their temporal tower, as everywhere.
        video_BTCHW: normalised pixels.
        masked: hide what the kind hides, by a dense additive mask [S, S]; without it the result is another one, of
            the same cost in multiply-adds.
        class_only: compute no more than the class tokens of the last block that anything is read from.
    """
    temporal = model.temporal
    early = class_only and not temporal.needs_patches
    x = model.image(video_BTCHW.flatten(0, 1), summary_only=early).unflatten(0, video_BTCHW.shape[:2])  # [B, T, N, D]
    x = x if temporal.needs_patches else select_summary(x)
    if temporal.mask is not None:
        x = x + temporal.embedding_at(0, x.shape[1], x.shape[1])[:, None]
    attend = _attention(model, x, masked) if len(temporal.blocks) else None
    for depth, block in enumerate(temporal.blocks):
        last = depth == len(temporal.blocks) - 1
        x = block(x, attend, select_summary if class_only and last else None)
    return model.readout(temporal.read(x))


def reference_text(model: Claver, tokens_CL: Tensor) -> Tensor:
    """Embeddings [C, E], every token computed in every block, whatever comes after the end of the text."""
    text = model.text
    if not isinstance(text, ClipText):
        return text.encode(tokens_CL, text.last_token(tokens_CL), run_block)
    x = text.embedding(tokens_CL) + text.position[: tokens_CL.shape[1]]
    for block in text.blocks:
        x = block(x, attend_before)
    rows = torch.arange(len(x), device=x.device)
    return text.norm(x)[rows, text.last_token(tokens_CL)] @ text.projection


def _attention(model: Claver, x_BTND: Tensor, masked: bool) -> Attend:
    mask = model.temporal.mask
    assert mask is not None
    frames, tokens = x_BTND.shape[1:3]
    if plan_attention(mask, frames, tokens).kind == "factorised" and mask.density(frames, tokens) < 1:
        return partial(attend_across, mask=mask)
    hidden = masked and mask.density(frames, tokens) < 1
    bias = as_bias(mask.matrix(frames, tokens), x_BTND.dtype, x_BTND.device) if hidden else None
    return partial(attend_densely, bias=bias)


def attend_densely(q_BTMHd: Tensor, k_BTNHd: Tensor, v_BTNHd: Tensor, bias: Tensor | None) -> Tensor:
    """Queries of the first M tokens of each frame on all S keys in one call, under a bias [S, S]."""
    if bias is not None:
        bias = bias.unflatten(0, k_BTNHd.shape[1:3])[:, : q_BTMHd.shape[2]].flatten(0, 1)  # [T·M, S]
    q, k, v = (x.flatten(1, 2).transpose(1, 2) for x in (q_BTMHd, k_BTNHd, v_BTNHd))  # [B, H, S, d]
    return F.scaled_dot_product_attention(q, k, v, bias).transpose(1, 2).unflatten(1, q_BTMHd.shape[1:3])
