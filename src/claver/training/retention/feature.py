"""Feature distillation: vectors of clips and texts stay near those of CLIP, but for a residual that learns.

FROSTER (Huang et al. 2024). v, t are the student's embeddings, v_CLIP, t_CLIP those of the model at its start, frozen
and without temporal tower; W₂ is zero at the start, and texts have matrices of their own:

    v″ = v + 0.1·W₂ GELU(W₁ v),   L = CE(v, t) + 2·[(1 − cos(v″, v_CLIP)) + (1 − cos(t″, t_CLIP))]

each cosine averaged over the clips, or the texts, of the step. W₁ and W₂ are [E, E], without bias; what is saved, and
used at test, knows nothing of them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from claver.models import Claver
from claver.models.objective import exact, without_autocast
from claver.training.retention.settings import Distill
from claver.training.retention.teacher import Distillation, projection, teacher_of
from claver.training.samples import Samples

_RESIDUAL = 0.1


class Residual(nn.Module):
    """`x + 0.1·W₂ GELU(W₁ x)`: the identity at the start."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.inner, self.outer = projection(width, width, generator), projection(width, width, None)

    def forward(self, x: Tensor) -> Tensor:
        """[..., E] to [..., E]."""
        return x + _RESIDUAL * F.gelu(x @ self.inner.T) @ self.outer.T


class FeatureDistillation(Distillation):
    """The loss above.

    Args:
        model: at its start, before any adapters.
        settings: of kind `feature`.
        seed: of the projections.
    """

    def __init__(self, model: Claver, settings: Distill, seed: int) -> None:
        super().__init__(teacher_of(model, is_clip=True), model, settings.weight)
        generator = torch.Generator().manual_seed(seed)
        self.video, self.text = (Residual(model.config.embedding, generator) for _ in range(2))

    def loss(self, model: Claver, samples: Samples, rng: np.random.Generator) -> Tensor:
        """Eq. 9, and how far the vectors are from CLIP's."""
        video_BE, text_KCE = samples.videos(model), samples.texts(model)
        with torch.no_grad():
            clip_BE, clip_KCE = samples.videos(self.teacher), samples.texts(self.teacher)
        with without_autocast(video_BE.device):
            far = distance(self.video(exact(video_BE)), clip_BE) + distance(self.text(exact(text_KCE)), clip_KCE)
            return samples.loss_of(video_BE, text_KCE, model) + self.weight * far


def distance(mine: Tensor, theirs: Tensor) -> Tensor:
    """The mean of `1 − cos` over vectors [..., E]."""
    return 1 - (F.normalize(mine, dim=-1) * F.normalize(exact(theirs), dim=-1)).sum(-1).mean()
