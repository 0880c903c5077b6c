"""The task `clips`: actions from labelled clips by the loss of Eq. 9, above a frozen image tower."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from claver.errors import ClaverError
from claver.evaluation.metrics import top_k_accuracy
from claver.models import Claver, Learned, Tokenizer, class_scores, similarity, video_embedding
from claver.training.distributed import encode_text_shared
from claver.training.objectives import smooth_labels
from claver.training.samples import Samples
from claver.training.sampling import Rows
from claver.training.tokens import TokenClips

Encode = Callable[[Claver, Tensor], Tensor]
"""From what clips are kept as [B, T, …] to frame embeddings [B, T, E]."""


@dataclass(frozen=True)
class ClipsTask:
    """Clips against K' of the K texts of every class, drawn anew at each step, the same slots for all classes.

    Attributes:
        train: clips to learn from.
        test: clips to be measured on.
        texts: token ids [K, C, L].
        texts_per_step: K'; all K where there are fewer.
        label_smoothing: see `smooth_labels`.
        encode: the part of the model above what the clips are kept as; their image tokens if not given.
        said: the classes and their texts, which the model keeps.
    """

    train: TokenClips
    test: TokenClips
    texts: Tensor
    texts_per_step: int = 5
    label_smoothing: float = 0.0
    encode: Encode = Claver.encode_tokens
    said: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.train)

    def loss(self, model: Claver, rows: Rows, rng: np.random.Generator) -> Tensor:
        """Eq. 9."""
        return self.samples(model, rows, rng).loss(model)

    def samples(self, model: Claver, rows: Rows, rng: np.random.Generator) -> Samples:
        """The clips of these rows, and some of the texts."""
        tokens, labels = self.train.take(torch.from_numpy(rows))
        slots = rng.permutation(len(self.texts))[: self.texts_per_step]
        clips, texts = tokens.to(model.device), self.texts[torch.from_numpy(slots)].to(model.device)
        soft = smooth_labels(labels, self.texts.shape[1], self.label_smoothing)
        return Samples(
            lambda model: video_embedding(self.encode(model, clips), model.config.aggregate),
            lambda model: encode_text_shared(model, texts),
            soft.to(model.device),
        )

    def learned(self, model: Claver) -> Learned | None:
        """The classes and their texts."""
        if not self.said:
            return None
        return Learned(tuple(self.said), tuple(map(tuple, self.said.values())), model.config.temporal.frames)

    def inputs(self, rows: Rows) -> tuple[dict[str, Tensor], dict[str, list[int]]]:
        """Image tokens and labels of some samples, for inspection."""
        tokens, labels = self.train.take(torch.from_numpy(rows))
        return {"tokens": tokens, "labels": labels}, {"labels": labels.tolist()}

    def evaluate(self, model: Claver) -> dict[str, float]:
        """Top-1 accuracy on the test clips."""
        scores, labels = self.scores(model)
        return {"top-1": top_k_accuracy(scores, labels)}

    def scores(self, model: Claver) -> tuple[Tensor, Tensor]:
        """Scores [B, C] and labels [B] of the test clips."""
        return score_clips(model, self.test, self.texts, encode=self.encode)


@torch.no_grad()
def score_clips(
    model: Claver, clips: TokenClips, texts_KCL: Tensor, batch: int = 128, *, encode: Encode = Claver.encode_tokens
) -> tuple[Tensor, Tensor]:
    """Scores [B, C] by Eq. 10 over all K texts, and labels [B]."""
    texts, aggregate = model.encode_text(texts_KCL.to(model.device)), model.config.aggregate
    scores, labels = [], []
    for rows in torch.arange(len(clips)).split(batch):
        tokens, label = clips.take(rows)
        video = video_embedding(encode(model, tokens.to(model.device)), aggregate)
        scores.append(class_scores(similarity(video, texts, model.scale, aggregate), aggregate).cpu())
        labels.append(label)
    return torch.cat(scores), torch.cat(labels)


def tokenize_classes(tokenizer: Tokenizer, texts: Mapping[str, Sequence[str]]) -> Tensor:
    """Token ids [K, C, L] of the K texts of each of C classes.

    Raises:
        ClaverError: classes with different numbers of texts.
    """
    if len({len(own) for own in texts.values()}) != 1:
        raise ClaverError("every class needs the same number of texts")
    count = len(next(iter(texts.values())))
    ids = tokenizer([own[slot] for slot in range(count) for own in texts.values()])
    return ids.view(count, len(texts), -1)
