"""The temporal tower g: attention over all tokens of all frames under a Kronecker mask (Eq. 2, 5–8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from claver.attention import CLASS_ONLY, JOINT, KMCT, KMT, PIPELINE, KroneckerMask, kronecker_attention
from claver.attention.kv_cache import KeyValueCache
from claver.attention.plan import PlanKind
from claver.log import warn_once
from claver.models.block import Block, Run, initialize_blocks, run_block
from claver.models.config import ClaverConfig, Temporal


@dataclass(frozen=True)
class TemporalKind:
    """What a kind of temporal tower does; all that differs between kinds is said here.

    Attributes:
        mask: who attends to whom; None where frames are only averaged.
        reads_patches: whether the read-out averages all tokens of a frame. So it is for `pipeline`, whose summary token
            never meets a patch: read from the summary it would be `class`. CLIP was not trained to be read so: without
            training this kind does not answer as CLIP does.
        needs_patches: whether any token but the summaries is ever looked at.
        is_causal: whether what a frame becomes never depends on later frames.
    """

    mask: KroneckerMask | None
    reads_patches: bool = False
    needs_patches: bool = True
    is_causal: bool = False


KINDS: dict[Temporal, TemporalKind] = {
    "kmt": TemporalKind(KMT),
    "kmct": TemporalKind(KMCT, is_causal=True),
    "joint": TemporalKind(JOINT),
    "pipeline": TemporalKind(PIPELINE, reads_patches=True),
    "class": TemporalKind(CLASS_ONLY, needs_patches=False),
    "mean": TemporalKind(None, needs_patches=False, is_causal=True),
}
Attention = Callable[..., Tensor]
"""Computes what `kronecker_attention` does of the same arguments."""
Initialization = Literal["zero", "random", "sinusoidal"]
_SLOWEST, _FASTEST = 0.15, 2.0  # radians per frame


class TemporalTower(nn.Module):
    """Blocks of the image tower's make over [B, T, N, D]; kind `mean` has none and changes nothing.

    Attributes:
        mask: who sees whom.
        embedding: e_time [T, D], one vector per frame, the same for all of its tokens.
        attention: what computes `kronecker_attention`; a compiled tower has it hidden from the compiler.
    """

    attention: Attention = staticmethod(kronecker_attention)

    def __init__(self, config: ClaverConfig) -> None:
        super().__init__()
        image, kind = config.image, config.temporal.kind
        width = image.width
        self.kind = kind
        self.traits = KINDS[kind]
        self.mask = self.traits.mask
        layers = config.temporal.layers if self.mask else 0
        if self.mask:
            self.embedding = nn.Parameter(torch.empty(config.temporal.frames, width))
        self.blocks = nn.ModuleList(
            Block(width, image.heads, activation=config.activation, eps=config.norm_eps, mlp=image.mlp)
            for _ in range(layers)
        )
        self.initialize()

    @torch.no_grad()
    def initialize(self, how: Initialization = "zero", scale: float = 1.0) -> None:
        """Set the starting point of training.

        Args:
            how: `zero` starts as the identity with no temporal embedding, so that step 0 *is* CLIP with mean pooling;
                not so `pipeline`, which is read from all tokens (see `TemporalKind`) and begins far from CLIP.
                `random` is the paper's: CLIP's own initialisation and a temporal embedding of standard deviation 0.02.
                `sinusoidal` has identity blocks and `sinusoidal_time` as embedding: a model that starts from little
                learns the order of frames with it at once, and without it late or never.
            scale: root mean square of the sinusoids; the tokens' own is a good choice.
        """
        initialize_blocks(self.blocks, zero_outputs=how != "random")
        if self.mask is None:
            return
        if how in ("sinusoidal", "waves"):  # its name until version 0.2
            self.embedding.copy_(sinusoidal_time(*self.embedding.shape) * scale)
        else:
            nn.init.normal_(self.embedding, std=0.02) if how == "random" else nn.init.zeros_(self.embedding)

    @property
    def reads_patches(self) -> bool:
        """As of its `TemporalKind`."""
        return self.traits.reads_patches

    @property
    def needs_patches(self) -> bool:
        """As of its `TemporalKind`."""
        return self.traits.needs_patches

    @property
    def is_causal(self) -> bool:
        """As of its `TemporalKind`."""
        return self.traits.is_causal

    @property
    def does_nothing(self) -> bool:
        """Whether no block changes anything, as at the start of training; the time embedding may."""
        outputs = [getattr(block, name).weight for block in self.blocks for name in ("out", "down")]
        return not any(bool(weight.any()) for weight in outputs)

    def forward(
        self,
        tokens_BTND: Tensor,
        *,
        read: Literal["frames", "tokens"] = "frames",
        plan: PlanKind = "auto",
        caches: Sequence[KeyValueCache] = (),
        run: Run = run_block,
    ) -> Tensor:
        """Let the frames attend to each other.

        Args:
            tokens_BTND: raw tokens of the image tower, any T.
            read: `frames` gives one vector per frame [B, T, D], and computes no more than that needs; `tokens` gives
                all [B, T, N, D].
            plan: how attention is executed, as of `kronecker_attention`.
            caches: keys and values of the frames before these, which get those of these: see `step`.
            run: runs each block.
        """
        x = tokens_BTND if self.needs_patches or read == "tokens" else tokens_BTND[:, :, :1]
        if self.mask is None:
            return self.read(x) if read == "frames" else x
        x = x + self._times(caches, x)[:, :, None]
        select = select_summary if read == "frames" and not self.reads_patches else None
        for depth, block in enumerate(self.blocks):
            keeps = [partial(cache.extend, depth) for cache in caches]
            own: dict[str, Any] = {"mask": self.mask, "plan": plan, "keeps": keeps, "attention": self.attention}
            attend = partial(attend_across, **own)
            x = run(block, x, attend, select if depth == len(self.blocks) - 1 else None)
        for cache in caches:
            cache.advance(x.shape[1])
        return self.read(x) if read == "frames" else x

    def _times(self, caches: Sequence[KeyValueCache], x_BTND: Tensor) -> Tensor:
        """e_time of the frames of every clip [1, T, D], or of the clips of each cache in turn [B, T, D]."""
        count = x_BTND.shape[1]
        if not caches:
            return self.embedding_at(0, count, count)[None]
        each = torch.stack([self.embedding_at(cache.seen, count, cache.frames) for cache in caches])
        return each.repeat_interleave(len(x_BTND) // len(caches), dim=0)

    def step(self, tokens_BtND: Tensor, *caches: KeyValueCache, plan: PlanKind = "auto") -> Tensor:
        """The next t frames of clips whose earlier frames are in a cache, [B, t, D].

        What a frame becomes under a causal mask never depends on later frames: step after step the outputs are those of
        `forward` on all T frames, and each frame is computed once. The cache says how many frames the clip is to have,
        which sets their time embeddings.

        Args:
            tokens_BtND: raw tokens of the image tower of the frames that come next.
            caches: of these clips; it keeps what later frames need of these. Several share the batch, in equal parts in
                their order, and may hold different numbers of frames: their weights are then read once for all.
            plan: as of `forward`.

        Raises:
            ValueError: the mask looks ahead, no cache or other parts than caches, or no room for the frames.
        """
        if not self.is_causal:
            raise ValueError(f"the mask of kind {self.kind!r} looks ahead: frames cannot be computed one by one")
        if not caches or len(tokens_BtND) % len(caches):
            raise ValueError(f"{len(tokens_BtND)} clips cannot share {len(caches)} caches in equal parts")
        return self(tokens_BtND, plan=plan, caches=caches)

    def read(self, x_BTND: Tensor) -> Tensor:
        """What is read of the tokens of each frame, [B, T, D]: the summary, or for `reads_patches` their mean."""
        return x_BTND.mean(2) if self.reads_patches else x_BTND[:, :, 0]

    def embedding_at(self, start: int, count: int, frames: int) -> Tensor:
        """e_time of some frames of a clip of T, [count, D]; interpolated in time if the model was made for another T.

        Args:
            start: the first of these frames.
            count: how many.
            frames: T.
        """
        whole = self.embedding if frames == len(self.embedding) else resize_time(self.embedding, frames)
        return whole[start : start + count]


def resize_time(embedding_TD: Tensor, frames: int) -> Tensor:
    """A temporal embedding for another number of frames, interpolated linearly, [frames, D]; said aloud."""
    warn_once(f"temporal embedding interpolated from {len(embedding_TD)} to {frames} frames")
    resized = F.interpolate(embedding_TD.float().T[None], frames, mode="linear", align_corners=False)
    return resized[0].T.to(embedding_TD.dtype)


def attend_across(
    q_BtMHd: Tensor,
    k_BtNHd: Tensor,
    v_BtNHd: Tensor,
    mask: KroneckerMask,
    *,
    plan: PlanKind = "auto",
    keeps: Sequence[Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = (),
    attention: Attention = kronecker_attention,
) -> Tensor:
    """Kronecker mask attention in the block's layout.

    Each of `keeps` puts the keys and values of its part of the batch behind those of earlier frames.
    """
    attend = partial(_attend, mask=mask, plan=plan, attention=attention)
    if not keeps:
        return attend(q_BtMHd, k_BtNHd, v_BtNHd)
    q, k, v = (x.chunk(len(keeps)) for x in (q_BtMHd, k_BtNHd, v_BtNHd))
    kept = [keep(*pair) for keep, *pair in zip(keeps, k, v, strict=True)]
    return torch.cat([attend(own, keys, values) for own, (keys, values) in zip(q, kept, strict=True)])


def _attend(
    q_BtMHd: Tensor, k_BTNHd: Tensor, v_BTNHd: Tensor, mask: KroneckerMask, plan: PlanKind, attention: Attention
) -> Tensor:
    q, k, v = (x.permute(0, 3, 1, 2, 4) for x in (q_BtMHd, k_BTNHd, v_BTNHd))
    return attention(q, k, v, mask, plan=plan).permute(0, 2, 3, 1, 4)


def select_summary(x_BTND: Tensor) -> Tensor:
    """The summary token of each frame, [B, T, 1, D]."""
    return x_BTND[:, :, :1]


def sinusoidal_time(frames: int, width: int) -> Tensor:
    """Sines and cosines of the frame index at frequencies in even steps, [T, D], root mean square 1.

    The usual geometric ladder down to wavelengths far longer than a clip spends most of its width on what hardly
    changes within one; here every frequency tells near frames apart.
    """
    time = torch.arange(frames, dtype=torch.float32)[:, None]
    frequency = torch.linspace(_SLOWEST, _FASTEST, width // 2)
    return 2**0.5 * torch.cat([(time * frequency).sin(), (time * frequency).cos()], dim=1)
