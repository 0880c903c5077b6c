"""What is exported: towers as modules that take pixels or token ids and give embeddings, with nothing to choose."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from claver.errors import ClaverError
from claver.export.attention import attend_itself_and, exported_attention
from claver.models import Claver
from claver.models.block import run_block
from claver.models.objective import video_embedding
from claver.models.temporal import select_summary
from claver.video.transforms import normalize


class VideoGraph(nn.Module):
    """Pixels [B, T, 3, h, w] to frame embeddings [B, T, E] and video embedding [B, E], not normalised, float32."""

    def __init__(self, model: Claver, *, takes_bytes: bool, sliced: bool) -> None:
        """Share the model's towers.

        Args:
            model: in evaluation mode.
            takes_bytes: whether pixels are uint8, normalised in here; else they are normalised already.
            sliced: as of `exported_attention`.
        """
        super().__init__()
        self.image, self.temporal, self.readout = model.image, copy.copy(model.temporal), model.readout
        self.temporal.attention = exported_attention(sliced=sliced)
        self.config, self.takes_bytes = model.config, takes_bytes
        if self.temporal.mask is not None:
            self.temporal.embedding_at = self._embedding_at  # type: ignore[method-assign]

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Encode clips."""
        preprocess = self.config.preprocess
        video = normalize(pixels, preprocess.mean, preprocess.std) if self.takes_bytes else pixels
        tokens = self.image(video.flatten(0, 1), summary_only=not self.temporal.needs_patches)
        read = self.temporal(tokens.unflatten(0, video.shape[:2]))
        frames = self.readout(read).float()
        return frames, video_embedding(frames, self.config.aggregate)

    def _embedding_at(self, start: int, count: int, frames: int) -> Tensor:
        """As of the temporal tower, of operators that take any T: its own vectors where T is the model's."""
        return time_embedding(self.temporal.embedding, frames)[start : start + count]


def time_embedding(embedding_TD: Tensor, frames: int) -> Tensor:
    """A temporal embedding for another number of frames [frames, D], interpolated linearly, whatever that number is.

    It is what `claver.models.temporal.resize_time` gives, of operators that a graph has for a number it does not know.
    """
    own = embedding_TD.shape[0]
    at = (torch.arange(frames, device=embedding_TD.device, dtype=torch.float32) + 0.5) * own / frames - 0.5
    at = at.clamp(0, own - 1)
    low = at.floor()
    weight = (at - low)[:, None]
    first = low.long()
    second = (first + 1).clamp(max=own - 1)
    exact = embedding_TD.float()
    return ((1 - weight) * exact[first] + weight * exact[second]).to(embedding_TD.dtype)


class TextGraph(nn.Module):
    """Token ids [C, L] to embeddings [C, E], not normalised, float32; anything after the last token that counts."""

    def __init__(self, model: Claver) -> None:
        """Share the model's text tower."""
        super().__init__()
        self.text = model.text

    def forward(self, ids: Tensor) -> Tensor:
        """Encode texts."""
        return self.text.encode(ids, self.text.find_last(ids), run_block).float()


def require_streamable(model: Claver) -> None:
    """Raise `ClaverError` if a model's frames cannot be computed one by one, or need no earlier ones."""
    if model.temporal.kind != "kmct":
        told = "looks ahead" if not model.temporal.is_causal else "watches streams without it"
        raise ClaverError(f"--streaming is for temporal kind kmct; {model.temporal.kind} {told}")


class StepGraph(nn.Module):
    """The next frame of S streams, in each of which G clips are in progress, of W frames at most (KMCTA).

    The image tower looks at a frame once, whatever G is. Each clip has its own number of frames so far, which says
    what of its caches counts.
    """

    time: Tensor

    def __init__(self, model: Claver, window: int, *, takes_bytes: bool) -> None:
        """Share the model's towers.

        Args:
            model: in evaluation mode.
            window: W.
            takes_bytes: as of `VideoGraph`.

        Raises:
            ClaverError: the temporal tower looks ahead, or has nothing to be cached.
        """
        super().__init__()
        require_streamable(model)
        self.image, self.temporal, self.readout = model.image, model.temporal, model.readout
        self.config, self.window, self.takes_bytes = model.config, window, takes_bytes
        self.register_buffer("time", time_embedding(self.temporal.embedding.detach(), window))

    def cache_shape(self, clips: int, streams: int) -> tuple[int, ...]:
        """Shape of keys, and of values: layers, G, S, W, N, D."""
        config = self.config
        layers, width = len(self.temporal.blocks), config.image.width
        return layers, clips, streams, self.window, config.image.tokens, width

    def forward(self, pixels: Tensor, seen: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode the next frame.

        Args:
            pixels: [S, 3, h, w].
            seen: frames that each clip has so far, int64 [G], below W; 0 begins a clip, whatever its caches hold.
            keys: of earlier frames [layers, G, S, W, N, D].
            values: of the same shape.

        Returns:
            The frame's embedding in each clip [G, S, E], not normalised, float32; keys and values with it.
        """
        preprocess = self.config.preprocess
        frames = normalize(pixels, preprocess.mean, preprocess.std) if self.takes_bytes else pixels
        x = self.image(frames) + self.time[seen][:, None, None]  # [G, S, N, D]
        place = torch.arange(keys.shape[3], device=seen.device)
        hidden = place >= seen[:, None]  # [G, W]
        newest = (place == seen[:, None])[:, None, :, None, None]  # [G, 1, W, 1, 1]
        made_keys, made_values = [], []
        for depth, block in enumerate(self.temporal.blocks):
            step = _Step(keys[depth].to(x.dtype), values[depth].to(x.dtype), hidden)
            x = block(x, step, select_summary if depth == len(self.temporal.blocks) - 1 else None)
            made_keys.append(torch.where(newest, step.key[:, :, None].to(keys.dtype), keys[depth]))
            made_values.append(torch.where(newest, step.value[:, :, None].to(keys.dtype), values[depth]))
        return self.readout(x[:, :, 0]).float(), torch.stack(made_keys), torch.stack(made_values)


class _Step:
    """Attention of a frame's tokens on themselves and the cached frames, in the block's layout.

    Attributes:
        key: the frame's own keys [G, S, N, D].
        value: its values.
    """

    key: Tensor
    value: Tensor

    def __init__(self, keys_GSWND: Tensor, values_GSWND: Tensor, hidden_GW: Tensor) -> None:
        self._cached, self._hidden = (keys_GSWND, values_GSWND), hidden_GW

    def __call__(self, q_GSMHd: Tensor, k_GSNHd: Tensor, v_GSNHd: Tensor) -> Tensor:
        self.key, self.value = k_GSNHd.flatten(-2), v_GSNHd.flatten(-2)
        heads, places, tokens = q_GSMHd.shape[3], q_GSMHd.shape[2], k_GSNHd.shape[2]
        q, k, v = (x.transpose(2, 3) for x in (q_GSMHd, k_GSNHd, v_GSNHd))  # [G, S, H, M or N, d]
        keys, values = (x.flatten(2, 3).unflatten(-1, (heads, -1)).transpose(2, 3) for x in self._cached)
        bias_GW = torch.zeros_like(self._hidden, dtype=q.dtype).masked_fill(self._hidden, float("-inf"))
        bias = bias_GW[:, :, None].expand(-1, -1, tokens).flatten(1)[:, None, None, None]
        own = k[:, :, :, :places], v[:, :, :, :places]
        return attend_itself_and(q, own, (keys, values), bias).transpose(2, 3)


@contextmanager
def frozen(model: Claver) -> Iterator[None]:
    """Within it no parameter asks for gradients, so that graphs hold plain operators."""
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in wanted:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
