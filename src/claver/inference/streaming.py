"""Frame embeddings of an endless stream: after every frame, those of a clip that ends with it, each encoded once."""

from __future__ import annotations

from collections import deque
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor

from claver.attention.kv_cache import KeyValueCache
from claver.errors import ClaverError
from claver.log import warn_once
from claver.models import Claver

_INTERPOLATED = "temporal embedding interpolated"
_FILLING = "temporal embedding interpolated to 1, 2, … frames until a stream has the {} of its window"


@dataclass
class _Running:
    """A clip in progress under a causal mask: embeddings of its frames, and cached keys and values for later ones."""

    cache: KeyValueCache
    frames: list[Tensor] = field(default_factory=list)  # [B, E] each

    def restart(self) -> None:
        self.cache.clear()
        self.frames.clear()


class StreamEncoder:
    """Frame embeddings of the clip that ends with the newest frame, of B streams with a frame each at a time.

    With a causal temporal tower (KMCTA, and mean pooling) every frame costs one step against cached keys and values.
    Two clips of T frames run at a time, begun T/2 frames apart; the longer one answers. So the answer is, at any
    moment, exactly that of an offline clip of the last T/2 + 1 to T frames (at the start, of all frames so far), whose
    time embeddings are the first of T. A tower that looks ahead is recomputed over the cached image tokens of the last
    T frames: exact as well, but more expensive. The image tower runs once per frame in either case.

    Attributes:
        window: T.
        seen: number of frames so far.
    """

    def __init__(self, model: Claver, window: int | None = None) -> None:
        """Start without frames.

        Args:
            model: of any temporal kind.
            window: T; the model's own number of frames if None.

        Raises:
            ClaverError: a window of less than one frame.
        """
        self.model = model
        self.window = model.config.temporal.frames if window is None else window
        if self.window < 1:
            raise ClaverError(f"a window has at least 1 frame, not {self.window}")
        self.seen = 0
        self._clips = [_Running(KeyValueCache(self.window)) for _ in range(2 if self.window > 1 else 1)]
        self._tokens: deque[Tensor] = deque(maxlen=self.window)

    @torch.inference_mode()
    def push(self, pixels_BCHW: Tensor) -> Tensor:
        """Take the next frame of each stream.

        Args:
            pixels_BCHW: normalised pixels, on the model's device.

        Returns:
            Frame embeddings of the clip that ends with it [B, k, E], k from 1 to T, in float32.
        """
        return self.push_tokens(self.image_tokens(pixels_BCHW[:, None]))

    def image_tokens(self, pixels_B1CHW: Tensor) -> Tensor:
        """What `push_tokens` takes of pixels; of several streams it may be computed at once."""
        return self.model.image_tokens(pixels_B1CHW)

    @torch.inference_mode()
    def push_tokens(self, tokens_B1ND: Tensor) -> Tensor:
        """As `push`, from image tokens instead of pixels."""
        embeddings = self._step(tokens_B1ND) if self._is_causal else self._again(tokens_B1ND)
        self.seen += 1
        return embeddings

    @property
    def _is_causal(self) -> bool:
        return self.model.temporal.is_causal

    def _step(self, tokens_B1ND: Tensor) -> Tensor:
        """Append the frame to both clips."""
        running = self._running()
        tokens = tokens_B1ND.repeat(len(running), 1, 1, 1)  # both at once: the weights are read once
        read = self.model.temporal.step(tokens, *(clip.cache for clip in running))
        for clip, own in zip(running, self.model.readout(read)[:, 0].float().chunk(len(running)), strict=True):
            clip.frames.append(own)
        return torch.stack(max((clip.frames for clip in running), key=len), dim=1)

    def _running(self) -> list[_Running]:
        """The clips that the next frame belongs to; the second begins half a window after the first."""
        for clip in self._clips:
            if len(clip.frames) == self.window:
                clip.restart()
        return [clip for number, clip in enumerate(self._clips) if self.seen >= number * (self.window // 2)]

    def _again(self, tokens_B1ND: Tensor) -> Tensor:
        self._tokens.append(tokens_B1ND)
        filling = len(self._tokens) < self.window
        with warn_once.put_as(_INTERPOLATED, _FILLING.format(self.window)) if filling else nullcontext():
            return self.model.encode_tokens(torch.cat(list(self._tokens), dim=1)).float()

    def reset(self) -> None:
        """Forget all frames, as after a cut."""
        self.seen = 0
        self._tokens.clear()
        for clip in self._clips:
            clip.restart()

    @property
    def nbytes(self) -> int:
        """Bytes that caches and tokens take now."""
        caches = sum(clip.cache.nbytes for clip in self._clips)
        return caches + sum(tokens.nbytes for tokens in self._tokens)
