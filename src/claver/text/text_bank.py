"""The text bank: embeddings of every text of every action, encoded once for any number of videos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from claver.errors import ClaverError
from claver.models.config import Aggregate
from claver.models.objective import similarity, video_embedding, without_autocast
from claver.names import composed
from claver.suggest import hint
from claver.text.actions import Actions
from claver.text.encoding import Progress, encode_texts
from claver.text.selection import read_actions

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
    def encode(
        cls,
        model: Claver,
        actions: Actions,
        *,
        dtype: torch.dtype | None = None,
        cache: Path | bool | None = True,
        progress: Progress = lambda done, total: None,
    ) -> TextBank:
        """Encode all texts, each distinct one once; those that are cached on disk are not encoded again.

        Args:
            model: its text tower and tokenizer.
            actions: the texts.
            dtype: what the text tower computes in; the model's own type if None.
            cache: where vectors are cached: True the usual folder, or another one, or False (or None) nowhere.
            progress: called with the number of texts encoded so far, and of all that are to be.

        Raises:
            ClaverError: the model has no tokenizer.
        """
        texts = [text for own in actions.texts for text in own]
        encoded = encode_texts(model, texts, dtype=dtype, cache=cache, progress=progress)
        return cls._of(actions, F.normalize(encoded, dim=-1))

    @classmethod
    def _of(cls, actions: Actions, embeddings: Tensor) -> TextBank:
        parts = embeddings.split([len(own) for own in actions.texts])
        return cls(actions, embeddings, torch.stack([part.mean(0) for part in parts]))

    def add(
        self, actions: Mapping[str, Sequence[str]] | Sequence[str] | Actions, model: Claver, **settings: Any
    ) -> TextBank:
        """A bank with more actions, after those there are, which are not encoded again.

        Args:
            actions: what `read_actions` takes, of actions that are not in the bank.
            model: the one that the bank was encoded by.
            settings: as of `encode`.

        Raises:
            ClaverError: an action that the bank has.
        """
        more = TextBank.encode(model, read_actions(actions), **settings)
        if known := [name for name in more.actions.names if name in set(self.actions.names)]:
            raise ClaverError(f"the bank has action {known[0]!r} already; remove it first")
        both = Actions(self.actions.names + more.actions.names, self.actions.texts + more.actions.texts)
        return TextBank._of(both, torch.cat([self.embeddings, more.embeddings]))

    def remove(self, names: Iterable[str]) -> TextBank:
        """A bank without these actions.

        Raises:
            ClaverError: an action that the bank does not have, or no action left.
        """
        gone = set(self._indices(names))
        return self.select([name for index, name in enumerate(self.actions.names) if index not in gone])

    def select(self, names: Iterable[str]) -> TextBank:
        """A bank of these actions alone, in this order.

        Raises:
            ClaverError: an action that the bank does not have, one given twice, or none.
        """
        indices = self._indices(names)
        parts = self.embeddings.split([len(own) for own in self.actions.texts])
        chosen = Actions(
            tuple(self.actions.names[index] for index in indices), tuple(self.actions.texts[index] for index in indices)
        )
        return TextBank(chosen, torch.cat([parts[index] for index in indices]), self.prototypes[indices])

    def _indices(self, names: Iterable[str]) -> list[int]:
        index = {name: number for number, name in enumerate(self.actions.names)}
        names = [composed(name) for name in ([names] if isinstance(names, str) else names)]
        if unknown := [name for name in names if name not in index]:
            raise ClaverError(f"the bank has no action {unknown[0]!r}{hint(unknown[0], index)}")
        return [index[name] for name in names]

    def scores(
        self, frames_VTE: Tensor, scale: Tensor, aggregate: Aggregate = "paper", bias: Tensor | None = None
    ) -> Tensor:
        """Eq. 10 for one clip seen in V views, [C].

        Args:
            frames_VTE: frame embeddings of the views, not normalised.
            scale: exp of the logit scale.
            bias: the logit bias of models that have one.
            aggregate: `paper`: scaled cosine to an action's texts, averaged over texts and views. `released`: softmax
                over actions for each set of texts, averaged over sets, summed over views; where actions have unlike
                numbers of texts, one with fewer begins again with its first.
        """
        embedding = video_embedding(frames_VTE, aggregate)
        if aggregate == "paper":
            with without_autocast(embedding.device):
                unit = F.normalize(embedding, dim=-1)
                scores = scale.float() * (unit.float() @ self.prototypes.T).mean(0)
                return scores if bias is None else scores + bias.float()
        logits = similarity(embedding, self._by_set(), scale.float(), aggregate)  # [V, K, C]
        return logits.softmax(-1).mean(1).sum(0)

    def _by_set(self) -> Tensor:
        """The texts [K, C, E] in K sets; as in training, an action with fewer begins again with its first."""
        parts = self.embeddings.split([len(own) for own in self.actions.texts])
        slots = torch.arange(max(map(len, parts)), device=self.embeddings.device)
        return torch.stack([part[slots % len(part)] for part in parts], dim=1)

    def __len__(self) -> int:
        return len(self.actions)

    def __repr__(self) -> str:
        return f"TextBank({self.actions!r}, embeddings={tuple(self.embeddings.shape)})"
