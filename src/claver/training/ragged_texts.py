"""Texts of actions of which some are drawn at each step, the same slots for all actions."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from claver.errors import ClaverError
from claver.models import Claver
from claver.text.actions import Actions


@dataclass(frozen=True)
class RaggedTexts:
    """Token ids of every action's texts, whose number may differ from action to action.

    Attributes:
        tokens: [M, L], all texts of the first action, then of the second, …
        counts: texts of each of C actions.
    """

    tokens: Tensor = field(repr=False)
    counts: tuple[int, ...] = field(repr=False)

    @classmethod
    def of(cls, model: Claver, actions: Actions) -> RaggedTexts:
        """The actions' texts as the model's tokenizer has them.

        Raises:
            ClaverError: the model has no tokenizer.
        """
        if model.tokenizer is None:
            raise ClaverError("the model has no tokenizer: put its tokenizer.json beside the weights")
        tokens = model.tokenizer([text for texts in actions.texts for text in texts])
        return cls(tokens, tuple(map(len, actions.texts)))

    def draw(self, count: int, rng: np.random.Generator) -> Tensor:
        """Ids [K', C, L] of K' = `count` slots, as `draw_rows` chooses them."""
        return self.tokens[self.draw_rows(count, rng)]

    def draw_rows(self, count: int, rng: np.random.Generator) -> Tensor:
        """Rows of `tokens` [K', C] for K' = `count` slots, the same for all actions; all slots where there are fewer.

        An action with fewer texts than the most begins again with its first.
        """
        slots = rng.permutation(max(self.counts))[:count]
        counts = np.array(self.counts)
        rows_KC = (np.cumsum(counts) - counts) + slots[:, None] % counts
        return torch.from_numpy(rows_KC)
