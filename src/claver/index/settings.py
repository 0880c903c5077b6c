"""What an index was made with: the model, and how videos are cut into windows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any, Self

import torch

from claver.errors import ClaverError
from claver.inference.encoder import VideoEncoder
from claver.inference.windows import WindowEncoder
from claver.models import Claver
from claver.models.fingerprint import add_tensors
from claver.video import Preprocess

FPS = 2.0
_NAMES = {"frames": "frames", "fps": "fps", "stride": "stride", "preprocess": "preprocessing"}


@dataclass(frozen=True)
class IndexSettings:
    """What the windows of an index depend on.

    Attributes:
        fingerprint: of the model, see `fingerprint_of`.
        width: E, entries of a vector.
        frames: T, frames of a window.
        fps: frames of a second that are looked at.
        stride: frames from one window to the next.
        preprocess: what is done to the pixels.
        origin: how a command opens the model, such as `{"model": "runs/kmct", "temporal": null}`; may be empty.
    """

    fingerprint: str
    width: int
    frames: int
    fps: float
    stride: int
    preprocess: Preprocess
    origin: dict[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, encoder: WindowEncoder, origin: dict[str, Any] | None = None) -> Self:
        """Those of an encoder."""
        inner = encoder.encoder
        model = inner.model
        width, key = model.config.embedding, fingerprint_of(model)
        return cls(key, width, inner.frames, encoder.fps, encoder.stride, inner.preprocess, dict(origin or {}))

    def require(self, other: IndexSettings, where: str) -> None:
        """Raise `ClaverError` unless windows made with `other` settings may join this index, which is at `where`."""
        self.require_model(other.fingerprint, where)
        for name, shown in _NAMES.items():
            own, theirs = getattr(self, name), getattr(other, name)
            if own != theirs:
                raise ClaverError(
                    f"{where} was made with {shown} {own}, not {theirs}; leave the setting out, or make another index"
                )

    def require_model(self, fingerprint: str, where: str) -> None:
        """Raise `ClaverError` if another model than this index was made with has this fingerprint."""
        if self.fingerprint != fingerprint:
            named = f" ({self.origin['model']})" if self.origin.get("model") else ""
            raise ClaverError(
                f"{where} was made with another model{named}: give that one, or make another index with this one"
            )

    def encoder(self, model: Claver) -> WindowEncoder:
        """What cuts and encodes a video as this index has them."""
        inner = VideoEncoder(model, frames=self.frames, preprocess=self.preprocess)
        return WindowEncoder(inner, fps=self.fps, stride=self.stride)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """What `to_dict` gave."""
        read = cls(**values)
        return replace(read, preprocess=Preprocess(**values["preprocess"]))


def fingerprint_of(model: Claver) -> str:
    """A name for a model's weights and config: the same in float32 and in bfloat16, and on every device.

    Weights count as bfloat16 has them, so that an index made on a GPU is searched on a computer without one.
    """
    config = asdict(model.config)
    config.pop("preprocess", None)  # a setting of its own
    digest = sha256(repr(sorted(config.items())).encode())
    weights = dict(sorted(model.state_dict().items()))
    add_tensors(digest, {name: t.to(torch.bfloat16) if t.is_floating_point() else t for name, t in weights.items()})
    return digest.hexdigest()[:24]
