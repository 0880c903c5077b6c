"""The text tower: CLIP's causal transformer, read out at the end-of-text token, without the dead weight after it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from claver.models.block import Block, Run, initialize_blocks, run_block
from claver.models.config import ClaverConfig

_TOKENS_PER_BATCH = 4096
_TOKENS_ENOUGH = 256
"""A batch of this many tokens has the full speed of matrix products on a CPU: better to end it than to pad it."""


class TextTower(nn.Module):
    """Texts to embeddings.

    The tower is causal, so nothing after EOT can reach EOT: each length-sorted batch is cut at its longest EOT, and
    the last block computes the EOT tokens alone. Both are exact.
    """

    def __init__(self, config: ClaverConfig) -> None:
        super().__init__()
        text = config.text
        self.eot = text.eot
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

    def forward(self, tokens_CL: Tensor, *, run: Run = run_block) -> Tensor:
        """Token ids [C, L], each row with an EOT and anything after it, to embeddings [C, E], not normalised.

        Each block is run by `run`.

        Raises:
            ValueError: a row without EOT, or longer than the context before its EOT.
        """
        last = self.end_of_text(tokens_CL)
        order = last.argsort()
        parts = [self._encode(tokens_CL[rows], last[rows], run) for rows in self._batches(order, last)]
        return torch.cat(parts)[order.argsort()] if parts else self.projection.new_zeros(0, self.projection.shape[1])

    def end_of_text(self, tokens_CL: Tensor) -> Tensor:
        """Place of the first EOT of each row, int64 [C]."""
        before = (tokens_CL == self.eot).cumsum(1) == 0
        last = before.sum(1)
        if bool((last >= min(tokens_CL.shape[1], len(self.position))).any()):
            row = int((last >= min(tokens_CL.shape[1], len(self.position))).int().argmax())
            raise ValueError(f"text {row} has no end-of-text token (id {self.eot}) in its first {len(self.position)}")
        return last

    def _batches(self, order: Tensor, last: Tensor) -> Iterator[Tensor]:
        """Rows in batches of a bounded number of tokens, each of one length unless it would be too small."""
        lengths = (last[order] + 1).tolist()
        start = 0
        for stop in range(1, len(lengths) + 1):
            longer = stop < len(lengths) and lengths[stop] > lengths[stop - 1]
            enough = longer and (stop - start) * lengths[stop - 1] >= _TOKENS_ENOUGH
            if enough or stop == len(lengths) or (stop + 1 - start) * lengths[stop] > _TOKENS_PER_BATCH:
                yield order[start:stop]
                start = stop

    def _encode(self, tokens_CL: Tensor, last: Tensor, run: Run) -> Tensor:
        tokens = tokens_CL[:, : int(last.max()) + 1]
        x = self.embedding(tokens) + self.position[: tokens.shape[1]]
        for block in self.blocks[:-1]:
            x = run(block, x, attend_before, None)
        rows = torch.arange(len(x), device=x.device)
        seen = torch.arange(tokens.shape[1], device=x.device) <= last[:, None]  # [C, L]
        attend = partial(attend_visible, visible=seen[:, None, None])
        x = run(self.blocks[-1], x, attend, lambda y: y[rows, last][:, None])  # [C, 1, D]
        return self.norm(x[:, 0]) @ self.projection


def attend_before(q_CLHd: Tensor, k_CLHd: Tensor, v_CLHd: Tensor) -> Tensor:
    """Causal attention."""
    q, k, v = (x.transpose(1, 2) for x in (q_CLHd, k_CLHd, v_CLHd))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)


def attend_visible(q_CMHd: Tensor, k_CLHd: Tensor, v_CLHd: Tensor, visible: Tensor) -> Tensor:
    """Attention under booleans that broadcast to [C, H, M, L]."""
    q, k, v = (x.transpose(1, 2) for x in (q_CMHd, k_CLHd, v_CLHd))
    return F.scaled_dot_product_attention(q, k, v, visible).transpose(1, 2)
