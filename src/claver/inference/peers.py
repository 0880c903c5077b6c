"""Other people's video-text models as comparators: `claver evaluate` runs them through the same clips, views and texts.

A peer encodes and scores, and nothing else: what its scores are is the business of `transformers`, which has the model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from claver.data.clips import ClipLocation
from claver.errors import CheckpointError, ClaverError, VideoError
from claver.inference.encoder import Failure, VideoEmbedding, ViewEncoder, Views
from claver.inference.peer_files import (
    PeerKind,
    filled,
    peer_folder,
    peer_identity,
    read_pixels,
    read_settings,
    read_tokenizer,
)
from claver.inference.prediction import Prediction
from claver.inference.recognizer import answered
from claver.log import logger, warn_once
from claver.models.checkpoint.configs import PEERS
from claver.models.checkpoint.folder import CONFIG
from claver.models.checkpoint.hugging_face import square
from claver.models.objective import without_autocast
from claver.models.tokenizer import Tokenizer
from claver.text.actions import Actions
from claver.text.encoding import Progress
from claver.text.selection import Named, read_actions
from claver.text.templates import DEFAULT_TEMPLATES
from claver.video import Preprocess
from claver.video.damage import OnDamage
from claver.video.prefetch import DECODE_TIMEOUT
from claver.video.transforms import normalize
from claver.video.views import VideoLike

_TEXTS_AT_ONCE = 256
"""Texts that the text tower takes, or that are compared with one view, at a time."""


class PeerModel(ABC):
    """A model of `transformers` with its own tokenizer and its own way with pixels; see `load_peer`.

    Attributes:
        name: what reports call the kind of model.
        identity: what it is: its files by their contents, or a hub id.
        frames: T, frames of a view that it was made for.
        preprocess: what its own processor does to the pixels.
        learned: None; the actions that a peer was trained on are not known here.
    """

    name: str
    learned: None = None

    def __init__(
        self, model: Any, tokenizer: Tokenizer, *, frames: int, preprocess: Preprocess, identity: str = ""
    ) -> None:
        """Join a model of `transformers` and what belongs to it."""
        self.model = model
        self.tokenizer = tokenizer
        self.frames = frames
        self.preprocess = preprocess
        self.identity = identity

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    def to(self, device: str | torch.device | None, dtype: torch.dtype | None) -> Self:
        """The same, on another device or in another type; what is there already stays as it is if None."""
        self.model.to(device=device, dtype=dtype)
        return self

    def check_frames(self, frames: int) -> None:
        """Raise `ClaverError` if views of so many frames cannot be taken."""
        if frames != self.frames:
            raise ClaverError(f"this {self.name} takes {self.frames} frames per view and no other number, not {frames}")

    @abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts to their vectors [M, E], in the model's own type."""

    @abstractmethod
    def encode_video(self, pixels_VTCHW: Tensor) -> Tensor:
        """Normalised views to all that texts are compared with [V, N, E]: first the vector of the whole view."""

    @abstractmethod
    def logits(self, video_VNE: Tensor, texts_ME: Tensor) -> Tensor:
        """The library's logits of each text for each view, in float32 [V, M]."""


class XClip(PeerModel):
    """X-CLIP: each view rewrites the texts by what is seen in it, before both are compared."""

    name = "X-CLIP"

    def __init__(self, model: Any, *others: Any, **settings: Any) -> None:
        """Arguments as of `PeerModel`; the scale of the logits stays in float32, whatever is computed in."""
        super().__init__(model, *others, **settings)
        self._scale: Tensor = model.logit_scale.detach().float().exp()

    def encode_texts(self, texts: Sequence[str]) -> Tensor:  # noqa: D102 - as of the base
        return self.model.get_text_features(self.tokenizer(texts).to(self.device)).pooler_output

    def encode_video(self, pixels_VTCHW: Tensor) -> Tensor:
        """The vector of each view, and after it those of its patches, averaged over frames, that rewrite the texts."""
        out = self.model.get_video_features(pixels_VTCHW.to(self.model.dtype))
        patches = self.model.prompts_visual_layernorm(out.last_hidden_state[:, 1:])
        patches = (patches @ self.model.prompts_visual_projection).unflatten(0, pixels_VTCHW.shape[:2]).mean(1)
        return torch.cat([out.pooler_output[:, None], patches], dim=1)

    def logits(self, video_VNE: Tensor, texts_ME: Tensor) -> Tensor:  # noqa: D102 - as of the base
        seen = video_VNE.to(self.model.dtype)
        rows = []
        for view in seen.split(1):  # texts differ from view to view: all views of all texts would fill the memory
            parts = texts_ME.split(_TEXTS_AT_ONCE)
            told = torch.cat([part + self.model.prompts_generator(part[None], view[:, 1:])[0] for part in parts])
            rows.append(self._scale.to(self.device) * _cosines(view[:, 0], told))
        return torch.cat(rows)


class VideoPrism(PeerModel):
    """VideoPrism's video-text model: its logits are cosines without a scale, as it has no temperature of its own."""

    name = "VideoPrism"

    def check_frames(self, frames: int) -> None:
        """Any number: its temporal positions are interpolated, as `transformers` does it."""

    def encode_texts(self, texts: Sequence[str]) -> Tensor:  # noqa: D102 - as of the base
        rows = [self.tokenizer.encode(text) for text in texts]
        context, vocabulary = self.tokenizer.context, self.model.config.text_config.vocab_size
        if cut := [text for row, text in zip(rows, texts, strict=True) if len(row) > context]:
            warn_once(f"{len(cut)} of {len(texts)} texts cut to {context} tokens: {cut[0][:60]!r}…")
        rows = [row[:context] for row in rows]
        for row, text in zip(rows, texts, strict=True):
            if row and max(row) >= vocabulary:
                raise CheckpointError(f"text {text[:60]!r} has token {max(row)}, but the model knows {vocabulary}")
        length = max(1, *map(len, rows))
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows], device=self.device)
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows], device=self.device)
        return self.model.get_text_features(ids, attention_mask=mask).pooler_output

    def encode_video(self, pixels_VTCHW: Tensor) -> Tensor:  # noqa: D102 - as of the base
        other = pixels_VTCHW.shape[1] != self.frames
        pixels = pixels_VTCHW.to(self.model.dtype)
        found = self.model.get_video_features(pixels, interpolate_pos_encoding=other)
        return found.pooler_output.flatten(1)[:, None]

    def logits(self, video_VNE: Tensor, texts_ME: Tensor) -> Tensor:  # noqa: D102 - as of the base
        with without_autocast(self.device):
            return video_VNE[:, 0].float() @ texts_ME.float().T


def _cosines(video_VE: Tensor, texts_ME: Tensor) -> Tensor:
    with without_autocast(video_VE.device):
        return F.normalize(video_VE.float(), dim=-1) @ F.normalize(texts_ME.float(), dim=-1).T


def load_peer(
    source: str | Path, *, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> PeerModel:
    """Load a peer, ready for use.

    Args:
        source: a Hugging Face id, or a folder as `save_pretrained` of `transformers` writes it, of an X-CLIP or of
            VideoPrism's video-text model, with its tokenizer and its processor's config. Only safetensors are read.
        device: where to put the model.
        dtype: what to compute in, such as `torch.bfloat16`.

    Raises:
        CheckpointError: nothing there, or not a peer that fits.
        ClaverError: `transformers` is not installed, or too old.
    """
    folder = peer_folder(source)
    kind, settings = read_settings(folder)
    make, config = _maker(folder, kind, settings)
    _check_fit(folder, kind, config)
    vision = config.vision_config
    size = square(vision.image_size, f"{folder / CONFIG}: image_size")
    tokenizer = read_tokenizer(folder, kind, config.text_config)
    preprocess = read_pixels(folder, kind, size)
    model = filled(make, folder)
    about: dict[str, Any] = {"frames": vision.num_frames, "preprocess": preprocess}
    peer = XClip if kind == "xclip" else VideoPrism
    return peer(model, tokenizer, identity=peer_identity(source, folder), **about).to(device, dtype)


def _maker(folder: Path, kind: PeerKind, settings: Mapping[str, Any]) -> tuple[Callable[[], Any], Any]:
    """What makes the model of `transformers`, and its config."""
    try:
        import transformers
    except ImportError as error:
        raise ClaverError("peers need transformers, which is not installed: pip install 'claver[hf]'") from error
    place, prefix, model = (
        ("x_clip", "XCLIP", "XCLIPModel") if kind == "xclip" else ("videoprism", "VideoPrism", "VideoPrismClipModel")
    )
    try:
        home = f"transformers.models.{place}"
        made = getattr(import_module(f"{home}.configuration_{place}"), f"{prefix}Config")
        architecture = getattr(import_module(f"{home}.modeling_{place}"), model)
    except (ImportError, AttributeError) as error:
        told = f"transformers {transformers.__version__} has no {PEERS[kind]}"
        raise ClaverError(f"{told}: pip install --upgrade transformers") from error
    try:
        config = made(**settings)
    except (KeyError, TypeError, ValueError) as error:
        told = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
        raise CheckpointError(f"{folder / CONFIG} is no config of {PEERS[kind]}: {told}") from error
    return lambda: architecture(config), config


def _check_fit(folder: Path, kind: PeerKind, config: Any) -> None:
    """Refuse sizes that the library finds out not to fit together only when it computes, or not at all."""
    text, vision = config.text_config, config.vision_config
    pairs = [(text, "hidden_size", "num_attention_heads"), (vision, "hidden_size", "num_attention_heads")]
    if kind == "xclip":
        pairs += [(vision, "mit_hidden_size", "mit_num_attention_heads")]
        pairs += [(config, "projection_dim", "prompt_num_attention_heads")]
    for section, size, heads in pairs:
        if getattr(section, size) % getattr(section, heads):
            raise CheckpointError(f"{folder / CONFIG}: {size} is not a multiple of {heads}")
    if kind == "xclip":
        if vision.mit_hidden_size != config.projection_dim:
            raise CheckpointError(f"{folder / CONFIG}: mit_hidden_size and projection_dim must be equal")
        side, patch = (square(getattr(vision, name), f"{folder}: {name}") for name in ("image_size", "patch_size"))
        if side < patch:
            raise CheckpointError(f"{folder / CONFIG}: a picture of {side} pixels holds no patch of {patch}")
        return
    if text.hidden_size != vision.hidden_size:
        raise CheckpointError(f"{folder / CONFIG}: hidden_size must be the same for texts and videos")
    tubelet, side = list(vision.tubelet_size), square(vision.image_size, f"{folder}: image_size")
    if len(tubelet) != 3 or tubelet[0] != 1 or tubelet[1] != tubelet[2] or tubelet[1] > side:
        raise CheckpointError(f"{folder / CONFIG}: tubelet_size must be [1, patch, patch], not {tubelet}")


class _PeerEncoder(ViewEncoder):
    """Views to what `PeerModel.encode_video` gives."""

    def __init__(self, model: PeerModel, views: Views | str, frames: int | None, damaged: OnDamage) -> None:
        self.model = model
        super().__init__(views, frames=frames or model.frames, preprocess=model.preprocess, damaged=damaged)
        model.check_frames(self.frames)
        whole = self.preprocess.resize == "squash" and self.preprocess.size == self.preprocess.short_side
        if whole and self.views.crops == 3:
            logger.warning(
                "%s sees whole frames, squashed: its three crops are the same, and 1 is three times as fast", model.name
            )

    @torch.inference_mode()
    def encode(self, views_VTCHW: Tensor, batch_size: int) -> Tensor:
        constants = (self.preprocess.mean, self.preprocess.std)
        parts = [normalize(part.to(self.model.device), *constants) for part in views_VTCHW.split(batch_size)]
        return torch.cat([self.model.encode_video(part).float() for part in parts])


class Peer:
    """Names the action in videos as `Recognizer` does, with somebody else's model.

    >>> peer = Peer(load_peer("microsoft/xclip-base-patch32"), ["juggling", "knitting"])
    >>> print(peer("clip.mp4").top(3))
    """

    relative = False

    def __init__(
        self,
        model: PeerModel | str | Path,
        actions: str | Path | Sequence[Named] | Mapping[str, Sequence[str]] | Actions,
        *,
        texts: str | Path | None = None,
        templates: Sequence[str] = DEFAULT_TEMPLATES,
        views: Views | str | None = None,
        frames: int | None = None,
        damaged: OnDamage = "answer",
        progress: Progress = lambda done, total: None,
    ) -> None:
        """Encode the actions' texts; see `Recognizer` for arguments that are not said here.

        Args:
            model: a peer, or what `load_peer` takes.
            actions: what `claver.text.read_actions` takes.
            texts: which texts.
            templates: forms for actions that come without texts.
            views: clips and crops, `1x1` if None.
            frames: T, frames of each view; the peer's own number if None.
            damaged: what to do with a damaged video.
            progress: called with the number of texts encoded so far, and of all.

        Raises:
            ClaverError: a number of frames that the peer cannot take, or as `load_peer` and `read_actions`.
        """
        self.model = model if isinstance(model, PeerModel) else load_peer(model)
        self.encoder = _PeerEncoder(self.model, views or Views(), frames, damaged)
        self.texts = read_actions(actions, texts=texts, templates=templates)
        self._texts_ME = self._encoded([text for own in self.texts.texts for text in own], progress)

    @torch.inference_mode()
    def _encoded(self, texts: Sequence[str], progress: Progress) -> Tensor:
        parts = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            parts.append(self.model.encode_texts(texts[start : start + _TEXTS_AT_ONCE]))
            progress(min(start + _TEXTS_AT_ONCE, len(texts)), len(texts))
        return torch.cat(parts)

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions that compete."""
        return self.texts.names

    @property
    def views(self) -> Views:
        """Clips and crops of each video."""
        return self.encoder.views

    @property
    def frames(self) -> int:
        """T, frames of each view."""
        return self.encoder.frames

    @property
    def preprocess(self) -> Preprocess:
        """What is done to the pixels."""
        return self.encoder.preprocess

    def __call__(self, source: VideoLike) -> Prediction:
        """Recognise one video; source and errors as of `Recognizer`."""
        return self.predict(self.encoder(source))

    def stream(
        self,
        paths: Iterable[str | Path | ClipLocation],
        *,
        batch_size: int = 8,
        workers: int = 0,
        decode_timeout: float | None = DECODE_TIMEOUT,
        damaged: OnDamage | None = None,
    ) -> Iterator[Prediction | Failure]:
        """Recognise many files, in order, going on past those that cannot be read; arguments as of `Recognizer`."""
        settings: dict[str, Any] = {"workers": workers, "decode_timeout": decode_timeout, "damaged": damaged}
        return answered(self.encoder.stream(paths, batch_size=batch_size, **settings), self.predict)

    @torch.inference_mode()
    def predict(self, video: VideoEmbedding) -> Prediction:
        """The answer for a video that is encoded already: the peer's logits, averaged over texts and views (Eq. 10).

        Raises:
            VideoError: the scores are not finite.
        """
        logits_M = self.model.logits(video.frames, self._texts_ME).mean(0)
        parts = logits_M.split([len(own) for own in self.texts.texts])
        scores = torch.stack([part.mean() for part in parts])
        if not bool(scores.isfinite().all()):
            raise VideoError(f"{video.source}: {self.model.name} gives non-finite scores for it")
        seen = video.pixels[len(video.pixels) // 2].permute(0, 2, 3, 1).cpu().numpy()
        found = (scores.cpu().numpy(), scores.softmax(0).cpu().numpy(), seen)
        return Prediction(video.source, self.actions, *found, seconds=video.seconds, damaged=video.damage)

    def __repr__(self) -> str:
        return f"Peer({self.model.name}, {len(self.actions)} actions, {self.frames} frames, views {self.views})"
