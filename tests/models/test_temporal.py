"""Frame after frame: steps against a cache give what the whole clip gives, and what a kind says of itself is so."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from claver.attention.kv_cache import KeyValueCache
from claver.models import ClaverConfig, ImageConfig, TemporalConfig, TextConfig
from claver.models.temporal import KINDS, TemporalTower

WIDTH = 16


def tower(kind: str, frames: int, layers: int = 2) -> TemporalTower:
    config = ClaverConfig(
        ImageConfig(width=WIDTH, heads=2, layers=1), TextConfig(), TemporalConfig(kind, layers, frames), embedding=8
    )
    torch.manual_seed(0)
    made = TemporalTower(config).eval()
    made.initialize("random")
    return made.requires_grad_(False)


def tokens(batch: int, frames: int, count: int, seed: int) -> torch.Tensor:
    return torch.randn(batch, frames, count, WIDTH, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["kmct", "mean"]),
    st.sampled_from(["auto", "sliced", "dense", "halved"]),
    st.integers(1, 3),
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.integers(1, 6),
    st.integers(0, 2),
    st.integers(0, 2**31),
)
def test_after_k_frames_steps_give_what_the_first_k_frames_give(
    kind: str, plan: str, batch: int, parts: list[int], count: int, more: int, seed: int
) -> None:
    """In parts of any size, of clips that are to have more frames than came."""
    seen = sum(parts)
    g = tower(kind, seen + more)
    x = tokens(batch, seen, count, seed)
    cache = KeyValueCache(seen + more)
    steps = torch.cat([g.step(part, cache, plan=plan) for part in x.split(parts, dim=1)], dim=1)
    # Later frames change nothing: the clip is completed with others, of which nothing is read.
    whole = g(torch.cat([x, tokens(batch, more, count, seed + 1)], dim=1))[:, :seen] if more else g(x)
    torch.testing.assert_close(steps, whole, rtol=1e-5, atol=1e-5)
    assert cache.seen == (seen if kind == "kmct" else 0)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.integers(1, 2), st.integers(1, 2), st.integers(0, 2**31))
def test_clips_of_several_caches_share_a_batch(seen: list[int], batch: int, count: int, seed: int) -> None:
    """Each has frames of its own before; together they get what each gets alone."""
    g, room = tower("kmct", 6), 6
    before = [tokens(batch, frames, 5, seed + number) for number, frames in enumerate(seen)]
    after = [tokens(batch, count, 5, seed + 10 + number) for number in range(len(seen))]

    def begun() -> list[KeyValueCache]:
        caches = [KeyValueCache(room) for _ in seen]
        for cache, x in zip(caches, before, strict=True):
            if x.shape[1]:
                g.step(x, cache)
        return caches

    alone = [g.step(x, cache) for x, cache in zip(after, begun(), strict=True)]
    caches = begun()
    torch.testing.assert_close(g.step(torch.cat(after), *caches), torch.cat(alone), rtol=1e-5, atol=1e-5)
    assert [cache.seen for cache in caches] == [frames + count for frames in seen]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_causal_and_needs_patches_as_it_says(kind: str) -> None:
    g = tower(kind, 4)
    x = tokens(1, 4, 5, 0)
    out, traits = g(x), KINDS[kind]
    later = x.clone()
    later[:, 2:] += 1
    assert torch.equal(g(later)[:, :2], out[:, :2]) == traits.is_causal
    patches = x.clone()
    patches[:, :, 1:] += 1
    assert torch.equal(g(patches), out) != traits.needs_patches


def test_what_looks_ahead_or_does_not_fit_is_refused() -> None:
    x = tokens(2, 2, 3, 0)
    with pytest.raises(ValueError, match="'kmt' looks ahead"):
        tower("kmt", 4).step(x, KeyValueCache(4))
    cache = KeyValueCache(3)
    g = tower("kmct", 3)
    g.step(x, cache)
    with pytest.raises(ValueError, match="room for 3 frames, 2 are in it, not for 4"):
        g.step(x, cache)
    with pytest.raises(ValueError, match="2 clips cannot share 0 caches"):
        g.step(x)
    with pytest.raises(ValueError, match="of clips"):
        g.step(x[:1, :1], cache)


def test_a_cache_is_used_again_and_says_what_it_takes() -> None:
    g = tower("kmct", 3)
    cache = KeyValueCache(3)
    first = g.step(tokens(1, 3, 5, 0), cache)
    assert cache.nbytes == 2 * len(g.blocks) * 3 * 5 * WIDTH * 4
    cache.clear()
    g.step(tokens(1, 2, 5, 1), cache)
    cache.clear()
    assert torch.equal(g.step(tokens(1, 3, 5, 0), cache), first)


def test_time_embeddings_of_a_part_are_a_part_of_the_whole() -> None:
    g = tower("kmct", 4)
    assert torch.equal(g.embedding_at(1, 2, 4), g.embedding[1:3])
    assert torch.equal(g.embedding_at(2, 3, 8), g.embedding_at(0, 8, 8)[2:5])
