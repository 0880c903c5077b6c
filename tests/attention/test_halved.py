"""The plan that halves the clip equals attention under the materialised mask, values and gradients, in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.attention.reference import assert_as, reference
from torch import Tensor

from claver.attention import EARLIER, KMCT, KMT, LATER, MASKS, SAME, KroneckerMask, halved, kronecker_attention
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
        plan = plan_attention(mask, frames, tokens, flash=True)
        assert (plan.kind, plan.buffer) == ("halved", 0)
        assert plan.pairs == every * visible + frames * tokens == round(mask.density(frames, tokens) * every)
    assert plan_attention(MASKS["causal-joint"], frames, tokens, flash=True).kind == "sliced"


def test_masks_that_do_not_halve_say_so() -> None:
    q = torch.randn(1, 1, 3, 4, 8)
    with pytest.raises(ValueError, match="does not halve"):
        kronecker_attention(q, q, q, MASKS["spatial"], plan="halved")


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([KMT, KMCT]), shapes, st.booleans(), st.integers(0, 2**31))
def test_one_pass_equals_part_after_part(
    mask: KroneckerMask, shape: tuple[int, ...], class_only: bool, seed: int
) -> None:
    """What a compiler makes one pass of on a GPU, values and gradients, against the mask written out."""
    q, k, v = draw(shape, 1 if class_only else shape[3], seed)
    expected = reference(q, k, v, mask)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(halved, "_joined_in_place", halved._joined)
        patch.setattr(halved, "_summed_in_place", halved._summed)
        actual = kronecker_attention(q, k, v, mask, plan="halved")
        weight = torch.randn_like(expected)
        mine = torch.autograd.grad((actual * weight).sum(), (q, k, v))
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-11)
    theirs = torch.autograd.grad((expected * weight).sum(), (q, k, v))
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)
    assert actual.permute(0, 2, 3, 1, 4).is_contiguous()  # joining the heads is no copy


@pytest.mark.parametrize("mask", [KMT, KMCT])
@pytest.mark.parametrize("asked", [1, 3])
def test_gradients_of_the_last_frames_reach_the_frames_before_them(mask: KroneckerMask, asked: int) -> None:
    q, k, v = draw((2, 2, 6, 5, 8), 5, 3)
    last = q[:, :, 6 - asked :].detach().requires_grad_()
    expected = reference(q, k, v, mask)[:, :, 6 - asked :]
    for one_pass in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            if one_pass:
                patch.setattr(halved, "_joined_in_place", halved._joined)
                patch.setattr(halved, "_summed_in_place", halved._summed)
            actual = kronecker_attention(last, k, v, mask, plan="halved") if mask is KMCT else None
            if actual is None:  # earlier frames see later ones, so that queries of the last alone are another relation
                actual = kronecker_attention(q, k, v, mask, plan="halved")[:, :, 6 - asked :]
            mine = torch.autograd.grad(actual.sum(), (k, v))
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-11)
        theirs = torch.autograd.grad(expected.sum(), (k, v), retain_graph=True)
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("frames", "calls"), [(2, 1), (8, 3), (16, 4), (12, 4), (6, 3), (5, 4)])
def test_halves_of_halves_are_one_call(frames: int, calls: int) -> None:
    """A causal clip of 2ⁿ frames takes n calls; each pair of frames is in exactly one of them."""
    parts = plan_attention(KMCT, frames, 50, flash=True, kind="halved").parts
    assert len(parts) == calls
    pairs = [
        (start + query, start + key)
        for part in parts
        for start in range(0, frames, part.block)
        for query in range(part.queries.start, part.queries.stop)
        for key in range(part.keys.start, part.keys.stop)
    ]
    assert sorted(pairs) == [(query, key) for query in range(frames) for key in range(query)]


def test_a_compiler_that_gives_up_is_told_once_and_costs_no_memory(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def give_up(plain: object, **settings: object) -> object:
        def run(*arguments: object) -> object:
            raise RuntimeError("recompile_limit reached")

        return run

    monkeypatch.setattr(torch, "compile", give_up)
    halved._fused.cache_clear()
    try:
        add = halved._fused(lambda x: x + 1)
        assert [add(1), add(2)] == [2, 3]
    finally:
        halved._fused.cache_clear()
    assert caplog.text.count("joined without a compiler, which is slower: recompile_limit reached") == 1


def test_no_number_of_shapes_makes_a_gpu_build_all_scores() -> None:
    """Far more variants than the compiler keeps of FlexAttention, none of them by it or by a dense mask."""
    for mask in (KMT, KMCT, MASKS["causal-joint"]):
        for frames in (3, 4, 8, 16, 32):
            for tokens in (197, 577):
                plan = plan_attention(mask, frames, tokens, flash=True)
                assert plan.kind == ("sliced" if mask is MASKS["causal-joint"] else "halved")
                assert plan.buffer <= tokens * (2 * frames - 1) * tokens
