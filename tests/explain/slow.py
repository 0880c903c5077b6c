"""Relevance the slow way: every weight materialised with its gradient by autograd, whole matrices R (Chefer et al.).

Nothing of `claver.explain` or of the towers' forward is used but their parameters and `TemporalTower.embedding_at`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from claver.models import Claver


def block(parts: nn.Module, x: Tensor, visible: Tensor | None, weights: list[Tensor]) -> Tensor:
    """A whole block on [B, L, D], its weights [B, H, L, L] kept with their gradients."""
    q, k, v = parts.qkv(parts.norm1(x)).chunk(3, -1)  # type: ignore[operator]
    heads = [part.unflatten(-1, (parts.heads, -1)).transpose(1, 2) for part in (q, k, v)]  # type: ignore[arg-type]
    scores = heads[0] @ heads[1].transpose(2, 3) / heads[0].shape[-1] ** 0.5
    if visible is not None:
        scores = scores.masked_fill(~visible, float("-inf"))
    weights.append(scores.softmax(-1))
    weights[-1].retain_grad()
    x = x + parts.out((weights[-1] @ heads[2]).transpose(1, 2).flatten(2))  # type: ignore[operator]
    return x + parts.down(parts.activation(parts.up(parts.norm2(x))))  # type: ignore[operator]


def roll(weights: list[Tensor]) -> Tensor:
    """R [B, L, L] from the first layer to the last, R ← R + Ā R."""
    relevance = torch.eye(weights[0].shape[-1], dtype=weights[0].dtype).expand(len(weights[0]), -1, -1)
    for layer in weights:
        assert layer.grad is not None
        relevance = relevance + (layer.grad * layer).clamp(min=0).mean(1) @ relevance
    return relevance


@dataclass
class Slow:
    similarity: float
    reads: Tensor
    temporal: Tensor
    spatial: Tensor
    combined: Tensor
    words: Tensor


def explain(model: Claver, video: Tensor, ids: Tensor) -> Slow:
    """Relevance of the scaled cosine of a clip [T, 3, h, w] and a text [L] that ends in its EOT."""
    in_frames: list[Tensor] = []
    in_time: list[Tensor] = []
    in_text: list[Tensor] = []
    frames, patch = len(video), model.config.image.patch
    rows, columns = video.shape[2] // patch, video.shape[3] // patch
    x = model.image.patch(video).flatten(2).transpose(1, 2)
    x = torch.cat([model.image.class_token.expand(frames, 1, -1), x], 1) + model.image.position_on(rows, columns)
    x = model.image.norm_pre(x)
    for parts in model.image.blocks:
        x = block(parts, x, None, in_frames)
    count = x.shape[1]
    if model.temporal.mask is not None:
        visible = model.temporal.mask.matrix(frames, count)
        x = (x + model.temporal.embedding_at(0, frames, frames)[:, None]).flatten(0, 1)[None]
        for parts in model.temporal.blocks:
            x = block(parts, x, visible, in_time)
        x = x[0].unflatten(0, (frames, count))
    pipeline = model.temporal.kind == "pipeline"
    read = model.readout(x.mean(1) if pipeline else x[:, 0])
    if model.config.aggregate == "paper":
        embedding = nn.functional.normalize(read.mean(0), dim=0)
    else:
        embedding = nn.functional.normalize(read, dim=-1).mean(0)
    y = (model.text.embedding(ids) + model.text.position[: len(ids)])[None]
    causal = torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
    for parts in model.text.blocks:
        y = block(parts, y, causal, in_text)
    text = nn.functional.normalize(model.text.norm(y[0, -1]) @ model.text.projection, dim=0)
    similarity = model.scale * embedding @ text
    similarity.backward()
    start = (torch.full((count,), 1 / count, dtype=video.dtype) if pipeline else torch.eye(count)[0]).to(video)
    reads = torch.zeros(frames, frames, count, dtype=video.dtype)
    if in_time:
        own = torch.eye(frames).to(video).kron(start[None])
        reads = (own @ roll(in_time)[0] - own).unflatten(1, (frames, count))
    through = roll(in_frames)  # [T, N, N]
    drawn = reads.mean(0)
    spatial = torch.einsum("n,tnm->tm", start, through) - start
    combined = torch.einsum("tn,tnm->tm", drawn + start / frames, through) - start / frames
    maps = [part[:, 1:].unflatten(1, (rows, columns)).detach() for part in (drawn, spatial, combined)]
    words = (roll(in_text)[0, -1] - torch.eye(len(ids)).to(video)[-1]).detach()
    return Slow(float(similarity.detach()), reads.sum(2).detach(), *maps, words)
