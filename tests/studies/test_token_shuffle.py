"""Tokens that change places: what must stay, and what must not (Appendix B)."""

import pytest
import torch
from tests.tiny import tiny_model
from torch import Tensor

from claver.models import Claver
from claver.models.config import Temporal
from claver.studies.token_shuffle import permutations, permute, shuffled

KINDS: list[Temporal] = ["kmt", "kmct", "joint", "pipeline", "class", "mean"]


def model_and_tokens(kind: Temporal) -> tuple[Claver, Tensor]:
    model = tiny_model(kind).double()
    if kind != "mean":
        with torch.no_grad():
            model.temporal.embedding.mul_(50)  # of the tokens' own scale, so that time can be seen
    generator = torch.Generator().manual_seed(1)
    return model, torch.randn(3, 4, 17, 128, dtype=torch.float64, generator=generator)


@torch.no_grad()
def moved(kind: Temporal, **settings: str) -> float:
    """By how much shuffling changes the frame embeddings, relative to their size."""
    model, tokens = model_and_tokens(kind)
    before = model.encode_tokens(tokens)
    after = shuffled(model, tokens, seed=2, **settings)  # type: ignore[arg-type]
    assert after.shape == before.shape
    return float((after - before).norm() / before.norm())


@pytest.mark.parametrize("kind", KINDS)
def test_joint_attention_alone_cannot_tell_tokens_shuffled_after_the_embedding(kind: Temporal) -> None:
    """Mean pooling has no attention that could."""
    change = moved(kind, where="after", level="tokens")
    assert change < 1e-13 if kind in ("joint", "mean") else change > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_shuffled_frames_are_told_by_the_causal_mask_alone(kind: Temporal) -> None:
    change = moved(kind, where="after", level="frames")
    assert change > 0.01 if kind == "kmct" else change < 1e-13


@pytest.mark.parametrize("level", ["tokens", "frames"])
@pytest.mark.parametrize("kind", ["kmt", "kmct", "joint"])
def test_shuffling_before_the_embedding_is_told_by_every_kind(kind: Temporal, level: str) -> None:
    assert moved(kind, where="before", level=level) > 0.01


def test_without_an_embedding_before_is_after() -> None:
    model, tokens = model_and_tokens("kmt")
    model.temporal.embedding.data.zero_()
    before, after = (shuffled(model, tokens, where=where, seed=3) for where in ("before", "after"))
    torch.testing.assert_close(before, after)


def test_read_at_the_old_places_joint_attention_changes_too() -> None:
    assert moved("joint", where="after", read="places") > 0.01


@torch.no_grad()
def test_the_paper_s_video_is_the_mean_of_the_frames_wherever_they_are_read() -> None:
    """Whole frames carry their class tokens to class places: the mean over frames is the same, their order is not."""
    model, tokens = model_and_tokens("kmct")
    followed, places = (
        shuffled(model, tokens, where="after", level="frames", seed=4, read=read) for read in ("followed", "places")
    )
    torch.testing.assert_close(followed.mean(1), places.mean(1))
    assert (followed - places).norm() > 0.01 * followed.norm()


@torch.no_grad()
def test_shuffled_before_is_the_model_on_shuffled_tokens() -> None:
    model, tokens = model_and_tokens("kmct")
    order = permutations(3, 4, 17, level="tokens", seed=5)
    expected = model.encode_tokens(
        torch.stack([clip.flatten(0, 1)[p] for clip, p in zip(tokens, order, strict=True)]).unflatten(1, (4, 17))
    )
    found = shuffled(model, tokens, where="before", seed=5, read="places")
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("level", ["tokens", "frames"])
def test_permutations(level: str) -> None:
    settings = {"level": level}
    order = permutations(5, 6, 4, seed=1, **settings)  # type: ignore[arg-type]
    assert torch.equal(order.sort(1).values, torch.arange(24).expand(5, -1))
    assert len({tuple(row) for row in order.tolist()}) == 5
    assert torch.equal(order, permutations(5, 6, 4, seed=1, **settings))  # type: ignore[arg-type]
    assert not torch.equal(order, permutations(5, 6, 4, seed=2, **settings))  # type: ignore[arg-type]
    in_order = torch.equal(order % 4, torch.arange(24).expand(5, -1) % 4)
    assert in_order == (level == "frames")


def test_permute_and_back() -> None:
    x = torch.rand(2, 3, 4, 5)
    order = permutations(2, 3, 4, seed=7)
    there = permute(x, order)
    assert torch.equal(there[1].flatten(0, 1)[2], x[1].flatten(0, 1)[order[1, 2]])
    assert torch.equal(permute(there, order.argsort(1)), x)


@pytest.mark.parametrize("word", ["where", "level", "read"])
def test_unknown_words(word: str) -> None:
    model, tokens = model_and_tokens("kmt")
    with pytest.raises(ValueError, match=f"{word} must be .* or .*, not 'between'"):
        shuffled(model, tokens, **({"where": "after"} | {word: "between"}))
