"""Relevance through towers of another library, against its own attention weights and their gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models import random_family as families
from torch import Tensor
from torch.nn import functional as F

import claver
from claver.errors import ClaverError
from claver.explain import explain
from claver.explain.relevance import text_relevance, video_relevance
from claver.inference.recognizer import Recognizer
from claver.models.objective import video_embedding

pytest.importorskip("transformers")
FRAMES = 2


def folder(family: str, tmp_path: Path) -> tuple[Path, Any]:
    model = families.saved(family, tmp_path / family)
    return tmp_path / family, model


def loaded(family: str, tmp_path: Path, temporal: Any = "mean") -> tuple[claver.Claver, Any]:
    place, theirs = folder(family, tmp_path)
    more = {}
    if family in families.IMAGES:
        families.sentence_encoder(tmp_path / "text")
        more = {"text": tmp_path / "text"}
    return claver.load(place, temporal=temporal, frames=FRAMES, **more), theirs


def weighed(attention: Tensor) -> Tensor:
    """Ā of one layer whose weights [F, H, M, L] have a gradient: the mean over heads of (∇A ⊙ A)⁺."""
    assert attention.grad is not None
    return (attention.grad * attention.detach()).clamp(min=0).mean(1)


def through_layers(attentions: Any, count: int) -> Tensor:
    """Chefer's rule from the first layer to the last [F, N, N]."""
    relevance = torch.eye(count).expand(len(attentions[0]), count, count)
    for attention in attentions:
        relevance = relevance + weighed(attention) @ relevance
    return relevance


def with_weights(body: Any, **inputs: Any) -> Any:
    """The library's own pass by its plain attention, with weights that keep their gradients."""
    body.config._attn_implementation = "eager"
    for module in body.modules():
        if hasattr(module, "config"):
            module.config._attn_implementation = "eager"
    out = body(**inputs, output_attentions=True)
    for attention in out.attentions:
        attention.retain_grad()
    return out


def pooled_slowly(head: Any, tokens_FND: Tensor) -> tuple[Tensor, Tensor]:
    """SigLIP's head written out: the pooled vector and its attention weights [F, H, 1, N]."""
    attention, width = head.attention, tokens_FND.shape[-1]
    weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
    q, k, v = (
        (x @ w.T + b).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
        for x, w, b in zip(
            (head.probe.expand(len(tokens_FND), 1, width), tokens_FND, tokens_FND), weights, biases, strict=False
        )
    )
    shares = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
    shares.retain_grad()
    read = attention.out_proj((shares @ v).transpose(1, 2).flatten(-2))
    return (read + head.mlp(head.layernorm(read)))[:, 0], shares


def target(model: claver.Claver, frames_TE: Tensor, direction: Tensor) -> Tensor:
    video = video_embedding(frames_TE[None])[0]
    return model.scale.detach() * F.normalize(video, dim=-1) @ direction


def pixels(model: claver.Claver) -> Tensor:
    torch.manual_seed(5)
    return torch.randn(FRAMES, 3, model.config.image.size, model.config.image.size)


def direction(model: claver.Claver) -> Tensor:
    torch.manual_seed(6)
    return F.normalize(torch.randn(model.config.embedding), dim=-1)


@pytest.mark.slow
def test_relevance_through_an_attention_pool_equals_the_slow_way(tmp_path: Path) -> None:
    model, theirs = loaded("siglip", tmp_path)
    seen, wanted = pixels(model), direction(model)
    found = video_relevance(model, seen, wanted)
    body = theirs.vision_model
    out = with_weights(body, pixel_values=seen)
    pooled, shares = pooled_slowly(body.head, out.last_hidden_state)
    score = target(model, pooled, wanted)
    score.backward()
    count = out.last_hidden_state.shape[1]
    expected = (weighed(shares) @ through_layers(out.attentions, count))[:, 0]
    assert found.similarity == pytest.approx(float(score.detach()), rel=1e-4)
    assert expected.max() > 0
    torch.testing.assert_close(found.spatial.flatten(1), expected, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("family", families.IMAGES)
def test_relevance_through_layers_of_the_library_equals_the_slow_way(family: str, tmp_path: Path) -> None:
    model, theirs = loaded(family, tmp_path)
    seen, wanted = pixels(model), direction(model)
    found = video_relevance(model, seen, wanted)
    body = getattr(theirs, "vit", theirs)
    out = with_weights(body, pixel_values=seen)
    projection: Any = model.readout.projection
    score = target(model, out.last_hidden_state[:, 0] @ projection.detach(), wanted)
    score.backward()
    count = out.last_hidden_state.shape[1]
    expected = (through_layers(out.attentions, count) - torch.eye(count))[:, 0, model.image.prefix :]
    assert expected.max() > 0
    torch.testing.assert_close(found.spatial.flatten(1), expected, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("family", ["siglip", "chinese_clip", "altclip", "bert"])
def test_relevance_of_words_equals_the_slow_way(family: str, tmp_path: Path) -> None:
    if family == "bert":
        model, _ = loaded("vit", tmp_path)
        from transformers import BertModel

        body: Any = BertModel.from_pretrained(tmp_path / "text")
    else:
        model, theirs = loaded(family, tmp_path)
        body = theirs.text_model
    assert model.tokenizer is not None
    ids = model.tokenizer(["a person opens the door"])
    video = direction(model)
    found = text_relevance(model, ids[0], video)
    out = with_weights(body, input_ids=ids)
    count = ids.shape[1]
    if family == "bert":
        read, start = out.last_hidden_state.mean(1), torch.full((count,), 1 / count)
    elif family == "siglip":
        read, start = out.pooler_output, F.one_hot(torch.tensor(count - 1), count).float()
    else:
        read = out.last_hidden_state[:, 0] @ model.text.projection.detach()  # type: ignore[operator, union-attr]
        start = F.one_hot(torch.tensor(0), count).float()
    score = model.scale.detach() * F.normalize(read[0], dim=-1) @ video
    score.backward()
    expected = start @ (through_layers(out.attentions, count)[0] - torch.eye(count))
    assert expected.max() > 0
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("temporal", ["kmct", "pipeline"])
@pytest.mark.parametrize("family", ["siglip", "dinov2_with_registers"])
def test_a_whole_explanation(family: str, temporal: Any, tmp_path: Path) -> None:
    model, _ = loaded(family, tmp_path, temporal)
    recognizer = Recognizer(model, {"door": ["a person opens the door"], "chess": ["plays chess"]}, unknown=False)
    torch.manual_seed(1)
    frames = torch.randint(0, 255, (FRAMES, 40, 48, 3), dtype=torch.uint8).numpy()
    found = explain(recognizer, frames, "door")
    assert found.similarity == pytest.approx(found.prediction.scores[0], abs=1e-3)
    side = model.config.image.grid
    assert found.combined.shape == (FRAMES, side, side)
    assert found.combined.max() > 0
    shares = {word.text: word.share for word in found.texts[0].words}
    assert list(shares) == ["a", "person", "opens", "the", "door"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)


def test_what_cannot_be_explained_says_so(tmp_path: Path) -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = torch.nn.Conv2d(3, 64, 16, 16)

        def forward(self, frames: Tensor) -> Tensor:
            patches = self.stem(frames).flatten(2).transpose(1, 2)
            return torch.cat([patches.mean(1, keepdim=True), patches], dim=1)

    claver.register_tower("explain-net", lambda config: Net(), width=64, patch=16, size=32)
    families.sentence_encoder(tmp_path / "text")
    model = claver.load("explain-net", text=tmp_path / "text", temporal="mean", frames=2)
    with pytest.raises(ClaverError, match="'explain-net' cannot be explained"):
        video_relevance(model, pixels(model), direction(model))
