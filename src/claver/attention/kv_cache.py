"""Keys and values of the frames so far, so that a causal tower computes each frame once."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class KeyValueCache:
    """Room for the keys and values of T frames in every block of a temporal tower.

    `TemporalTower.step` fills it. Memory: 2 · blocks · B · T · N · D numbers, taken when the first frame comes.

    Attributes:
        frames: T, the frames it has room for.
        seen: the frames it holds.
    """

    frames: int
    seen: int = 0
    _kept: list[tuple[Tensor, Tensor]] = field(default_factory=list, repr=False)

    def extend(self, block: int, k_BtNHd: Tensor, v_BtNHd: Tensor) -> tuple[Tensor, Tensor]:
        """Keep what a block made of the t frames that come next; what it keeps of all frames so far, [B, T, N, H, d].

        Args:
            block: its number; blocks come in order, each once for every t frames.
            k_BtNHd: keys.
            v_BtNHd: values.

        Raises:
            ValueError: more frames than there is room for, other clips than those before, or gradients.
        """
        stop = self.seen + k_BtNHd.shape[1]
        if stop > self.frames:
            raise ValueError(f"the cache has room for {self.frames} frames, {self.seen} are in it, not for {stop}")
        if block == len(self._kept):
            self._kept.append((self._room(k_BtNHd), self._room(v_BtNHd)))
        keys, values = self._kept[block]
        if keys.shape[0] != k_BtNHd.shape[0] or keys.shape[2:] != k_BtNHd.shape[2:]:
            raise ValueError(f"the cache is of clips {tuple(keys.shape)}, not of {tuple(k_BtNHd.shape)}")
        if torch.is_grad_enabled() and (k_BtNHd.requires_grad or v_BtNHd.requires_grad):
            raise ValueError("what is kept of earlier frames has no gradients: step within torch.no_grad()")
        keys[:, self.seen : stop], values[:, self.seen : stop] = k_BtNHd, v_BtNHd
        return keys[:, :stop], values[:, :stop]

    def advance(self, frames: int) -> None:
        """Count frames as seen, when every block has kept its own of them."""
        self.seen += frames

    def clear(self) -> None:
        """Forget all frames; the room stays."""
        self.seen = 0

    @property
    def nbytes(self) -> int:
        """Memory that is taken."""
        return sum(x.nbytes for pair in self._kept for x in pair)

    def _room(self, like_BtNHd: Tensor) -> Tensor:
        batch, _, *rest = like_BtNHd.shape
        with torch.inference_mode(False):  # used within it at first, it must serve outside of it as well
            return torch.empty(batch, self.frames, *rest, dtype=like_BtNHd.dtype, device=like_BtNHd.device)
