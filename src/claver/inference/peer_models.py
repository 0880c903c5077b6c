"""Other people's video-text models: what their scores are is the business of `transformers`, which has them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from claver.errors import CheckpointError, ClaverError, told_of
from claver.models.checkpoint.configs import PEERS, kind_of
from claver.models.checkpoint.files import read_json
from claver.models.checkpoint.folder import CONFIG, TOKENIZER
from claver.models.checkpoint.hub import locate
from claver.models.checkpoint.hugging_face import (
    PREPROCESSOR,
    VIDEO_PREPROCESSOR,
    preprocess_from_hugging_face,
    read_preprocessor,
    square,
)
from claver.models.checkpoint.library_tokenizer import longest_row
from claver.models.checkpoint.library_weights import library_model
from claver.models.checkpoint.weights import find_weights, read_tensors
from claver.models.config import TextConfig
from claver.models.library import made_config, made_model
from claver.models.objective import without_autocast
from claver.models.shapes import without_values
from claver.models.tokenizer import Padding, Tokenizer, find_tokenizer, tokenizer_at
from claver.video import Preprocess

TEXTS_AT_ONCE = 256
"""Texts that the text tower takes, or that are compared with one view, at a time."""
_UNREAD = r"(.*\.)?position_ids"


class PeerModel(ABC):
    """A model of `transformers` with its own tokenizer and its own way with pixels; see `load_peer`.

    Attributes:
        name: what reports call the kind of model.
        made_by: its class in the library.
        video: whether the config of its processor is that of a video processor.
        processor: the processor that it has where its folder does not name one.
        takes_bytes: False; pixels are normalised for it.
        learned: None; the actions that a peer was trained on are not known here.
        frames: T, frames of a view that it was made for.
        preprocess: what its own processor does to the pixels.
    """

    name: ClassVar[str]
    made_by: ClassVar[str]
    video: ClassVar[bool] = False
    processor: ClassVar[dict[str, str]] = {}
    learned: None = None
    takes_bytes: bool = False

    def __init__(self, model: Any, tokenizer: Tokenizer, preprocess: Preprocess) -> None:
        """Join a model of `transformers` and what belongs to it."""
        self.model, self.tokenizer, self.preprocess = model, tokenizer, preprocess
        self.frames: int = model.config.vision_config.num_frames

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

    @staticmethod
    def find_tokenizer(folder: Path, text: TextConfig) -> Tokenizer | None:
        """The checkpoint's own tokenizer; None if there is none."""
        return find_tokenizer(folder, text)

    @abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts to their vectors [M, E], in the model's own type."""

    @abstractmethod
    def encode_video(self, pixels_VTCHW: Tensor, /) -> Tensor:
        """Normalised views to all that texts are compared with [V, N, E]: first the vector of the whole view."""

    @abstractmethod
    def logits(self, video_VNE: Tensor, texts_ME: Tensor) -> Tensor:
        """The library's logits of each text for each view, in float32 [V, M]."""


class XClip(PeerModel):
    """X-CLIP: each view rewrites the texts by what is seen in it, before both are compared."""

    name = PEERS["xclip"]
    made_by = "XCLIPModel"

    def __init__(self, model: Any, *others: Any) -> None:
        """Arguments as of `PeerModel`; the scale of the logits stays in float32, whatever is computed in."""
        super().__init__(model, *others)
        self._scale: Tensor = model.logit_scale.detach().float().exp()

    def encode_texts(self, texts: Sequence[str]) -> Tensor:  # noqa: D102 - as of the base
        return self.model.get_text_features(self.tokenizer(texts).to(self.device)).pooler_output

    def encode_video(self, pixels_VTCHW: Tensor, /) -> Tensor:
        """The vector of each view, and after it those of its patches, averaged over frames, that rewrite the texts."""
        out = self.model.get_video_features(pixels_VTCHW.to(self.model.dtype))
        patches = self.model.prompts_visual_layernorm(out.last_hidden_state[:, 1:])
        patches = (patches @ self.model.prompts_visual_projection).unflatten(0, pixels_VTCHW.shape[:2]).mean(1)
        return torch.cat([out.pooler_output[:, None], patches], dim=1)

    def logits(self, video_VNE: Tensor, texts_ME: Tensor) -> Tensor:  # noqa: D102 - as of the base
        rows = []
        for view in video_VNE.to(self.model.dtype).split(1):  # all views of all texts would fill the memory
            parts = texts_ME.split(TEXTS_AT_ONCE)
            told = torch.cat([part + self.model.prompts_generator(part[None], view[:, 1:])[0] for part in parts])
            with without_autocast(self.device):
                cosines = F.normalize(view[:, 0].float(), dim=-1) @ F.normalize(told.float(), dim=-1).T
            rows.append(self._scale.to(self.device) * cosines)
        return torch.cat(rows)


class VideoPrism(PeerModel):
    """VideoPrism's video-text model: its logits are cosines without a scale, as it has no temperature of its own."""

    name = PEERS["videoprism"]
    made_by = "VideoPrismClipModel"
    video = True
    processor: ClassVar[dict[str, str]] = {"video_processor_type": "VideoPrismVideoProcessor"}

    def check_frames(self, frames: int) -> None:
        """Any number: its temporal positions are interpolated, as `transformers` does it."""

    @staticmethod
    def find_tokenizer(folder: Path, text: TextConfig) -> Tokenizer | None:
        """As of the base; it may know more tokens than the model, and fills every row, as the library does."""
        found = tokenizer_at(folder / TOKENIZER, text)
        if found is not None:
            found.padding = Padding(length=text.context)
        return found

    def encode_texts(self, texts: Sequence[str]) -> Tensor:  # noqa: D102 - as of the base
        ids, vocabulary = self.tokenizer(texts), self.model.config.text_config.vocab_size
        for row, text in zip(ids.amax(1).tolist(), texts, strict=True):
            if row >= vocabulary:
                raise CheckpointError(f"text {text[:60]!r} has token {row}, but the model knows {vocabulary}")
        lengths = torch.tensor([len(self.tokenizer.encode(text)) for text in texts])
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long().to(self.device)
        return self.model.get_text_features(ids.to(self.device), attention_mask=mask).pooler_output

    def encode_video(self, pixels_VTCHW: Tensor, /) -> Tensor:  # noqa: D102 - as of the base
        other = pixels_VTCHW.shape[1] != self.frames
        found = self.model.get_video_features(pixels_VTCHW.to(self.model.dtype), interpolate_pos_encoding=other)
        return found.pooler_output.flatten(1)[:, None]

    def logits(self, video_VNE: Tensor, texts_ME: Tensor) -> Tensor:  # noqa: D102 - as of the base
        with without_autocast(self.device):
            return video_VNE[:, 0].float() @ texts_ME.float().T


_KINDS: dict[str, type[PeerModel]] = {"xclip": XClip, "videoprism": VideoPrism}


def load_peer(
    source: str | Path, *, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> PeerModel:
    """Load a peer, ready for use.

    Args:
        source: a Hugging Face id, or a folder as `save_pretrained` of `transformers` writes it, of an X-CLIP or of
            VideoPrism's video-text model, with its tokenizer and its processor's config.
        device: where to put the model.
        dtype: what to compute in, such as `torch.bfloat16`.

    Raises:
        CheckpointError: nothing there, or not a peer that fits.
        ClaverError: `transformers` is not installed, or too old.
    """
    folder = locate(source, None, None, peers=True)
    model_type = kind_of(folder, peers=True)
    if model_type not in _KINDS:
        known = " and ".join(map(repr, _KINDS))
        raise CheckpointError(f"{folder / CONFIG} says model_type {model_type!r}; only {known} are peers")
    kind, settings = _KINDS[model_type], read_json(folder / CONFIG)
    with told_of(folder):
        config = made_config(kind.made_by, settings)
        _require_heads(config)
        belongings = _tokenizer(kind, folder, config), _preprocess(kind, folder, config)
        # Copies, because what safetensors reads may still be the file itself, which somebody may write to.
        state = {key: value.clone() for key, value in read_tensors(find_weights(folder, model_type)).items()}
        model = library_model(kind.made_by, settings, state, {}, _UNREAD).requires_grad_(False)
        _try_out(kind(without_values(lambda: made_model(kind.made_by, config)), *belongings))
    return kind(model, *belongings).to(device, dtype)


def _require_heads(config: Any) -> None:
    """Refuse widths that the library would cut into another number of heads than the config says."""
    for section in (config, config.text_config, config.vision_config):
        for name in [name for name in vars(section) if name.endswith("num_attention_heads")]:
            width = name.replace("num_attention_heads", "hidden_size").replace("prompt_hidden_size", "projection_dim")
            if (heads := getattr(section, name)) < 1 or getattr(section, width) % heads:
                raise CheckpointError(f"{width} is not a multiple of {name}, {heads}")


def _tokenizer(kind: type[PeerModel], folder: Path, config: Any) -> Tokenizer:
    positions, vocabulary = config.text_config.max_position_embeddings, config.text_config.vocab_size
    # X-CLIP reads a text out at the largest id, its end.
    text = TextConfig(min(positions, longest_row(folder) or positions), vocabulary, vocabulary - 1)
    found = kind.find_tokenizer(folder, text)
    if found is None:
        raise CheckpointError(f"{folder} has no {TOKENIZER}: without its own tokenizer a peer knows no texts")
    return found


def _preprocess(kind: type[PeerModel], folder: Path, config: Any) -> Preprocess:
    values = read_preprocessor(folder, video=kind.video)
    if values is None:
        name = VIDEO_PREPROCESSOR if kind.video else PREPROCESSOR
        raise CheckpointError(f"{folder} has no {name}, which says what is done to the pixels")
    size = square(config.vision_config.image_size, "image_size")
    return preprocess_from_hugging_face({**kind.processor, **values}, size, own=True)


def _try_out(peer: PeerModel) -> None:
    """Compute once without values: the library finds some sizes not to fit together only then."""
    size = peer.preprocess.size
    try:
        pixels = torch.empty(1, peer.frames, 3, size, size, device=peer.device)
        peer.logits(peer.encode_video(pixels), peer.encode_texts(["a"]))
    except ClaverError:
        raise
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise CheckpointError(f"its sizes do not fit together: {' '.join(str(error).split())[:300]}") from error
