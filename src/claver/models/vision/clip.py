"""CLIP's image tower: a ViT with a class token, read out through `ln_post` and a projection."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from claver.log import warn_once
from claver.models.block import Block, Run, initialize_blocks, run_block
from claver.models.config import ClaverConfig
from claver.models.linear import linear, runs_on_onednn
from claver.models.vision.base import VisionTower


class Readout(nn.Module):
    """CLIP's projection head: `ln_post` and the visual projection, [..., D] to [..., E]."""

    def __init__(self, width: int, embedding: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps)
        self.projection = nn.Parameter(torch.empty(width, embedding))
        nn.init.normal_(self.projection, std=width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and project."""
        return self.norm(x) @ self.projection


class ClipVision(VisionTower):
    """CLIP's ViT: frames to the tokens of the last block. The class token is the summary."""

    def __init__(self, config: ClaverConfig) -> None:
        super().__init__()
        self.config = config
        image = config.image
        self.patch = nn.Conv2d(3, image.width, image.patch, stride=image.patch, bias=False)
        self.class_token = nn.Parameter(torch.empty(image.width))
        self.position = nn.Parameter(torch.empty(image.tokens, image.width))
        self.norm_pre = nn.LayerNorm(image.width, config.norm_eps)
        self.blocks = nn.ModuleList(
            Block(image.width, image.heads, activation=config.activation, eps=config.norm_eps, mlp=image.mlp)
            for _ in range(image.layers)
        )
        self.initialize()

    @torch.no_grad()
    def initialize(self) -> None:
        """CLIP's random initialisation."""
        scale = self.class_token.numel() ** -0.5
        nn.init.normal_(self.class_token, std=scale)
        nn.init.normal_(self.position, std=scale)
        nn.init.normal_(self.patch.weight, std=self.patch.weight[0].numel() ** -0.5)
        initialize_blocks(self.blocks)

    def forward(self, frames_FCHW: Tensor, *, summary_only: bool = False, run: Run = run_block) -> Tensor:
        """As of every image tower; on another grid than the model's the position embedding is interpolated."""
        rows, columns = self.grid(*frames_FCHW.shape[2:])
        tokens = self._patches(frames_FCHW.to(self.patch.weight.dtype))  # [F, N-1, D]
        class_token = self.class_token.expand(tokens.shape[0], 1, -1)
        x = torch.cat([class_token, tokens], dim=1) + self.position_on(rows, columns)
        x = self.norm_pre(x)
        for block in self.blocks[:-1]:
            x = run(block, x, attend_within, None)
        return run(self.blocks[-1], x, attend_within, select_summary if summary_only else None)

    def _patches(self, frames_FCHW: Tensor) -> Tensor:
        """The embedding of each patch [F, N-1, D]; patches do not overlap, so that it may be a linear layer's."""
        weight_DCpp = self.patch.weight
        if not runs_on_onednn(frames_FCHW, weight_DCpp):
            return self.patch(frames_FCHW).flatten(2).transpose(1, 2)
        side = weight_DCpp.shape[-1]
        rows, columns = self.grid(*frames_FCHW.shape[2:])
        whole = frames_FCHW[:, :, : rows * side, : columns * side].unflatten(2, (rows, side))
        patches = whole.unflatten(4, (columns, side)).permute(0, 2, 4, 1, 3, 5)  # [F, h, w, C, p, p]
        return linear(patches.flatten(3).flatten(1, 2), weight_DCpp.flatten(1), None)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of whole patches."""
        return height // self.config.image.patch, width // self.config.image.patch

    def make_readout(self) -> Readout:
        """CLIP's projection head, with random weights."""
        return Readout(self.config.image.width, self.config.embedding, self.config.norm_eps)

    def position_on(self, rows: int, columns: int) -> Tensor:
        """The position embedding [1 + rows·columns, D], interpolated (bicubic) if the grid is not the model's."""
        grid = round((len(self.position) - 1) ** 0.5)
        if (rows, columns) == (grid, grid):
            return self.position
        warn_once(f"position embedding interpolated from {grid}×{grid} to {rows}×{columns} patches")
        return resize_position(self.position, rows, columns)


def attend_within(q_FNHd: Tensor, k_FNHd: Tensor, v_FNHd: Tensor) -> Tensor:
    """Attention among the tokens of one frame (Eq. 4), frames being the batch axis."""
    q, k, v = (x.transpose(1, 2) for x in (q_FNHd, k_FNHd, v_FNHd))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)


def select_summary(x_FND: Tensor) -> Tensor:
    """The summary of each frame, [F, 1, D]."""
    return x_FND[:, :1]


def resize_position(position: Tensor, rows: int, columns: int) -> Tensor:
    """A position embedding [1 + g², D] on another grid, [1 + rows·columns, D]; the class token's stays."""
    grid = round((len(position) - 1) ** 0.5)
    places = position[1:].float().T.reshape(1, -1, grid, grid)
    resized = F.interpolate(places, (rows, columns), mode="bicubic", align_corners=False)
    return torch.cat([position[:1], resized.flatten(2)[0].T.to(position.dtype)])
