"""Clips as the tokens a frozen image tower gives them, computed once and kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from claver.models import Claver
from claver.video.transforms import Preprocess, normalize


def normalized(frames: npt.NDArray[np.uint8], preprocess: Preprocess) -> Tensor:
    """Frames uint8 [..., H, W, 3], already of the model's size, to its input [..., 3, H, W]."""
    return normalize(torch.from_numpy(frames).movedim(-1, -3), preprocess.mean, preprocess.std)


@torch.no_grad()
def cache_tokens(
    model: Claver,
    clips: Iterable[npt.NDArray[np.uint8]],
    *,
    dtype: torch.dtype = torch.float32,
    on_batch: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """Image tokens [B, T, N, D] of clips that come in batches of uint8 [b, T, H, W, 3].

    Args:
        model: its image tower is used as it is; train on the result only while that is frozen.
        clips: batches of frames of the model's size.
        dtype: what to keep them in; float16 halves the memory.
        on_batch: called with the number of clips of each batch done.
    """
    kept = []
    for batch in clips:
        pixels = normalized(batch, model.config.preprocess).to(model.device)
        kept.append(model.image(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2]).to("cpu", dtype))
        on_batch(len(batch))
    return torch.cat(kept)


@dataclass(frozen=True)
class TokenClips:
    """Labelled clips as tokens, perhaps with their time reversals.

    The image tower looks at each frame by itself, so a clip run backwards has the same tokens in reversed order: where
    the reverse of every class is a class, each clip kept is two to learn from.

    Attributes:
        tokens: [M, T, N, D].
        labels: int64 [M].
        reverse: int64 [C], the class that each becomes when run backwards; None for no reversals.
    """

    tokens: Tensor
    labels: Tensor
    reverse: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels) * (1 if self.reverse is None else 2)

    def scale(self) -> float:
        """Root mean square of the tokens."""
        return self.tokens.float().square().mean().sqrt().item()

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [b, T, N, D] in float32 and labels [b]; rows from M on are the reversals of rows from 0 on."""
        kept, backwards = rows % len(self.labels), rows >= len(self.labels)
        tokens, labels = self.tokens[kept].float(), self.labels[kept]
        if self.reverse is None:
            return tokens, labels
        tokens = torch.where(backwards[:, None, None, None], tokens.flip(1), tokens)
        return tokens, torch.where(backwards, self.reverse[labels], labels)
