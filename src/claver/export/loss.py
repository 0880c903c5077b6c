"""What a smaller precision costs: clips encoded by the export and by the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from claver.errors import VideoError
from claver.inference.recognizer import Recognizer
from claver.models import video_embedding
from claver.video.views import VideoLike


@dataclass(frozen=True)
class ClipLoss:
    """How answers of two recognisers differ over clips.

    Attributes:
        clips: how many there were.
        cosine: the mean cosine of their video embeddings.
        least_cosine: of the clip where they differ most.
        same_first: the share of clips with the same best action.
        same_top: the mean share of the best five actions that are among the other's best five.
    """

    clips: int
    cosine: float
    least_cosine: float
    same_first: float
    same_top: float

    def to_dict(self) -> dict[str, Any]:
        """As the manifest has it."""
        return {name: round(value, 6) for name, value in vars(self).items()}

    def __str__(self) -> str:
        return (
            f"{self.clips} clips: cosine of embeddings {self.cosine:.4f} on average, {self.least_cosine:.4f} at least; "
            f"the same best action in {self.same_first:.0%}, {self.same_top:.0%} of the best five in common"
        )


def loss_on(clips: Sequence[VideoLike], before: Recognizer, after: Recognizer) -> ClipLoss:
    """Compare two recognisers of the same actions.

    Raises:
        VideoError: a clip cannot be read.
    """
    cosines, firsts, tops = [], [], []
    for clip in clips:
        views = before.encoder.look(clip)
        pair = [(made, made.encoder.embed(str(clip)[:200], views)) for made in (before, after)]
        units = [F.normalize(video_embedding(video.frames), dim=-1) for _, video in pair]
        cosines.append(float((units[0] * units[1]).sum(-1).mean()))
        ranked = [[answer.action for answer in made.predict(video).top(5)] for made, video in pair]
        firsts.append(ranked[0][0] == ranked[1][0])
        tops.append(len(set(ranked[0]) & set(ranked[1])) / len(ranked[0]))
    if not cosines:
        raise VideoError("there is no clip to compare on")
    mean = torch.tensor(cosines).mean()
    return ClipLoss(len(cosines), float(mean), min(cosines), sum(firsts) / len(firsts), sum(tops) / len(tops))
