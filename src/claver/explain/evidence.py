"""The evidence for the score of one clip and one action, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from claver.explain.words import Word
from claver.inference.prediction import Prediction
from claver.models.config import Temporal
from claver.models.temporal import KINDS

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ExplainedText:
    """A text about an action, its scaled similarity with the clip, and its words with their shares of that."""

    text: str
    similarity: float
    words: tuple[Word, ...]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Why a clip got its score for an action, or a higher one than for another.

    Relevance (Chefer et al. 2021) has no unit: compare it within one map, or read it as shares. h × w is the grid of
    patches.

    Attributes:
        action: the action that is explained.
        against: the action it is compared with, if any; then all relevance of the video is that of the difference.
        temporal_kind: how the model's frames attend to each other.
        similarity: score of `action` (Eq. 10), less that of `against`.
        prediction: the answer for the clip, as seen in one view; its frames are those that the maps lie on.
        scores: of each action after each frame, from the class tokens up to then [T, C]; the last row is the answer's.
        probabilities: the same among the actions that compete [T, C].
        reads: relevance of each frame (second axis) for the embedding of each frame (first axis) [T, T].
        temporal: heat maps over patches, through the temporal tower alone [T, h, w].
        spatial: heat maps over patches, through the image tower alone [T, h, w].
        combined: heat maps over patches, through both towers [T, h, w].
        texts: texts of the action, the most similar first.
        against_texts: those of `against`, with the words that support it.
    """

    action: str
    against: str | None
    temporal_kind: Temporal
    similarity: float
    prediction: Prediction
    scores: Floats
    probabilities: Floats
    reads: Floats
    temporal: Floats
    spatial: Floats
    combined: Floats
    texts: tuple[ExplainedText, ...]
    against_texts: tuple[ExplainedText, ...]

    @property
    def moments(self) -> Floats:
        """Each frame's share of the relevance, summed over its patches [T]; adds up to 1, or all 0."""
        sums = self.combined.sum((1, 2))
        return np.asarray(sums / sums.sum() if sums.sum() > 0 else sums, dtype=np.float32)

    @property
    def seconds(self) -> NDArray[np.float64] | None:
        """When each frame is shown, from the first frame of the video on [T]; None if frames were given as an array."""
        return None if self.prediction.seconds is None else self.prediction.seconds[0]

    def rank(self, action: str) -> int:
        """An action's rank among all that compete, 1 being the model's answer."""
        ranked = [answer.action for answer in self.prediction.top(len(self.prediction.actions))]
        return ranked.index(action) + 1

    def probability(self, action: str) -> float:
        """An action's probability among those that compete."""
        return float(self.prediction.probabilities[self.prediction.actions.index(action)])

    @property
    def looks_ahead(self) -> bool:
        """Whether scores after a frame already know of later frames; only the causal mask (KMCTA) and mean do not."""
        return not KINDS[self.temporal_kind].is_causal

    def to_dict(self) -> dict[str, Any]:
        """Plain values: all but the frames."""
        arrays = ("scores", "probabilities", "moments", "reads", "temporal", "spatial", "combined")
        return {
            "source": self.prediction.source,
            "answer": self.prediction.action,
            "action": self.action,
            "rank": self.rank(self.action),
            "against": self.against,
            "against_rank": self.rank(self.against) if self.against else None,
            "temporal_kind": self.temporal_kind,
            "similarity": self.similarity,
            "actions": list(self.prediction.actions),
            "seconds": None if self.seconds is None else self.seconds.tolist(),
            "damaged": None if self.prediction.damaged is None else self.prediction.damaged.to_dict(),
            **{name: getattr(self, name).tolist() for name in arrays},
            "texts": [_plain(text) for text in self.texts],
            "against_texts": [_plain(text) for text in self.against_texts],
        }

    def __repr__(self) -> str:
        than = f" rather than {self.against!r}" if self.against else ""
        return f"{type(self).__name__}({self.action!r}{than}, {self.similarity:.2f}, maps {self.combined.shape})"


def _plain(text: ExplainedText) -> dict[str, Any]:
    return {"text": text.text, "similarity": text.similarity, "words": [word._asdict() for word in text.words]}
