"""Some samples of a step as any model sees them: for losses that compare two models on the same clips and texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from claver.models import Claver, interpretive_loss, similarity
from claver.training.sampling import Rows
from claver.training.tasks import Task


@dataclass(frozen=True)
class Samples:
    """Clips, decoded and varied once, and the texts drawn for them.

    Attributes:
        videos: a model's embeddings of the clips [B, E], not normalised. A tower that does not learn is run once, for
            all models.
        texts: its embeddings of the texts [K', C, E], not normalised; in several processes all call it equally often.
        labels: distributions over the classes [B, C].
    """

    videos: Callable[[Claver], Tensor]
    texts: Callable[[Claver], Tensor]
    labels: Tensor

    def loss(self, model: Claver) -> Tensor:
        """Eq. 9."""
        return self.loss_of(self.videos(model), self.texts(model), model)

    def loss_of(self, video_BE: Tensor, text_KCE: Tensor, model: Claver) -> Tensor:
        """Eq. 9 of embeddings that are there already; the model gives the scale."""
        logits = similarity(video_BE, text_KCE, model.scale, model.config.aggregate)
        return interpretive_loss(logits, self.labels)


@runtime_checkable
class Sampled(Task, Protocol):
    """A task whose loss is that of `Samples`, as its definition says (`TaskDefinition.compares`)."""

    def samples(self, model: Claver, rows: Rows, rng: np.random.Generator) -> Samples:
        """What the loss of these rows is computed from; arguments as of `loss`."""
