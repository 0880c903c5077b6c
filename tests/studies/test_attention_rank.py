"""Ranks of attention matrices: what Appendix A proves, and what numbers of finite precision make of it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from claver.attention import JOINT, KMCT, KMT
from claver.errors import ClaverError
from claver.models.config import Temporal
from claver.models.temporal import TemporalTower, attend_across
from claver.studies.attention_rank import (
    attention_ranks,
    attention_weights,
    numerical_rank,
    random_tower,
    ranks_by_length,
    shortened,
)

KINDS: list[Temporal] = ["kmt", "kmct", "joint", "pipeline", "class"]


def some_tokens(clips: int, frames: int, tokens: int, width: int = 128) -> Tensor:
    return torch.randn(clips, frames, tokens, width, generator=torch.Generator().manual_seed(frames * tokens))


@pytest.mark.parametrize("kind", KINDS)
def test_against_the_materialised_matrices_of_every_layer(kind: Temporal) -> None:
    """Scores and weights built independently, layer by layer, and their ranks by torch's own rule."""
    tower, tokens = random_tower(kind, frames=3).double(), some_tokens(2, 3, 5).double()
    found = attention_ranks(tower, tokens)
    x = tokens + tower.embedding[:, None]
    visible = tower.mask.matrix(3, 5)  # type: ignore[union-attr]
    for layer, block in enumerate(tower.blocks):
        q, k, _ = block.qkv(block.norm1(x)).unflatten(-1, (3, 2, 64)).unbind(-3)
        scores = torch.einsum("btnhd,bumhd->hbtnum", q, k).flatten(4).flatten(2, 3) / 8
        weights = scores.masked_fill(~visible, float("-inf")).softmax(-1)
        assert torch.equal(found.weights()[layer], torch.linalg.matrix_rank(weights))
        assert torch.equal(found.scores()[layer], torch.linalg.matrix_rank(scores))
        torch.testing.assert_close(found.weight_values[layer], torch.linalg.svdvals(weights))
        torch.testing.assert_close(found.least_own[layer], weights.diagonal(dim1=-2, dim2=-1).amin(-1))
        x = block(x, lambda q, k, v: attend_across(q, k, v, tower.mask))  # type: ignore[arg-type]


def test_scores_are_bound_by_the_head_width_and_causal_weights_are_not() -> None:
    """T·N = 8, 16, 24, 32 with heads of width 16: the scores stop at 16, KMCTA's weights go on."""
    tower = random_tower("kmct", width=64, heads=4, frames=4)
    tokens = some_tokens(2, 4, 8, 64)
    for ranks in ranks_by_length(tower, tokens, [1, 2, 3, 4]):
        assert ranks.head_width == 16
        assert (ranks.scores() == min(16, ranks.total)).all()
        assert ranks.full() == 1.0
        assert (ranks.least_own > 0).all()


@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(1, 5),
    tokens=st.integers(1, 6),
    scale=st.floats(0, 3),
    seed=st.integers(0, 2**31),
)
def test_causal_attention_is_lower_triangular_and_of_full_rank(
    frames: int, tokens: int, scale: float, seed: int
) -> None:
    """A.2, Eq. 29: the determinant is the product of a positive diagonal."""
    generator = torch.Generator().manual_seed(seed)
    q, k = torch.randn(2, frames * tokens, 4, dtype=torch.float64, generator=generator) * scale
    weights = attention_weights(q, k, KMCT.matrix(frames, tokens))
    assert torch.equal(weights, weights.tril())
    assert (weights.diagonal() > 0).all()
    _, log_determinant = torch.linalg.slogdet(weights)
    torch.testing.assert_close(log_determinant, weights.diagonal().log().sum())


def test_equal_scores_in_closed_form() -> None:
    """All scores zero: joint weights are J/S, of rank 1. KMTA's are (J⊗J − I⊗J + I)/(…), with eigenvalues 1 + N(T−1),
    1 − N and 1 before scaling: of full rank, unless N = 1 (the example of A.3, Eq. 31, is one more such case)."""
    zero = torch.zeros(12, 4, dtype=torch.float64)

    def rank(mask, tokens: int) -> int:
        weights = attention_weights(zero, zero, mask.matrix(12 // tokens, tokens))
        return int(torch.linalg.matrix_rank(weights))

    assert [rank(JOINT, tokens) for tokens in (1, 3)] == [1, 1]
    assert [rank(KMT, tokens) for tokens in (1, 3)] == [1, 12]
    assert [rank(KMCT, tokens) for tokens in (1, 3)] == [12, 12]


def test_a_tower_whose_tokens_are_all_alike() -> None:
    """The same by the whole way: no query distinguishes anything."""
    by_kind = {}
    for kind in ("joint", "kmt", "kmct"):
        tower = random_tower(kind, layers=1, frames=4)
        torch.nn.init.zeros_(tower.blocks[0].qkv.weight)
        found = attention_ranks(tower, some_tokens(1, 4, 3))
        by_kind[kind] = (int(found.weights().max()), int(found.scores().max()))
    assert by_kind == {"joint": (1, 0), "kmt": (12, 0), "kmct": (12, 0)}


def test_full_rank_by_proof_may_be_less_by_count() -> None:
    """With random weights the triangular matrix is the worse conditioned: the count turns the paper's order round."""
    found = {}
    for kind in ("joint", "kmct"):
        tower = random_tower(kind, layers=1, frames=16)
        found[kind] = attention_ranks(tower, some_tokens(1, 16, 17))
    assert found["joint"].full(1e-9) == 1.0
    assert found["kmct"].full(1e-9) == 0.0
    assert (found["kmct"].least_own > 1e-5).all()


def test_what_the_tolerance_does_to_the_causal_kind() -> None:
    """Tokens that look away from themselves: full rank by Eq. 29, and numerically as much as the tolerance lets by."""
    tower = random_tower("kmct", layers=1, heads=2, frames=4)
    with torch.no_grad():
        tower.blocks[0].qkv.weight[:128].mul_(40)
    found = attention_ranks(tower, some_tokens(1, 4, 10))
    assert (found.least_own > 0).all()
    assert (found.least_own < 1e-8).all()
    counts = [int(found.weights(tolerance).max()) for tolerance in (1e-15, 1e-6, 1e-2)]
    assert counts == sorted(counts, reverse=True)
    assert counts[2] < counts[0]
    assert found.full(1e-2) == 0.0


def test_the_same_weights_whatever_the_kind() -> None:
    first, second = (random_tower(kind, seed=3).state_dict() for kind in ("joint", "kmct"))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["embedding"], random_tower("joint", seed=4).embedding)
    state = torch.random.get_rng_state()
    random_tower("joint")
    assert torch.equal(torch.random.get_rng_state(), state)


def test_shorter_clips_keep_the_embedding_of_their_frames_and_the_tower_its_own() -> None:
    tower = random_tower("kmt", frames=6)
    short = shortened(tower, 2)
    assert torch.equal(short.embedding, tower.embedding[:2])
    assert len(tower.embedding) == 6
    rows = ranks_by_length(tower, some_tokens(1, 6, 3), [2, 6])
    assert [row.total for row in rows] == [6, 18]
    torch.testing.assert_close(rows[0].weight_values, attention_ranks(short, some_tokens(1, 6, 3)[:, :2]).weight_values)


def test_numerical_rank_is_relative() -> None:
    values = torch.tensor([[100.0, 1.0, 1e-3], [1e-9, 1e-10, 0.0]])
    assert numerical_rank(values, 1e-3).tolist() == [2, 2]
    assert numerical_rank(torch.zeros(2, 3), 1e-3).tolist() == [0, 0]


def test_what_cannot_be_measured() -> None:
    mean: TemporalTower = random_tower("mean")
    with pytest.raises(ClaverError, match="'mean' has no attention"):
        attention_ranks(mean, some_tokens(1, 2, 3))
    with pytest.raises(ClaverError, match="from 1 to the 4 frames of clips and tower, not 5"):
        ranks_by_length(random_tower("kmt", frames=8), some_tokens(1, 4, 3), [1, 5])
