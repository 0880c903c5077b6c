"""The usual way: CLIP's own modules, a dense additive mask, texts padded to 77 tokens, everything computed.

Written as the reference code of this family is (`nn.MultiheadAttention`, tokens before batch), and given our weights,
so that it must answer the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from claver.attention import KroneckerMask
from claver.models import Claver
from claver.models.block import Block
from claver.models.text.clip import ClipText
from claver.models.vision.clip import ClipVision

CONTEXT = 77


class QuickGELU(nn.Module):
    """x·σ(1.702 x), as CLIP writes it."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply elementwise."""
        return x * torch.sigmoid(1.702 * x)


def _usual(layer: nn.Linear) -> nn.Linear:
    """PyTorch's own layer with the weights of ours, which would compute by oneDNN."""
    made = nn.Linear(layer.in_features, layer.out_features)
    made.weight, made.bias = layer.weight, layer.bias
    return made


class UsualBlock(nn.Module):
    """CLIP's residual attention block on [L, B, D]."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(block.out.in_features, block.heads)
        ours = {"in_proj_weight": block.qkv.weight, "in_proj_bias": block.qkv.bias}
        ours |= {"out_proj.weight": block.out.weight, "out_proj.bias": block.out.bias}
        self.attention.load_state_dict(ours, assign=True)
        self.norm1, self.norm2 = block.norm1, block.norm2
        self.mlp = nn.Sequential(_usual(block.up), QuickGELU(), _usual(block.down))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Attention under an additive mask [L, L], then the MLP."""
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.norm2(x))


def additive(mask: KroneckerMask, frames: int, tokens: int) -> Tensor:
    """The dense mask [S, S], float: 0 where visible, −∞ elsewhere."""
    blocked = ~mask.matrix(frames, tokens)
    return torch.zeros(blocked.shape).masked_fill_(blocked, float("-inf"))


class UsualTemporal(nn.Module):
    """The temporal tower: all S tokens as one sequence under the dense mask."""

    def __init__(self, model: Claver, frames: int) -> None:
        super().__init__()
        assert model.temporal.mask is not None
        self.blocks = nn.ModuleList(_blocks(model.temporal.blocks))
        self.embedding = model.temporal.embedding
        self.register_buffer("mask", additive(model.temporal.mask, frames, model.config.image.tokens))

    def forward(self, tokens_BTND: Tensor) -> Tensor:
        """All tokens of all frames [B, T, N, D]."""
        x = (tokens_BTND + self.embedding[:, None]).flatten(1, 2).permute(1, 0, 2)  # [S, B, D]
        for block in self.blocks:
            x = block(x, self.mask)
        return x.permute(1, 0, 2).unflatten(1, tokens_BTND.shape[1:3])


class UsualVideo(nn.Module):
    """Frames to frame embeddings: the image tower frame by frame, the temporal tower, the read-out."""

    def __init__(self, model: Claver) -> None:
        super().__init__()
        assert isinstance(model.image, ClipVision)
        self.image, self.readout = model.image, model.readout
        self.blocks = nn.ModuleList(_blocks(model.image.blocks))
        self.temporal = UsualTemporal(model, model.config.temporal.frames)

    def forward(self, video: Tensor) -> Tensor:
        """[B, T, 3, h, w] to [B, T, E]."""
        x = self.image.patch(video.flatten(0, 1)).flatten(2).permute(0, 2, 1)  # [F, N-1, D]
        x = torch.cat([self.image.class_token.expand(len(x), 1, -1), x], dim=1) + self.image.position
        x = self.image.norm_pre(x).permute(1, 0, 2)
        for block in self.blocks:
            x = block(x, None)
        tokens = x.permute(1, 0, 2).unflatten(0, video.shape[:2])
        return self.readout(self.temporal(tokens)[:, :, 0])


class UsualText(nn.Module):
    """Texts padded to 77 tokens, all of them computed in every layer, read out at EOT (the largest id)."""

    def __init__(self, model: Claver) -> None:
        super().__init__()
        assert isinstance(model.text, ClipText)
        self.text = model.text
        self.blocks = nn.ModuleList(_blocks(model.text.blocks))
        self.register_buffer("mask", torch.full((CONTEXT, CONTEXT), float("-inf")).triu_(1))

    def forward(self, tokens_CL: Tensor) -> Tensor:
        """Ids [C, 77] to embeddings [C, E]."""
        x = (self.text.embedding(tokens_CL) + self.text.position).permute(1, 0, 2)
        for block in self.blocks:
            x = block(x, self.mask)
        x = self.text.norm(x.permute(1, 0, 2))
        return x[torch.arange(len(x)), tokens_CL.argmax(-1)] @ self.text.projection


def padded(tokens_CL: Tensor) -> Tensor:
    """Ids padded with zeros to 77 tokens."""
    return nn.functional.pad(tokens_CL, (0, CONTEXT - tokens_CL.shape[1]))


def _blocks(blocks: nn.ModuleList) -> list[UsualBlock]:
    return [UsualBlock(block) for block in blocks if isinstance(block, Block)]
