"""The temporal tower g: attention over all tokens of all frames under a Kronecker mask (Eq. 2, 5–8)."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from claver.attention import CLASS_ONLY, JOINT, KMCT, KMT, PIPELINE, KroneckerMask, kronecker_attention
from claver.log import say_once
from claver.models.block import Block, Run, initialise_blocks, run_block
from claver.models.config import ClaverConfig, Temporal

MASK_OF: dict[Temporal, KroneckerMask] = {
    "kmt": KMT,
    "kmct": KMCT,
    "joint": JOINT,
    "pipeline": PIPELINE,
    "class": CLASS_ONLY,
}
Initialisation = Literal["zero", "random", "waves"]
_SLOWEST, _FASTEST = 0.15, 2.0  # radians per frame


class TemporalTower(nn.Module):
    """Blocks of the image tower's make over [B, T, N, D]; kind `mean` has none and changes nothing.

    Attributes:
        mask: who sees whom.
        embedding: e_time [T, D], one vector per frame, the same for all of its tokens.
    """

    def __init__(self, config: ClaverConfig) -> None:
        super().__init__()
        image, kind = config.image, config.temporal.kind
        width = image.width
        self.kind = kind
        self.mask = MASK_OF.get(kind)
        layers = config.temporal.layers if self.mask else 0
        if self.mask:
            self.embedding = nn.Parameter(torch.empty(config.temporal.frames, width))
        self.blocks = nn.ModuleList(
            Block(width, image.heads, activation=config.activation, eps=config.norm_eps, mlp=image.mlp)
            for _ in range(layers)
        )
        self.initialise()

    @torch.no_grad()
    def initialise(self, how: Initialisation = "zero", scale: float = 1.0) -> None:
        """Set the starting point of training.

        Args:
            how: `zero` starts as the identity with no temporal embedding, so that step 0 *is* CLIP with mean pooling;
                not so `pipeline`, which is read from all tokens (see `reads_patches`) and begins far from CLIP.
                `random` is the paper's: CLIP's own initialisation and a temporal embedding of deviation 0.02.
                `waves` has identity blocks and `time_waves` as embedding: a model that starts from little learns the
                order of frames with it at once, and without it late or never.
            scale: root mean square of the waves; the tokens' own is a good choice.
        """
        initialise_blocks(self.blocks, zero_outputs=how != "random")
        if self.mask is None:
            return
        if how == "waves":
            self.embedding.copy_(time_waves(*self.embedding.shape) * scale)
        else:
            nn.init.normal_(self.embedding, std=0.02) if how == "random" else nn.init.zeros_(self.embedding)

    @property
    def reads_patches(self) -> bool:
        """Whether the read-out averages all tokens of a frame.

        So it is for `pipeline`, whose class token never meets a patch: read from the class token it would be `class`.
        CLIP was not trained to be read so: without training this kind does not answer as CLIP does.
        """
        return self.kind == "pipeline"

    def forward(
        self, tokens_BTND: Tensor, *, read: Literal["frames", "tokens"] = "frames", run: Run = run_block
    ) -> Tensor:
        """Let the frames attend to each other.

        Args:
            tokens_BTND: raw tokens of the image tower, any T.
            read: `frames` gives one vector per frame [B, T, D], and computes no more than that needs; `tokens` gives
                all [B, T, N, D].
            run: runs each block.
        """
        x = tokens_BTND
        class_only = read == "frames" and not self.reads_patches
        if class_only and self.kind in ("class", "mean"):
            x = x[:, :, :1]  # nothing else ever reaches a class token
        if self.mask is None:
            return x[:, :, 0] if read == "frames" else x
        attend = partial(attend_across, mask=self.mask)
        x = x + self.embedding_for(x.shape[1])[:, None]  # [T, 1, D]
        for depth, block in enumerate(self.blocks):
            last = depth == len(self.blocks) - 1
            x = run(block, x, attend, select_class if class_only and last else None)
        if read == "tokens":
            return x
        return x.mean(2) if self.reads_patches else x[:, :, 0]

    def embedding_for(self, frames: int) -> Tensor:
        """e_time for T frames, [T, D]; interpolated along time if the model was made for another number."""
        if frames == len(self.embedding):
            return self.embedding
        return resize_time(self.embedding, frames)


def resize_time(embedding_TD: Tensor, frames: int) -> Tensor:
    """A temporal embedding for another number of frames, interpolated linearly, [frames, D]; said aloud."""
    say_once(f"temporal embedding interpolated from {len(embedding_TD)} to {frames} frames")
    resized = F.interpolate(embedding_TD.float().T[None], frames, mode="linear", align_corners=False)
    return resized[0].T.to(embedding_TD.dtype)


def attend_across(q_BTMHd: Tensor, k_BTNHd: Tensor, v_BTNHd: Tensor, mask: KroneckerMask) -> Tensor:
    """Kronecker mask attention in the block's layout."""
    q, k, v = (x.permute(0, 3, 1, 2, 4) for x in (q_BTMHd, k_BTNHd, v_BTNHd))
    return kronecker_attention(q, k, v, mask).permute(0, 2, 3, 1, 4)


def select_class(x_BTND: Tensor) -> Tensor:
    """The class token of each frame, [B, T, 1, D]."""
    return x_BTND[:, :, :1]


def time_waves(frames: int, width: int) -> Tensor:
    """Sines and cosines of the frame index at frequencies in even steps, [T, D], root mean square 1.

    The usual geometric ladder down to waves far longer than a clip spends most of its width on what hardly changes
    within one; here every wave tells near frames apart.
    """
    time = torch.arange(frames, dtype=torch.float32)[:, None]
    frequency = torch.linspace(_SLOWEST, _FASTEST, width // 2)
    return 2**0.5 * torch.cat([(time * frequency).sin(), (time * frequency).cos()], dim=1)
