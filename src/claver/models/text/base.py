"""What a text tower is to the rest of the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from claver.models.block import Run, run_block

_TOKENS_PER_BATCH = 4096
_TOKENS_ENOUGH = 256
"""A batch of this many tokens has the full speed of matrix products on a CPU: better to end it than to pad it."""


class TextTower(nn.Module, ABC):
    """Texts to embeddings, in length-sorted batches, each cut at its longest text.

    What of a row may be cut off is for the tower to say: see `last_token`.

    Attributes:
        context: the longest row it takes, in tokens.
        width: E, entries of an embedding.
        pad: the id of the tokens that fill a row.
        whole: whether all of a row is looked at, what fills it too: a row must have the length of the context.
        is_causal: whether a token is never seen by those before it.
        explainable: whether attention of its blocks is all that moves words about, and `run` sees each.
    """

    context: int
    width: int
    pad: int = 0
    whole: bool = False
    is_causal: bool = False
    explainable: bool = True

    def forward(self, tokens_CL: Tensor, *, run: Run = run_block) -> Tensor:
        """Rows of token ids [C, L], with anything after the last token that counts, to [C, E], not normalised.

        Each block is run by `run`.

        Raises:
            ValueError: as of `last_token`.
        """
        last = self.last_token(tokens_CL)
        if not len(tokens_CL):
            return next(self.parameters()).new_zeros(0, self.width)
        order = last.argsort()
        parts = []
        for rows in _batches(order, last):
            ends = last[rows]
            parts.append(self.encode(tokens_CL[rows, : int(ends.max()) + 1], ends, run))
        return torch.cat(parts)[order.argsort()]

    @abstractmethod
    def last_token(self, tokens_CL: Tensor) -> Tensor:
        """Place of the last token of each row that has a part in its embedding, int64 [C].

        Raises:
            ValueError: a row that does not end, or is longer than the context.
        """

    @abstractmethod
    def find_last(self, tokens_CL: Tensor) -> Tensor:
        """As `last_token`, of rows that are known to be in order: nothing is checked."""

    @abstractmethod
    def encode(self, tokens_CL: Tensor, last_C: Tensor, run: Run) -> Tensor:
        """Rows cut behind the last token of the longest, to embeddings [C, E]."""

    @abstractmethod
    def read_weights(self, length: int) -> Tensor:
        """Weight of each token of a row of so many in its embedding [L], before anything has moved: where it is read.

        It is the start of an explanation.
        """


def _batches(order: Tensor, last: Tensor) -> Iterator[Tensor]:
    """Rows in batches of a bounded number of tokens, each of one length unless it would be too small."""
    lengths = (last[order] + 1).tolist()
    start = 0
    for stop in range(1, len(lengths) + 1):
        longer = stop < len(lengths) and lengths[stop] > lengths[stop - 1]
        enough = longer and (stop - start) * lengths[stop - 1] >= _TOKENS_ENOUGH
        if enough or stop == len(lengths) or (stop + 1 - start) * lengths[stop] > _TOKENS_PER_BATCH:
            yield order[start:stop]
            start = stop
