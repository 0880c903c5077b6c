"""Attention on a CUDA card: every mask in every plan it takes there, many variants in one process, bounded memory."""

from __future__ import annotations

import pytest
import torch
from tests.attention.reference import reference
from torch import Tensor

from claver.attention import KMCT, KMT, MASKS, kronecker_attention

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card")]
TOLERANCE = {torch.float32: 2e-5, torch.float16: 5e-3, torch.bfloat16: 3e-2}


def drawn(frames: int, tokens: int, dtype: torch.dtype, *, batch: int = 2, heads: int = 2) -> list[Tensor]:
    """q, k and v in float64 of values that the type has, as a block makes them: views of one buffer."""
    generator = torch.Generator().manual_seed(frames * 1000 + tokens)
    joined = torch.randn(batch, frames, tokens, 3, heads, 64, dtype=torch.float64, generator=generator)
    joined = joined.to(dtype).double()
    return [x.permute(0, 3, 1, 2, 4) for x in joined.unbind(3)]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("tokens", [17, 50, 197])
@pytest.mark.parametrize("frames", [3, 8, 12])
@pytest.mark.parametrize("name", sorted(MASKS))
def test_values_and_gradients_equal_those_of_the_materialised_mask(
    name: str, frames: int, tokens: int, dtype: torch.dtype
) -> None:
    mask, exact = MASKS[name], [x.requires_grad_() for x in drawn(frames, tokens, dtype)]
    there = [x.detach().to("cuda", dtype).requires_grad_() for x in exact]
    for queries in (1, tokens):
        expected = reference(exact[0][:, :, :, :queries], *exact[1:], mask)
        found = kronecker_attention(there[0][:, :, :, :queries], *there[1:], mask)
        weight = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        theirs = torch.autograd.grad((expected * weight).sum(), exact)
        mine = torch.autograd.grad((found * weight.to(found)).sum(), there)
        torch.testing.assert_close(found.double().cpu(), expected, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])
        for ours, right in zip(mine, theirs, strict=True):
            close = 4 * TOLERANCE[dtype]
            torch.testing.assert_close(ours.double().cpu(), right, atol=close * float(right.abs().max()), rtol=0)


def test_no_number_of_variants_in_a_process_costs_the_memory_of_all_scores() -> None:
    """Twice the masks, shapes, types and grad modes that the compiler keeps variants of; S is 4,616 and 9,232."""
    for count in range(24):
        mask, frames = (KMT, KMCT)[count % 2], (8, 16)[count // 2 % 2]
        dtype = (torch.bfloat16, torch.float16, torch.float32)[count // 4 % 3]
        grad, tokens = bool(count % 3), 577 - count
        q, k, v = (
            torch.randn(1, 4, frames, tokens, 64, device="cuda", dtype=dtype, requires_grad=grad) for _ in range(3)
        )
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        out = kronecker_attention(q, k, v, mask)
        if grad:
            out.sum().backward()
        torch.cuda.synchronize()
        used, scores = torch.cuda.max_memory_allocated() - before, 4 * (frames * tokens) ** 2 * q.element_size()
        assert used < scores / 3, f"variant {count}: {used / 2**20:.0f} MiB"
