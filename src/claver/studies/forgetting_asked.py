"""What a model answers that is blended with its start, or behind a gate, of clips kept as tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from claver.evaluation.gate import Gate, towards
from claver.models import Claver, video_embedding
from claver.models.blend import blend
from claver.training.tokens import TokenClips

MakeGate = Callable[[Tensor], Gate]
"""From what is said of the classes that compete [C, E] to the gate between them and the trained actions."""
_BATCH = 240


@dataclass
class Asked:
    """Clips by name, and what the model that was asked last sees in them.

    No blend changes what its temporal tower sees, so that this is computed once for all variants of a model.
    """

    clips: Mapping[str, TokenClips]
    _of: Claver | None = field(default=None, repr=False)
    _frames: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)

    def scores(
        self, model: Claver, mixed: Claver, which: str, texts_CE: Tensor, make_gate: MakeGate | None = None
    ) -> Tensor:
        """Cosines [B, C] of clips and of what is said of each class.

        Args:
            model: whose temporal tower looks.
            mixed: it, or its blend with the start.
            which: the clips' name.
            texts_CE: what is said of each class, by `directions` of `mixed`.
            make_gate: the gate behind the temporal tower, if there is one.
        """
        still, moved = self._seen(model, which)
        if make_gate is not None:
            moved = towards(still, moved, make_gate(texts_CE)(video_embedding(mixed.readout(still))))
        return F.normalize(video_embedding(mixed.readout(moved)), dim=-1) @ texts_CE.T

    def _seen(self, model: Claver, which: str) -> tuple[Tensor, Tensor]:
        """Summaries [B, T, D] without and with the temporal tower."""
        if model is not self._of:
            self._of, self._frames = model, {}
        if which not in self._frames:
            clips = self.clips[which]
            parts = [clips.take(rows)[0] for rows in torch.arange(len(clips)).split(_BATCH)]
            still, moved = [part[:, :, 0] for part in parts], [model.temporal(part) for part in parts]
            self._frames[which] = torch.cat(still), torch.cat(moved)
        return self._frames[which]


def mixed_with(start: Claver, model: Claver, weight: float) -> Claver:
    """A model blended with its start; the model itself for a weight of 1."""
    return model if weight == 1 else blend(start.state_dict(), model, weight)


def gate_maker(tau: float | None, trained: Tensor) -> MakeGate | None:
    """What makes a gate of this τ, from what is said of the trained actions [M, E]; None for no gate."""
    return None if tau is None else lambda texts_CE: Gate(texts_CE, trained, tau=tau)


def directions(model: Claver, texts: Sequence[Sequence[str]]) -> Tensor:
    """One vector a class [C, E], the mean of the unit vectors of its texts, which ranks as they do (Eq. 10)."""
    assert model.tokenizer is not None
    ids = model.tokenizer([text for own in texts for text in own]).to(model.device)
    return F.normalize(model.encode_text(ids), dim=-1).unflatten(0, (len(texts), -1)).mean(1)
