"""The text bank: every text of every action encoded once, then queried by any number of videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from claver.errors import ClaverError
from claver.models.config import Aggregate
from claver.models.objective import similarity, video_embedding
from claver.prompts.actions import Actions

if TYPE_CHECKING:
    from claver.models import Claver


@dataclass(frozen=True)
class TextBank:
    """Encoded texts of C actions, a ragged number for each.

    Attributes:
        actions: the actions and their texts.
        embeddings: unit text vectors [M, E], all texts of the first action, then of the second, …
        prototypes: mean unit vector of each action's texts [C, E], not normalised. The score of Eq. 10 is linear in
            the texts, so one prototype ranks as its K texts do, at 1/K of the cost; the mean in place of the sum lets
            actions with different numbers of texts compete fairly.
    """

    actions: Actions
    embeddings: Tensor
    prototypes: Tensor

    @classmethod
    def encode(cls, model: Claver, actions: Actions) -> TextBank:
        """Encode all texts, each distinct one once.

        Raises:
            ClaverError: the model has no tokenizer.
        """
        if model.tokenizer is None:
            raise ClaverError(
                "the model has no tokenizer: put its tokenizer.json beside the weights, "
                "or pip install 'claver[clip-vocabulary]' for CLIP's"
            )
        texts = [text for own in actions.texts for text in own]
        distinct = list(dict.fromkeys(texts))
        with torch.inference_mode():
            encoded = model.encode_text(model.tokenizer(distinct).to(model.device)).float()
        place = {text: row for row, text in enumerate(distinct)}
        embeddings = F.normalize(encoded, dim=-1)[[place[text] for text in texts]]
        return cls(actions, embeddings, cls._prototypes(actions, embeddings))

    @staticmethod
    def _prototypes(actions: Actions, embeddings: Tensor) -> Tensor:
        parts = embeddings.split([len(own) for own in actions.texts])
        return torch.stack([part.mean(0) for part in parts])

    def scores(self, frames_VTE: Tensor, scale: Tensor, aggregate: Aggregate = "paper") -> Tensor:
        """Eq. 10 for one clip seen in V views, [C].

        Args:
            frames_VTE: frame embeddings of the views, not normalised.
            scale: exp of the logit scale.
            aggregate: `paper`: scaled cosine to an action's texts, averaged over texts and views. `released`: softmax
                over actions for each text set, averaged over sets, summed over views; it needs equally many texts
                for every action.
        """
        embedding = video_embedding(frames_VTE.float(), aggregate)
        if aggregate == "paper":
            unit = F.normalize(embedding, dim=-1)
            return scale.float() * (unit @ self.prototypes.T).mean(0)
        logits = similarity(embedding, self._by_set(), scale.float(), aggregate)  # [V, K, C]
        return logits.softmax(-1).mean(1).sum(0)

    def _by_set(self) -> Tensor:
        self.check("released")
        return self.embeddings.unflatten(0, (len(self.actions), -1)).transpose(0, 1)

    def check(self, aggregate: Aggregate) -> None:
        """Raise `ClaverError` if the texts do not suit: the released arithmetic needs equally many per action."""
        counts = sorted({len(own) for own in self.actions.texts})
        if aggregate == "released" and len(counts) > 1:
            raise ClaverError(f"the released arithmetic needs equally many texts per action, not {counts}")

    def __len__(self) -> int:
        return len(self.actions)

    def __repr__(self) -> str:
        return f"TextBank({self.actions!r}, embeddings={tuple(self.embeddings.shape)})"
