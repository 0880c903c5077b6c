"""Every plan equals attention under the materialised mask, values and gradients, in float64."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.attention.reference import assert_as, reference
from torch import Tensor

from claver.attention import (
    ALL,
    CLASS,
    EARLIER,
    LATER,
    MASKS,
    OTHER,
    SAME,
    KroneckerMask,
    Relation,
    kronecker_attention,
)
from claver.attention.plan import plan_attention

relations = [ALL, SAME, OTHER, EARLIER, LATER, CLASS, Relation.within(1), ~CLASS, EARLIER | SAME]
composed = st.lists(st.tuples(st.sampled_from(relations), st.sampled_from(relations)), min_size=1, max_size=3).map(
    lambda terms: KroneckerMask((*terms, (SAME, SAME)))
)
masks = st.sampled_from(list(MASKS.values())) | composed
shapes = st.tuples(
    st.integers(1, 2), st.integers(1, 2), st.integers(1, 5), st.integers(1, 6), st.sampled_from([1, 4, 8])
)


def draw(shape: tuple[int, ...], queries: int, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    made = [torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(3)]
    made[0] = made[0][:, :, :, :queries].contiguous()
    return [x.requires_grad_() for x in made]


@pytest.fixture(params=[True, False], ids=["small clips", "as if large"])
def _size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small clips are planned densely; planned as large ones they try every other plan."""
    monkeypatch.setattr("claver.attention.plan._SMALL", 2**18 if request.param else 0)
    cache_clear()
    yield
    cache_clear()


def cache_clear() -> None:
    plan_attention.cache_clear()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("_size")
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(masks, shapes, st.sampled_from(["auto", "sliced", "dense"]), st.booleans(), st.integers(0, 2**31))
def test_plans_equal_the_materialised_mask(
    mask: KroneckerMask, shape: tuple[int, ...], plan: str, class_only: bool, seed: int
) -> None:
    q, k, v = draw(shape, 1 if class_only else shape[3], seed)
    expected = reference(q, k, v, mask)
    actual = kronecker_attention(q, k, v, mask, plan=plan)
    assert_as(actual, expected, [q, k, v])


@pytest.mark.usefixtures("_size")
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(masks, shapes, st.sampled_from(["auto", "sliced", "dense"]), st.booleans(), st.data())
def test_queries_of_the_last_frames_alone_get_what_they_get_among_all(
    mask: KroneckerMask, shape: tuple[int, ...], plan: str, class_only: bool, data: st.DataObject
) -> None:
    q, k, v = draw(shape, 1 if class_only else shape[3], data.draw(st.integers(0, 2**31)))
    first = data.draw(st.integers(0, shape[2] - 1))
    expected = reference(q, k, v, mask)[:, :, first:]
    actual = kronecker_attention(q[:, :, first:], k, v, mask, plan=plan)
    assert_as(actual, expected, [q, k, v])


@pytest.mark.filterwarnings("ignore:flex_attention called without")
@settings(deadline=None, max_examples=25)
@given(masks, shapes, st.integers(0, 2**31))
def test_the_flex_predicate_equals_the_materialised_mask(
    mask: KroneckerMask, shape: tuple[int, ...], seed: int
) -> None:
    """Without a GPU FlexAttention runs uncompiled and forward only; the predicate is what is tested."""
    q, k, v = (x.detach() for x in draw(shape, shape[3], seed))
    torch.testing.assert_close(kronecker_attention(q, k, v, mask, plan="flex"), reference(q, k, v, mask))


@pytest.mark.parametrize("name", sorted(MASKS))
def test_large_clips_never_get_a_bias_as_large_as_the_dense_mask(name: str) -> None:
    frames, tokens = 8, 197
    for cpu in (False, True):
        plan = plan_attention(MASKS[name], frames, tokens, flash=cpu)
        assert plan.kind in ("factorised", "halved" if cpu and name in ("kmt", "kmct") else "sliced")
        assert plan.buffer <= tokens * (2 * frames - 1) * tokens < (frames * tokens) ** 2 / 4


def test_the_plans_of_the_paper_s_masks_compute_what_they_must() -> None:
    frames, tokens = 8, 197
    pairs = {name: plan_attention(MASKS[name], frames, tokens).pairs for name in MASKS}
    every = (frames * tokens) ** 2
    assert pairs["joint"] == every
    assert pairs["kmct"] == every * (frames + 1) // (2 * frames)
    assert pairs["spatial"] == frames * tokens**2
    assert pairs["pipeline"] == tokens * frames**2
    assert pairs["class"] == frames * tokens * frames
    assert plan_attention(MASKS["kmct"], 4, 17).kind == "dense", "small clips take one call"


def test_masks_that_differ_from_frame_to_frame_are_sliced_exactly() -> None:
    """Not Toeplitz: the rows cannot come from one shared buffer."""
    odd = Relation("odd keys", lambda query, key: (key % 2 == 1) & (query >= 0))
    mask = odd @ ~SAME | SAME @ SAME
    q, k, v = draw((1, 1, 4, 3, 8), 3, 0)
    torch.testing.assert_close(kronecker_attention(q, k, v, mask, plan="sliced"), reference(q, k, v, mask))


@pytest.mark.parametrize("plan", ["auto", "sliced", "dense"])
@pytest.mark.parametrize("name", sorted(MASKS))
def test_a_mask_first_used_for_inference_can_still_train(name: str, plan: str) -> None:
    cache_clear()
    q, k, v = draw((1, 1, 5, 4, 8), 4, 0)
    with torch.inference_mode():
        expected = kronecker_attention(q, k, v, MASKS[name], plan=plan)
    actual = kronecker_attention(q, k, v, MASKS[name], plan=plan)
    torch.testing.assert_close(actual, expected)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(actual.sum(), (q, k, v)))


def test_half_precision_keeps_its_type() -> None:
    q, k, v = (x.detach().bfloat16() for x in draw((1, 2, 3, 4, 8), 4, 0))
    out = kronecker_attention(q, k, v, MASKS["kmct"], plan="sliced")
    assert out.dtype == torch.bfloat16
    expected = reference(q.double(), k.double(), v.double(), MASKS["kmct"])
    torch.testing.assert_close(out.double(), expected, rtol=0.05, atol=0.05)


def test_bad_input_is_named() -> None:
    q = torch.randn(1, 1, 2, 3, 4)
    with pytest.raises(ValueError, match="token 0 of frame 0 sees nothing"):
        kronecker_attention(q, q, q, EARLIER @ ALL)
    with pytest.raises(ValueError, match="do not fit together"):
        kronecker_attention(q, q[:, :, :1], q, MASKS["joint"])
    with pytest.raises(ValueError, match="does not factorise"):
        kronecker_attention(q, q, q, MASKS["kmt"], plan="factorised")
    with pytest.raises(ValueError, match="do not fit together"):
        kronecker_attention(q, q[:, :, :1], q[:, :, :1], MASKS["joint"])
    with pytest.raises(ValueError, match="queries of all frames"):
        kronecker_attention(q[:, :, 1:], q, q, MASKS["kmt"], plan="flex")
    with pytest.raises(ValueError, match="between 1 and the 2 frames, not of 3"):
        plan_attention(MASKS["joint"], 2, 3, last=3)
    with pytest.raises(ValueError, match="between 1 and the 3 tokens"):
        plan_attention(MASKS["joint"], 2, 3, 4)


def test_flex_past_the_compiler_s_limit_takes_another_plan_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The compiler gives up at the ninth variant: what then runs uncompiled would build all S×S scores."""
    from claver.attention import functional

    variants: set[object] = set()

    def compiled(q: Tensor, k: Tensor, v: Tensor, block_mask: object) -> Tensor:
        variants.add((q.shape, k.shape, q.dtype))
        if len(variants) > 8:
            assert torch._dynamo.config.fail_on_recompile_limit_hit, "it would go on uncompiled"
            raise torch._dynamo.exc.FailOnRecompileLimitHit("recompile_limit reached")
        return torch.nn.attention.flex_attention.flex_attention(q, k, v, block_mask=block_mask)  # type: ignore[return-value]

    monkeypatch.setattr(functional, "_flex_compiles", lambda q: True)
    monkeypatch.setattr(functional, "_compiled_flex", lambda: compiled)
    for frames in range(2, 14):
        q, k, v = (x.detach() for x in draw((1, 1, frames, 3, 16), 3, frames))
        found = kronecker_attention(q, k, v, MASKS["kmct"], plan="flex")
        torch.testing.assert_close(found, reference(q, k, v, MASKS["kmct"]))
    assert len(variants) > 8
    assert caplog.text.count("FlexAttention is left for plan='auto': recompile_limit reached") == 1
