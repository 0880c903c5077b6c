"""Relevance against a slow implementation that shares nothing with it, what masks forbid, and the memory it takes."""

import copy
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.explain import slow
from tests.tiny import EOT, talking_model, tiny_model
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from claver.explain.relevance import text_relevance, video_relevance
from claver.models import Claver
from claver.models.config import Temporal
from claver.models.objective import video_embedding

KINDS = get_args(Temporal)
TEXT = torch.tensor([98, 5, 17, 3, 44, 8, EOT])


def clip(frames: int, *, seed: int = 0, height: int = 32, width: int = 32) -> Tensor:
    return torch.randn(frames, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit_text(model: Claver) -> Tensor:
    return F.normalize(model.encode_text(TEXT[None])[0], dim=-1).detach()


def sharp(model: Claver) -> Claver:
    """Attention far from uniform, so that a wrong weight or gradient shows."""
    for tower in (model.image, model.temporal, model.text):
        for block in tower.blocks:
            block.qkv.weight.data *= 6  # type: ignore[union-attr, operator]
    return model.double()


@pytest.mark.parametrize("aggregate", ["paper", "released"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", [1, 3, 4])
def test_equals_the_slow_way(kind: Temporal, frames: int, aggregate: str) -> None:
    model = sharp(talking_model(kind, aggregate=aggregate))
    video = clip(frames)
    expected = slow.explain(model, video, TEXT)
    for piece in (2**22, 100):
        found = video_relevance(model, video, unit_text(model), piece=piece)
        assert found.similarity == pytest.approx(expected.similarity, rel=1e-12)
        for name in ("reads", "temporal", "spatial", "combined"):
            torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-12, msg=name)
    embedding = video_embedding(found.frame_embeddings[None], model.config.aggregate)[0]
    for piece in (2**22, 5):
        words = text_relevance(model, TEXT, embedding, piece=piece)
        torch.testing.assert_close(words, expected.words, rtol=1e-9, atol=1e-12)
    assert expected.words[:-1].min() >= 0
    assert expected.words.sum() > 0
    assert expected.spatial.sum() > 0
    assert (expected.temporal.sum() > 0) == (
        kind not in ("class", "mean") and (frames > 1 or kind in ("joint", "pipeline"))
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_grid_that_is_no_square(kind: Temporal) -> None:
    model, video = sharp(tiny_model(kind)), clip(3, height=24, width=40)
    expected = slow.explain(model, video, TEXT)
    found = video_relevance(model, video, unit_text(model))
    assert found.combined.shape == (3, 3, 5)
    torch.testing.assert_close(found.combined, expected.combined, rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=12)
@given(frames=st.integers(1, 5), seed=st.integers(0, 99), layers=st.integers(1, 3))
def test_what_the_causal_mask_forbids_carries_none(frames: int, seed: int, layers: int) -> None:
    model = sharp(tiny_model("kmct", seed=seed, layers=layers))
    found = video_relevance(model, clip(frames, seed=seed), unit_text(model))
    assert torch.equal(found.reads, found.reads.tril())
    assert float(found.temporal[-1].abs().max()) == 0  # no frame comes later that could look at the last one's places
    if frames > 1:
        assert found.reads.tril(-1).sum() > 0


def test_what_other_masks_forbid_carries_none() -> None:
    kmt = video_relevance(sharp(tiny_model("kmt", layers=1)), clip(1), torch.ones(32, dtype=torch.float64))
    assert float(kmt.temporal.abs().max()) == 0  # in one layer a token sees no other of its own frame
    for kind in ("class", "mean"):
        found = video_relevance(sharp(tiny_model(kind)), clip(4), torch.ones(32, dtype=torch.float64))  # type: ignore[arg-type]
        assert float(found.temporal.abs().max()) == 0
        assert found.combined.sum() > 0
    assert float(found.reads.abs().max()) == 0


def test_nothing_of_the_model_changes_and_any_grad_mode_will_do() -> None:
    model, video = tiny_model("kmt"), clip(3).float()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    direction = unit_text(model)
    expected = video_relevance(model, video, direction)
    with torch.inference_mode():
        found = video_relevance(model, video + 0, direction + 0)
        words = text_relevance(model, TEXT, found.frame_embeddings.mean(0) + 0)
    torch.testing.assert_close(found.combined, expected.combined)
    assert words.shape == TEXT.shape
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_computes_what_it_always_does(kind: Temporal) -> None:
    model, video = tiny_model(kind), clip(4).float()
    with torch.no_grad():
        expected = model.encode_video(video[None])[0]
    assert torch.equal(video_relevance(model, video, unit_text(model)).frame_embeddings, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_tells_the_same_story(kind: Temporal) -> None:
    model, video = tiny_model(kind), clip(4).float()
    stories = []
    for turned in (model, copy.deepcopy(model).bfloat16()):
        found = video_relevance(turned, video, unit_text(turned))
        words = text_relevance(turned, TEXT, found.frame_embeddings.mean(0))
        assert found.combined.dtype == words.dtype == torch.float32
        stories.append((found.combined.flatten(), words))
    for full, half in zip(*stories, strict=True):
        assert torch.corrcoef(torch.stack([full, half]))[0, 1] > 0.95


class Largest(TorchDispatchMode):
    """Elements of the largest tensor that any operation made, views of what was there before apart."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for part in out if isinstance(out, tuple | list) else [out]:
            if isinstance(part, Tensor):
                self.elements = max(self.elements, part.untyped_storage().nbytes() // part.element_size())
        return out


@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_bounded_as_stated(kind: Temporal) -> None:
    frames, piece = 16, 40_000
    model, video = tiny_model(kind, frames=frames), clip(frames).float()
    config, total = model.config.image, frames * model.config.image.tokens
    whole = config.heads * total * total
    with Largest() as largest:
        video_relevance(model, video, unit_text(model), piece=piece)
    # The widest activation of a block, and gradients of its weights where autograd made any.
    activations = 4 * config.width * max(total, config.width)
    assert largest.elements <= max(piece, config.heads * total, activations)
    assert kind in ("class", "mean") or largest.elements < whole


def test_the_measure_would_see_a_whole_matrix() -> None:
    frames = 16
    model = tiny_model("joint", frames=frames)
    config, total = model.config.image, frames * model.config.image.tokens
    with Largest() as largest:
        found = video_relevance(model, clip(frames).float(), unit_text(model), piece=2**30)
    assert largest.elements >= config.heads * total * total
    torch.testing.assert_close(found.moments, found.combined.flatten(1).sum(1))
