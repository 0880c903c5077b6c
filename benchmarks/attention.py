"""Kronecker mask attention alone, against one call of PyTorch's attention under the dense additive mask."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.baseline import additive
from benchmarks.timing import Row, Settings, assert_same, compare
from claver.attention import KMCT, KMT, KroneckerMask, kronecker_attention

AREA = "attention"
HEADS, WIDTH = 12, 64


@torch.inference_mode()
def rows(settings: Settings) -> list[Row]:
    tokens, lengths = (50, (8, 16)) if settings.quick else (197, (8, 16, 32))
    made = []
    for mask in (KMCT, KMT):
        for frames in lengths:
            target = 1.5 if mask == KMCT and not settings.quick else None
            made.append(_row(mask, frames, tokens, target, settings))
    return made


def _row(mask: KroneckerMask, frames: int, tokens: int, target: float | None, settings: Settings) -> Row:
    q, k, v = drawn(frames, tokens)
    bias = additive(mask, frames, tokens)

    def usual() -> Tensor:
        return scaled_dot_product_attention(q.flatten(2, 3), k.flatten(2, 3), v.flatten(2, 3), bias)

    def ours() -> Tensor:
        return kronecker_attention(q, k, v, mask)

    assert_same(ours().flatten(2, 3), usual())
    what = f"{mask}, T={frames}, N={tokens}, {HEADS} heads of {WIDTH}"
    return compare(AREA, "dense float mask, one SDPA call", usual, {what: ours}, settings)[0].labelled(
        what, target=target, note="" if target or settings.quick else "for information"
    )


def drawn(frames: int, tokens: int, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """q, k and v [1, H, T, N, d] as a block makes them: views of one buffer."""
    torch.manual_seed(0)
    joined = torch.randn(1, frames, tokens, 3, HEADS, WIDTH, device=device, dtype=dtype)
    return [x.permute(0, 3, 1, 2, 4) for x in joined.unbind(3)]
