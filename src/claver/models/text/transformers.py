"""Text towers of `transformers`: SigLIP's, those of AltCLIP and Chinese-CLIP, and sentence encoders.

They compute by that library's code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from claver.errors import ClaverError
from claver.models.block import Run
from claver.models.config import ClaverConfig
from claver.models.hosting import host, run_by
from claver.models.library import hosted_model
from claver.models.text.base import TextTower

Pooling = Literal["pooler", "first", "mean"]
"""What of a text is read: what the model itself pools, its first token, or the mean of all."""


@dataclass(frozen=True)
class Family:
    """How the tower of a family works.

    Attributes:
        model: its class.
        layers: its layers.
        pooling: what is read; None where a config of its own says it, as a sentence encoder's does.
        whole: whether all places of a row are looked at, its padding too: nothing may be trimmed then.
        options: of its class; a pooling layer that is never read is left out.
        explainable: as of `TextTower`.
    """

    model: str
    layers: str = "encoder.layer"
    pooling: Pooling | None = None
    whole: bool = False
    options: tuple[tuple[str, Any], ...] = (("add_pooling_layer", False),)
    explainable: bool = True


FAMILIES: dict[str, Family] = {
    "siglip_text_model": Family("SiglipTextModel", "encoder.layers", "pooler", whole=True, options=()),
    "altclip_text_model": Family("AltCLIPTextModel", "roberta.encoder.layers", "pooler", options=()),
    "chinese_clip_text_model": Family("ChineseCLIPTextModel", pooling="first"),
    "bert": Family("BertModel"),
    "roberta": Family("RobertaModel"),
    "xlm-roberta": Family("XLMRobertaModel"),
    "mpnet": Family("MPNetModel", explainable=False),
}
"""By the `model_type` of their settings."""
POOLING = "claver_pooling"
"""A setting of ours among those of the library: what is read of a sentence encoder."""


class TransformersText(TextTower):
    """A text tower of transformers, and a projection to the joint space where it has one."""

    def __init__(self, config: ClaverConfig) -> None:
        super().__init__()
        settings = dict(config.text.settings)
        self.family = FAMILIES[settings["model_type"]]
        self.explainable, self.whole = self.family.explainable, self.family.whole
        self.pooling: Pooling = self.family.pooling or settings.pop(POOLING)
        if self.pooling not in get_args(Pooling):
            raise ClaverError(f"text: {POOLING} must be one of {', '.join(get_args(Pooling))}, not {self.pooling!r}")
        self.context, self.width = config.text.context, config.embedding
        self.body = hosted_model(self.family.model, settings, dict(self.family.options))
        host(self.body.get_submodule(self.family.layers))
        self.pad = int(self.body.config.pad_token_id)
        self.projection: nn.Parameter | None = None
        if not self.whole:
            pooled = int(getattr(self.body.config, "project_dim", None) or self.body.config.hidden_size)
            self.projection = nn.Parameter(torch.empty(pooled, config.embedding))
            nn.init.normal_(self.projection, std=pooled**-0.5)

    def last_token(self, tokens_CL: Tensor) -> Tensor:
        """Place of the last token that is no padding, int64 [C]; where all of a row is looked at, its last place.

        Raises:
            ValueError: a row of padding alone, one longer than the context, or not padded where it must be.
        """
        length = tokens_CL.shape[1]
        if self.whole:
            if length != self.context and len(tokens_CL):
                raise ValueError(f"texts must be padded to {self.context} tokens, not {length}: all places are read")
            return self.find_last(tokens_CL)
        if length > self.context:
            raise ValueError(f"texts have {length} tokens; at most {self.context} can be read")
        last = self.find_last(tokens_CL) if length else tokens_CL.sum(1) - 1
        if bool((last < 0).any()):
            raise ValueError(f"text {int((last < 0).int().argmax())} has no token that is not padding")
        return last

    def find_last(self, tokens_CL: Tensor) -> Tensor:
        """As of every text tower."""
        length = tokens_CL.shape[1]
        if self.whole:
            return tokens_CL.new_full((tokens_CL.shape[0],), length - 1)
        return torch.where(tokens_CL != self.pad, torch.arange(length, device=tokens_CL.device), -1).amax(1)

    def encode(self, tokens_CL: Tensor, last_C: Tensor, run: Run) -> Tensor:
        """As of every text tower."""
        seen = torch.arange(tokens_CL.shape[1], device=tokens_CL.device) <= last_C[:, None]  # [C, L]
        with run_by(run):
            out = self.body(input_ids=tokens_CL, attention_mask=None if self.whole else seen.long())
        pooled: Tensor
        if self.pooling == "pooler":
            pooled = out.pooler_output
        elif self.pooling == "first":
            pooled = out.last_hidden_state[:, 0]
        else:
            pooled = (out.last_hidden_state * seen[..., None]).sum(1) / seen.sum(1, keepdim=True)
        return pooled if self.projection is None else pooled @ self.projection

    def read_weights(self, length: int) -> Tensor:
        """SigLIP reads the last place, sentence encoders the mean of all, the others the first."""
        if self.pooling == "mean":
            return torch.full((length,), 1 / length, device=self.body.device)
        weights = torch.zeros(length, device=self.body.device)
        weights[-1 if self.whole else 0] = 1
        return weights
