"""The plan that halves the clip equals attention under the materialised mask, values and gradients, in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.attention.reference import assert_as, reference
from torch import Tensor

from claver.attention import EARLIER, KMCT, KMT, LATER, MASKS, SAME, KroneckerMask, kronecker_attention
from claver.attention.mask import ALL
from claver.attention.plan import plan_attention

halvable = [KMT, KMCT, (LATER @ ALL | SAME @ SAME), (SAME @ SAME), (EARLIER @ ALL | LATER @ ALL | SAME @ SAME)]
shapes = st.tuples(
    st.integers(1, 2), st.integers(1, 2), st.integers(1, 9), st.integers(2, 6), st.sampled_from([1, 4, 8])
)


def draw(shape: tuple[int, ...], queries: int, seed: int) -> list[Tensor]:
    """q, k and v as a block makes them: views of one buffer, heads inside."""
    batch, heads, frames, tokens, width = shape
    generator = torch.Generator().manual_seed(seed)
    joined = 2 * torch.randn(batch, frames, tokens, 3, heads, width, dtype=torch.float64, generator=generator)
    q, k, v = (x.permute(0, 3, 1, 2, 4).requires_grad_() for x in joined.unbind(3))
    return [q[:, :, :, :queries].detach().requires_grad_(), k, v]


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(halvable), shapes, st.booleans(), st.integers(0, 2**31))
def test_halving_equals_the_materialised_mask(
    mask: KroneckerMask, shape: tuple[int, ...], class_only: bool, seed: int
) -> None:
    q, k, v = draw(shape, 1 if class_only else shape[3], seed)
    expected = reference(q, k, v, mask)
    actual = kronecker_attention(q, k, v, mask, plan="halved")
    assert_as(actual, expected, [q, k, v])


def test_scores_far_apart_do_not_overflow() -> None:
    q, k, v = (x.detach() for x in draw((1, 1, 5, 3, 4), 3, 0))
    torch.testing.assert_close(
        kronecker_attention(300 * q, k, v, KMT, plan="halved"), reference(300 * q, k, v, KMT), rtol=1e-9, atol=1e-11
    )


def test_a_gradient_without_strides_is_read_rightly() -> None:
    q, k, v = draw((1, 2, 4, 3, 8), 3, 0)
    mine = torch.autograd.grad(kronecker_attention(q, k, v, KMCT, plan="halved").sum(), (q, k, v))
    theirs = torch.autograd.grad(reference(q, k, v, KMCT).sum(), (q, k, v))
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)


def test_half_precision_joins_in_single() -> None:
    q, k, v = (x.detach().bfloat16() for x in draw((1, 2, 8, 16, 8), 16, 0))
    out = kronecker_attention(q, k, v, KMT, plan="halved")
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.double(), reference(q.double(), k.double(), v.double(), KMT), rtol=0.02, atol=0.02)
    q.requires_grad_()
    assert torch.autograd.grad(kronecker_attention(q, k, v, KMT, plan="halved").sum(), q)[0].dtype == torch.bfloat16


def test_large_clips_on_a_cpu_are_halved_without_any_bias() -> None:
    frames, tokens = 8, 197
    every = (frames * tokens) ** 2
    for mask, visible in ((KMT, 1 - 1 / frames), (KMCT, 0.5 - 0.5 / frames)):
        plan = plan_attention(mask, frames, tokens, cpu=True)
        assert (plan.kind, plan.buffer) == ("halved", 0)
        assert plan.pairs == every * visible + frames * tokens == round(mask.density(frames, tokens) * every)
    assert plan_attention(MASKS["causal-joint"], frames, tokens, cpu=True).kind == "sliced"


def test_masks_that_do_not_halve_say_so() -> None:
    q = torch.randn(1, 1, 3, 4, 8)
    with pytest.raises(ValueError, match="does not halve"):
        kronecker_attention(q, q, q, MASKS["spatial"], plan="halved")
