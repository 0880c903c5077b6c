"""Frame embeddings of an endless stream by an exported model: what `StreamEncoder` gives, computed by its graphs."""

from __future__ import annotations

import torch
from torch import Tensor

from claver.errors import ClaverError
from claver.inference.streaming import StreamEncoder
from claver.log import warn_once
from claver.models import Claver
from claver.models.exported.manifest import STEP
from claver.models.exported.model import ExportedModel


class ExportedStreamEncoder(StreamEncoder):
    """As `StreamEncoder`; its graphs take pixels, so that no image tokens are passed around.

    KMCTA costs one call of the graph for streams per frame. The mean of frames costs one of a clip of a single frame.
    Any other kind encodes the last T frames again, through the image tower too, since its graph is one piece.
    """

    model: ExportedModel

    def __init__(self, model: ExportedModel, window: int | None = None) -> None:
        """As of the base.

        Raises:
            ClaverError: the model was not exported for streams, or for another window.
        """
        super().__init__(model, window)
        self._kind = model.config.temporal.kind
        self._keys: Tensor | None = None
        self._values: Tensor | None = None
        if model.has_step:
            self._require_window()
        elif model.manifest.fixed_frames:
            how = "with --streaming" if self._kind == "kmct" else "of fewer frames, or of temporal kind kmct"
            frames = model.config.temporal.frames
            raise ClaverError(f"this model was exported for clips of {frames} frames; for streams, export it {how}")
        elif self._kind != "mean":
            why = "it was exported without --streaming" if self._kind == "kmct" else f"kind {self._kind} looks ahead"
            warn_once(f"each frame of a stream is answered by encoding its whole window again, since {why}")

    def _require_window(self) -> None:
        own = int(self.model.manifest.graphs[STEP]["window"])
        if self.window != own:
            raise ClaverError(f"this model was exported for windows of {own} frames, not {self.window}")

    @property
    def _is_causal(self) -> bool:
        return self.model.has_step or self._kind == "mean"

    def image_tokens(self, pixels_B1CHW: Tensor) -> Tensor:
        """The pixels themselves."""
        return pixels_B1CHW

    def _step(self, tokens_B1ND: Tensor) -> Tensor:
        running = self._running()
        if self.model.has_step:
            made = self._through_graph(tokens_B1ND[:, 0])[: len(running)]
        else:
            made = self.model.encode_video(tokens_B1ND)[:, 0].expand(len(running), -1, -1)
        for clip, own in zip(running, made, strict=True):
            clip.frames.append(own)
        return torch.stack(max((clip.frames for clip in running), key=len), dim=1)

    def _through_graph(self, pixels_BCHW: Tensor) -> Tensor:
        """The frame's embeddings in all clips [G, B, E]; one that is not running yet begins with every frame."""
        if self._keys is None or self._values is None:
            layers, _, _, *rest = self.model.manifest.graphs[STEP]["cache"]
            shape = (layers, len(self._clips), len(pixels_BCHW), *rest)
            self._keys, self._values = torch.zeros(shape), torch.zeros(shape)
        seen = torch.tensor([len(clip.frames) for clip in self._clips])
        made, self._keys, self._values = self.model.step(pixels_BCHW, seen, self._keys, self._values)
        return made

    def _again(self, tokens_B1ND: Tensor) -> Tensor:
        self._tokens.append(tokens_B1ND)
        return self.model.encode_video(torch.cat(list(self._tokens), dim=1))

    def reset(self) -> None:
        """Forget all frames, as after a cut."""
        super().reset()
        self._keys = self._values = None

    @property
    def nbytes(self) -> int:
        """Bytes that caches and pixels take now."""
        caches = sum(0 if x is None else x.nbytes for x in (self._keys, self._values))
        return caches + sum(pixels.nbytes for pixels in self._tokens)


def stream_encoder(model: Claver, window: int | None = None) -> StreamEncoder:
    """What encodes streams with a model, be it exported or not."""
    return ExportedStreamEncoder(model, window) if isinstance(model, ExportedModel) else StreamEncoder(model, window)
