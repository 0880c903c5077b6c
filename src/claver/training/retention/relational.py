"""Relational distillation: clips stay as near to texts as they were, seen along random directions.

TACO (Zhu et al. 2026). The teacher, v_T and t_T, is a running mean of the student's weights, with a fixed decay of
0.9998, that starts as CLIP: the decay is not warmed up as in `training/ema.py`, for its start is the point. Each step
draws Ω, 200 random unit vectors [R, E]; v, t and their teacher's are unit vectors, s is the model's scale:

    v′ = v + B(A v̄),   L = CE(v′, t) + 0.4·KL( softmax(s·(v_T Ωᵀ)(Ω t_Tᵀ)) ‖ softmax(s·(v′ Ωᵀ)(Ω tᵀ)) )

over classes, averaged over clips and the K' texts of each class. A [2E, E] and B [E, 2E] are linear, B is zero at the
start, and both are dropped at test. v̄ is read here as the mean over frames, which is what a clip's embedding is.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from claver.models import Claver
from claver.models.objective import exact, without_autocast
from claver.training.lora import has_lora, plain_state
from claver.training.retention.settings import Distill
from claver.training.retention.teacher import Distillation, projection, teacher_of
from claver.training.samples import Samples

_HIDDEN = 2


class RelationalDistillation(Distillation):
    """The loss above.

    Args:
        model: at its start, before any adapters.
        settings: of kind `relational`.
        seed: of the projections.
    """

    def __init__(self, model: Claver, settings: Distill, seed: int) -> None:
        super().__init__(teacher_of(model, is_clip=False), model, settings.weight)
        assert settings.decay is not None  # of this kind it always is there
        assert settings.directions is not None
        self.decay, self.directions, width = settings.decay, settings.directions, model.config.embedding
        self.down = projection(_HIDDEN * width, width, torch.Generator().manual_seed(seed))  # A
        self.up = projection(width, _HIDDEN * width, None)  # B

    def loss(self, model: Claver, samples: Samples, rng: np.random.Generator) -> Tensor:
        """Eq. 9 of v′, and how far its relations are from the teacher's."""
        video_BE, text_KCE = samples.videos(model), samples.texts(model)
        with torch.no_grad():
            theirs = samples.videos(self.teacher), samples.texts(self.teacher)
        with without_autocast(video_BE.device):
            video_BE = exact(video_BE)
            video_BE = video_BE + video_BE @ self.down.T @ self.up.T
            directions_RE = unit_vectors(self.directions, video_BE.shape[1], rng).to(video_BE)
            scale = exact(model.scale)
            mine = relations(video_BE, text_KCE, directions_RE, scale)
            taught = relations(*theirs, directions_RE, scale.detach())
            return samples.loss_of(video_BE, text_KCE, model) + self.weight * divergence(taught, mine)

    @torch.no_grad()
    def after_step(self, model: Claver) -> None:
        """Move the teacher towards the student: `teacher ← d·teacher + (1 − d)·student`."""
        student = plain_state(model) if has_lora(model) else dict(model.named_parameters())
        for name, mean in self.teacher.named_parameters():
            if name in self._own:
                mean.lerp_(student[name], 1 - self.decay)


def unit_vectors(count: int, width: int, rng: np.random.Generator) -> Tensor:
    """Ω, float32 [R, E]: directions evenly over the sphere."""
    drawn = torch.from_numpy(rng.standard_normal((count, width)).astype(np.float32))
    return F.normalize(drawn, dim=-1)


def relations(video_BE: Tensor, text_KCE: Tensor, directions_RE: Tensor, scale: Tensor) -> Tensor:
    """s·(v Ωᵀ)(Ω tᵀ) of unit vectors, [B, K, C]."""
    video_BR = F.normalize(exact(video_BE), dim=-1) @ directions_RE.T
    text_KCR = F.normalize(exact(text_KCE), dim=-1) @ directions_RE.T
    return scale * (video_BR @ text_KCR.flatten(0, 1).T).unflatten(1, text_KCR.shape[:2])


def divergence(taught_BKC: Tensor, mine_BKC: Tensor) -> Tensor:
    """KL(softmax(taught) ‖ softmax(mine)) over classes, averaged over the rest."""
    taught, mine = taught_BKC.log_softmax(-1), mine_BKC.log_softmax(-1)
    return (taught.exp() * (taught - mine)).sum(-1).mean()
