"""Image towers of `transformers`: SigLIP and SigLIP 2 of fixed resolution, DINOv2, DINOv3, plain ViT.

They compute by that library's code. Towers with a class token keep it as the summary, and their final norm becomes part
of the read-out; towers that pool by attention have the pooled vector as summary, and nothing is left to read out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from claver.errors import ClaverError
from claver.models.block import Attend, Run, Select, run_block
from claver.models.config import ClaverConfig
from claver.models.hosting import host, run_by
from claver.models.library import hosted_model
from claver.models.vision.base import VisionTower
from claver.models.vision.clip import Readout, attend_within


@dataclass(frozen=True)
class Family:
    """Where the parts of a tower are.

    Attributes:
        model: its class.
        layers: its layers.
        norm: its final norm, of the class token and patches alike.
        pools: whether it has a head that pools by attention, after that norm.
        interpolates: whether it interpolates its position embedding only where it is told to.
        options: of its class.
    """

    model: str
    layers: str
    norm: str
    pools: bool = False
    interpolates: bool = False
    options: Mapping[str, Any] | None = None


FAMILIES: dict[str, Family] = {
    "siglip_vision_model": Family("SiglipVisionModel", "encoder.layers", "post_layernorm", True, True),
    "dinov2": Family("Dinov2Model", "encoder.layer", "layernorm"),
    "dinov2_with_registers": Family("Dinov2WithRegistersModel", "encoder.layer", "layernorm"),
    "dinov3_vit": Family("DINOv3ViTModel", "model.layer", "norm"),
    "vit": Family("ViTModel", "layers", "layernorm", interpolates=True, options={"add_pooling_layer": False}),
}
"""By the `model_type` of their settings."""


class TransformersVision(VisionTower):
    """An image tower of transformers."""

    def __init__(self, config: ClaverConfig) -> None:
        super().__init__()
        self.config = config
        self.family = FAMILIES[config.image.settings["model_type"]]
        self.body = hosted_model(self.family.model, config.image.settings, self.family.options)
        self.prefix = 1 + getattr(self.body.config, "num_register_tokens", 0)
        if self.prefix != config.image.prefix:
            raise ClaverError(f"image: prefix is {config.image.prefix}, but the tower has {self.prefix} such tokens")
        host(self.body.get_submodule(self.family.layers))
        self.eps = self.body.get_submodule(self.family.norm).eps
        self.pool: AttentionPool | None = None
        if self.family.pools:
            self.pool = AttentionPool(self.body.get_submodule(self.family.norm), self.body.head)
            self.body.head, self.body.use_head = None, False
        self.body.set_submodule(self.family.norm, nn.Identity())

    def forward(self, frames_FCHW: Tensor, *, summary_only: bool = False, run: Run = run_block) -> Tensor:
        """As of every image tower."""
        more = {"interpolate_pos_encoding": True} if self._interpolates(frames_FCHW) else {}
        with run_by(run):
            tokens: Tensor = self.body(pixel_values=frames_FCHW.to(self.body.dtype), **more).last_hidden_state
        if self.pool is not None:
            tokens = run(self.pool, tokens, attend_within, None)
        return tokens[:, :1] if summary_only else tokens

    def _interpolates(self, frames_FCHW: Tensor) -> bool:
        side = self.config.image.settings["image_size"]
        return self.family.interpolates and tuple(frames_FCHW.shape[-2:]) != (side, side)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of whole patches."""
        return height // self.config.image.patch, width // self.config.image.patch

    def make_readout(self) -> nn.Module:
        """The final norm and a projection; of a tower that pools, nothing."""
        if self.pool is None:
            return Readout(self.config.image.width, self.config.embedding, self.eps)
        if self.config.image.width != self.config.embedding:
            raise ClaverError(f"images have {self.config.image.width} numbers, texts {self.config.embedding}")
        return nn.Identity()


class AttentionPool(nn.Module):
    """SigLIP's final norm and head as the last block of a tower: a learned query reads the patches, and precedes them.

    Attributes:
        pools: its query is none of the tokens, and comes out before them.
    """

    pools = True

    def __init__(self, norm: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.head: Any = head

    def forward(self, x_FND: Tensor, attend: Attend, select: Select | None = None) -> Tensor:
        """Patches [F, N, D] to [F, 1 + N, D]; the attention has one query a frame."""
        x_FND = self.norm(x_FND)
        attention, width = self.head.attention, x_FND.shape[-1]
        weight, bias = attention.in_proj_weight, attention.in_proj_bias
        probe = self.head.probe.to(x_FND.dtype).expand(x_FND.shape[0], 1, width)
        q = F.linear(probe, weight[:width], bias[:width])
        k, v = F.linear(x_FND, weight[width:], bias[width:]).chunk(2, dim=-1)
        q, k, v = (part.unflatten(-1, (attention.num_heads, -1)) for part in (q, k, v))
        pooled = attention.out_proj(attend(q, k, v).flatten(-2))
        pooled = pooled + self.head.mlp(self.head.layernorm(pooled))
        made = torch.cat([pooled, x_FND], dim=1)
        return made if select is None else select(made)
