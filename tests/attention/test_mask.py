"""The algebra of masks against Kronecker products written out, and the statements of Sec. 3.2 and Appendix A."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from claver.attention import ALL, EARLIER, KMCT, KMT, LATER, MASKS, OTHER, SAME, Relation

sizes = st.tuples(st.integers(1, 5), st.integers(1, 5))


def eye(n: int) -> torch.Tensor:
    return torch.eye(n, dtype=torch.int64)


def ones(n: int) -> torch.Tensor:
    return torch.ones(n, n, dtype=torch.int64)


@given(sizes)
def test_kmta_blocks_the_kronecker_product_of_equation_5(size: tuple[int, int]) -> None:
    frames, tokens = size
    blocked = torch.kron(eye(frames), ones(tokens) - eye(tokens)).bool()
    assert torch.equal(KMT.matrix(frames, tokens), ~blocked)


@given(sizes)
def test_kmcta_blocks_the_union_of_equation_8(size: tuple[int, int]) -> None:
    frames, tokens = size
    upper = ones(frames).triu(1)
    blocked = torch.kron(eye(frames), ones(tokens) - eye(tokens)) + torch.kron(upper, ones(tokens))
    assert torch.equal(KMCT.matrix(frames, tokens), ~blocked.bool())


@given(sizes)
def test_the_baselines_see_what_figure_2_shows(size: tuple[int, int]) -> None:
    frames, tokens = size
    class_column = torch.zeros(tokens, tokens, dtype=torch.int64)
    class_column[:, 0] = 1
    expected = {
        "joint": torch.kron(ones(frames), ones(tokens)),
        "spatial": torch.kron(eye(frames), ones(tokens)),
        "pipeline": torch.kron(ones(frames), eye(tokens)),
        "class": torch.kron(ones(frames), class_column),
    }
    for name, visible in expected.items():
        assert torch.equal(MASKS[name].matrix(frames, tokens), visible.bool()), name


@given(sizes, st.sampled_from(sorted(MASKS)))
def test_density_and_elementwise_predicate_agree_with_the_matrix(size: tuple[int, int], name: str) -> None:
    frames, tokens = size
    mask, matrix = MASKS[name], MASKS[name].matrix(frames, tokens)
    assert mask.density(frames, tokens) == pytest.approx(matrix.double().mean().item(), abs=1e-12)
    position = torch.arange(frames * tokens)
    assert torch.equal(mask.visible(position[:, None], position[None, :], tokens), matrix)


@given(sizes, st.sampled_from(sorted(MASKS)))
def test_causal_variants_hide_later_frames_and_nothing_else(size: tuple[int, int], name: str) -> None:
    frames, tokens = size
    past = torch.kron(ones(frames).tril(), ones(tokens)).bool()
    assert torch.equal(MASKS[name].causal().matrix(frames, tokens), MASKS[name].matrix(frames, tokens) & past)


@given(st.tuples(st.integers(1, 4), st.integers(1, 4)), st.integers(0, 2**31))
def test_kmcta_attention_is_lower_triangular_and_of_full_rank(size: tuple[int, int], seed: int) -> None:
    """Appendix A.2: whatever the scores, the determinant is the product of a positive diagonal."""
    frames, tokens = size
    total = frames * tokens
    scores = torch.randn(total, total, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    attention = scores.masked_fill(~KMCT.matrix(frames, tokens), float("-inf")).softmax(-1)
    assert torch.equal(attention, attention.tril())
    assert (attention.diagonal() > 0).all()
    assert torch.linalg.matrix_rank(attention, rtol=1e-14) == total


def test_kmta_can_be_singular_at_two_frames_of_two_tokens() -> None:
    """Appendix A.3, Eq. 30–31: with half of its weight on itself and a quarter on each token of the other frame."""
    mask = KMT.matrix(2, 2)
    assert mask.int().tolist() == [[1, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 1]]
    half_on_itself = torch.where(torch.eye(4, dtype=torch.bool), 0.5, 0.25) * mask
    assert half_on_itself.sum(1).tolist() == [1, 1, 1, 1]
    assert torch.linalg.matrix_rank(half_on_itself) == 3
    assert torch.linalg.matrix_rank(half_on_itself * KMCT.matrix(2, 2)) == 4


def test_relations_compose_into_masks_nobody_named() -> None:
    window = (OTHER & Relation.within(1)) @ ALL | SAME @ SAME
    seen = window.matrix(4, 2)
    assert seen[0].tolist() == [True, False, True, True, False, False, False, False]
    parity = Relation.of_matrix("parity", torch.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1]]).bool())
    assert torch.equal((parity @ ALL).matrix(3, 2), torch.kron(parity.matrix(3).int(), ones(2).int()).bool())
    assert torch.equal((~EARLIER @ ALL).matrix(3, 1), ((LATER | SAME) @ ALL).matrix(3, 1))


def test_a_relation_must_be_square_and_boolean() -> None:
    with pytest.raises(ValueError, match="square boolean matrix"):
        Relation.of_matrix("odd", torch.ones(2, 3, dtype=torch.bool))


def test_masks_print_and_draw() -> None:
    assert str(EARLIER @ ALL | SAME @ SAME) == "earlier⊗all ∪ same⊗same"
    assert repr(KMCT) == "KroneckerMask(KMCTA: earlier⊗all ∪ same⊗same)"
    assert KMCT.draw(2, 2) == "■· ··\n·■ ··\n\n■■ ■·\n■■ ·■"


def test_plot_draws_the_matrix() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    image = KMT.plot(3, 2).get_images()[0].get_array()
    assert torch.equal(torch.as_tensor(image.astype(bool)), KMT.matrix(3, 2))
