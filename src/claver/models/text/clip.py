"""CLIP's text tower: a causal transformer, read out at the end-of-text token, without the dead weight after it."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from claver.models.block import Block, Run, initialize_blocks
from claver.models.config import ClaverConfig
from claver.models.text.base import TextTower


class ClipText(TextTower):
    """CLIP's text tower.

    It is causal, so nothing after EOT can reach EOT: each length-sorted batch is cut at its longest EOT, and the last
    block computes the EOT tokens alone. Both are exact.
    """

    is_causal = True

    def __init__(self, config: ClaverConfig) -> None:
        super().__init__()
        text = config.text
        self.eot, self.context, self.width = text.eot, text.context, config.embedding
        self.embedding = nn.Embedding(text.vocabulary, text.width)
        self.position = nn.Parameter(torch.empty(text.context, text.width))
        self.blocks = nn.ModuleList(
            Block(text.width, text.heads, activation=config.activation, eps=config.norm_eps, mlp=text.mlp)
            for _ in range(text.layers)
        )
        self.norm = nn.LayerNorm(text.width, config.norm_eps)
        self.projection = nn.Parameter(torch.empty(text.width, config.embedding))
        self.initialize()

    @torch.no_grad()
    def initialize(self) -> None:
        """CLIP's random initialisation."""
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.position, std=0.01)
        nn.init.normal_(self.projection, std=self.projection.shape[0] ** -0.5)
        initialize_blocks(self.blocks)

    def last_token(self, tokens_CL: Tensor) -> Tensor:
        """Place of the first EOT of each row, int64 [C].

        Raises:
            ValueError: a row without EOT, or longer than the context before its EOT.
        """
        last = self.find_last(tokens_CL)
        if bool((last >= min(tokens_CL.shape[1], len(self.position))).any()):
            row = int((last >= min(tokens_CL.shape[1], len(self.position))).int().argmax())
            raise ValueError(f"text {row} has no end-of-text token (id {self.eot}) in its first {len(self.position)}")
        return last

    def find_last(self, tokens_CL: Tensor) -> Tensor:
        """As of every text tower."""
        return ((tokens_CL == self.eot).cumsum(1) == 0).sum(1)

    def encode(self, tokens_CL: Tensor, last_C: Tensor, run: Run) -> Tensor:
        """As of every text tower."""
        length = tokens_CL.shape[1]
        x = self.embedding(tokens_CL) + self.position[:length]
        for block in self.blocks[:-1]:
            x = run(block, x, attend_before, None)
        rows = torch.arange(x.shape[0], device=x.device)
        seen = torch.arange(length, device=x.device) <= last_C[:, None]  # [C, L]
        attend = partial(attend_visible, visible=seen[:, None, None])
        x = run(self.blocks[-1], x, attend, lambda y: y[rows, last_C][:, None])  # [C, 1, D]
        return self.norm(x[:, 0]) @ self.projection

    def read_weights(self, length: int) -> Tensor:
        """All of it at EOT, the last."""
        weights = torch.zeros(length, device=self.position.device)
        weights[-1] = 1
        return weights


def attend_before(q_CLHd: Tensor, k_CLHd: Tensor, v_CLHd: Tensor) -> Tensor:
    """Causal attention."""
    q, k, v = (x.transpose(1, 2) for x in (q_CLHd, k_CLHd, v_CLHd))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)


def attend_visible(q_CMHd: Tensor, k_CLHd: Tensor, v_CLHd: Tensor, visible: Tensor) -> Tensor:
    """Attention under booleans that broadcast to [C, H, M, L]."""
    q, k, v = (x.transpose(1, 2) for x in (q_CMHd, k_CLHd, v_CLHd))
    return F.scaled_dot_product_attention(q, k, v, visible).transpose(1, 2)
