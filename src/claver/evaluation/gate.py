"""A gate at test time: how far a clip is from what was trained decides how much of the temporal tower it gets.

MoTE (Zhu et al. 2024). With the temporal tower g as a residual of the frames' summary tokens x, of each view:

    h = x + gate·(g(x) − x),   gate = exp(−(1 − s)/τ),  τ = 0.05

Of the five test texts and the five training texts that are nearest to the clip, s is the mean, over the former, of the
largest cosine with any of the latter. A clip near actions of training gets the tower whole, one far from them what CLIP
gives. Nothing is trained. τ = 0.05 is for texts as much alike as CLIP's; texts less alike want a larger one.

Here a text stands for an action: it is the mean direction of all that is said of it. And the clip looks for texts
without the temporal tower, which is not to judge what it is itself in question for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from claver.attention.plan import PlanKind
from claver.errors import ClaverError
from claver.models import Claver, video_embedding
from claver.models.objective import exact
from claver.models.temporal import TemporalTower
from claver.text.text_bank import TextBank

NEAREST, TAU = 5, 0.05


class Gate:
    """From clips to the share of the temporal tower that each gets.

    Args:
        test: what is said of the actions that compete [C, E], of any length.
        trained: the same of the actions of training [M, E].
        nearest: how many texts of each are looked up; all where there are fewer.
        tau: τ.
    """

    def __init__(self, test: Tensor, trained: Tensor, *, nearest: int = NEAREST, tau: float = TAU) -> None:
        self.test, self.trained = (F.normalize(exact(texts), dim=-1) for texts in (test, trained))
        self.nearest, self.tau = nearest, tau
        self._cosines = self.test @ self.trained.T  # [C, M]

    def closeness(self, video_BE: Tensor) -> Tensor:
        """s of each clip [B], from embeddings of any length."""
        unit = F.normalize(exact(video_BE), dim=-1)
        tests, trained = (
            (unit @ texts.T).topk(min(self.nearest, len(texts))).indices for texts in (self.test, self.trained)
        )
        return self._cosines[tests[:, :, None], trained[:, None, :]].amax(2).mean(1)

    def __call__(self, video_BE: Tensor) -> Tensor:
        """The share of the tower [B], at most 1."""
        return torch.exp(-(1 - self.closeness(video_BE)) / self.tau).clamp(max=1)


class GatedTower(nn.Module):
    """A temporal tower whose output is a gated residual of the summaries that it gets.

    Attributes:
        tower: the tower.
        shares: the gate's share of every clip of the last call [B].
    """

    def __init__(self, tower: TemporalTower, clip: Callable[[Tensor], Tensor], gate: Gate) -> None:
        """Put a gate behind a tower; `clip` makes embeddings [B, E] of summaries [B, T, D]."""
        super().__init__()
        self.tower, self._clip, self.gate = tower, clip, gate
        self.shares = torch.ones(0)

    @property
    def needs_patches(self) -> bool:
        """As of the tower."""
        return self.tower.needs_patches

    def forward(self, tokens_BTND: Tensor, *, plan: PlanKind = "auto") -> Tensor:
        """Tokens of frames to one vector per frame [B, T, D]."""
        summaries = tokens_BTND[:, :, 0]
        self.shares = self.gate(self._clip(summaries))
        return towards(summaries, self.tower(tokens_BTND, plan=plan), self.shares)


def towards(still_BTD: Tensor, moved_BTD: Tensor, share_B: Tensor) -> Tensor:
    """`still + share·(moved − still)`, the gated residual of each clip."""
    return still_BTD + share_B[:, None, None].to(moved_BTD.dtype) * (moved_BTD - still_BTD)


def gated(model: Claver, gate: Gate) -> Claver:
    """The same model, of the same weights, with a gate behind its temporal tower; the model itself stays as it is.

    Raises:
        ClaverError: its frames are only averaged, or read from all tokens: without the tower it would not be CLIP.
    """
    kind = model.config.temporal.kind
    if model.temporal.mask is None or model.temporal.reads_patches:
        raise ClaverError(f"a temporal tower of kind {kind!r} cannot be gated: take kmt, kmct, joint or class")
    readout, aggregate = model.readout, model.config.aggregate
    twin = copy.copy(model)
    twin._modules = dict(model._modules)
    tower = GatedTower(model.temporal, lambda x_BTD: video_embedding(readout(x_BTD), aggregate), gate)
    twin._modules["temporal"] = tower.eval()
    return twin


def gate_of(test: TextBank, trained: TextBank, tau: float = TAU) -> Gate:
    """The gate between two banks of one model.

    Raises:
        ClaverError: τ is not above 0.
    """
    if not tau > 0:
        raise ClaverError(f"a gate's τ is above 0, not {tau:g}")
    return Gate(test.prototypes, trained.prototypes, tau=tau)
