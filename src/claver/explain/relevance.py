"""Relevance for a similarity over words, frames and patches (Chefer et al. 2021, for two towers)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from claver.errors import ClaverError
from claver.explain.activation_record import ActivationRecord
from claver.explain.rollout import PIECE, exact, roll_out
from claver.models import Claver
from claver.models.objective import video_embedding


@dataclass(frozen=True, eq=False)
class VideoRelevance:
    """Contribution of attention in the video towers to one similarity; larger is more, nothing is below zero.

    The identity that relevance starts with, a token's own contribution before any attention, is left out.

    Attributes:
        similarity: what is explained, scaled (Eq. 3 and 10).
        frame_embeddings: as the model gives them [T, E].
        reads: relevance of each frame (second axis) for the embedding of each frame, through the temporal tower [T, T].
        temporal: heat maps through the temporal tower alone [T, h, w]; all zero where no frame attends to a patch.
        spatial: heat maps through the image tower alone, for the embedding of each frame [T, h, w].
        combined: heat maps through both towers [T, h, w].
    """

    similarity: float
    frame_embeddings: Tensor
    reads: Tensor
    temporal: Tensor
    spatial: Tensor
    combined: Tensor

    @property
    def moments(self) -> Tensor:
        """Relevance of each frame, summed over its patches [T]."""
        return self.combined.sum((1, 2))


def video_relevance(model: Claver, video_TCHW: Tensor, direction_E: Tensor, *, piece: int = PIECE) -> VideoRelevance:
    """Explain the scaled similarity of a clip with a direction of the joint space.

    Relevance starts as the identity at the output token of each frame, goes down the temporal tower over all S = T·N
    tokens under its mask, and on down the image tower, frame by frame.

    Memory, beside the model: the input of every block, S·D numbers each; what the backward pass of one block keeps,
    some 20·S·D; and at most four tensors of `piece` attention weights (or of H·S, if that is more). No H×S×S tensor is
    built, and attention runs by its own plan.

    Args:
        model: of any temporal kind.
        video_TCHW: normalised pixels.
        direction_E: a text's unit vector, the mean of several (Eq. 10), or the difference of two such.
        piece: attention weights computed at a time.

    Raises:
        ClaverError: the image tower moves contents between tokens where nobody can see it.
    """
    if not model.image.explainable:
        raise ClaverError(
            f"the image tower {model.config.image.tower!r} cannot be explained: what it does between pixels and tokens "
            "is its own affair; towers of CLIP and of transformers can be"
        )
    rows, columns = model.image.grid(*video_TCHW.shape[2:])
    with torch.inference_mode(False), torch.enable_grad():
        in_frames, in_time = ActivationRecord(), ActivationRecord()
        tokens = model.image_tokens(video_TCHW[None].clone(), run=in_frames).detach().requires_grad_()
        frames = model.readout(model.temporal(tokens, run=in_time))
        target = _similarity(model, frames, direction_E)
        drawn_TTN, gradient = _through_time(model, in_time, tokens, target, piece)
        read = in_frames.output[:, : tokens.shape[2]]  # a tower may compute more than the summary that is asked for
        at_image = (read.unflatten(0, tokens.shape[:2]) * gradient).sum()  # has that gradient by its output
        places_2TN = _through_frames(
            model, in_frames, at_image, drawn_TTN.mean(0), rows * columns + model.image.prefix, piece
        )
    temporal, spatial, combined = (
        _patches(part[:, model.image.prefix :], rows, columns)
        for part in (drawn_TTN.mean(0), places_2TN[0], places_2TN[1])
    )
    return VideoRelevance(float(target.detach()), frames.detach()[0], drawn_TTN.sum(2), temporal, spatial, combined)


def _similarity(model: Claver, frames_1TE: Tensor, direction_E: Tensor) -> Tensor:
    """As `similarity`, for a direction that need not be of length one."""
    aggregate = model.config.aggregate
    video = video_embedding(frames_1TE, aggregate)[0]
    video = F.normalize(video, dim=-1) if aggregate == "paper" else video
    return model.scale.detach() * (video @ direction_E.to(video.dtype).clone())


def _through_time(
    model: Claver, record: ActivationRecord, tokens_1TND: Tensor, target: Tensor, piece: int
) -> tuple[Tensor, Tensor]:
    """Relevance of every token for each frame's output, through the temporal tower [T, T, N], and the gradient."""
    frames, count = tokens_1TND.shape[1:3]
    if not record.steps:
        (gradient,) = torch.autograd.grad(target, tokens_1TND)
        return gradient.new_zeros(frames, frames, count, dtype=exact(gradient.dtype)), gradient
    assert model.temporal.mask is not None
    visible = partial(model.temporal.mask.visible, tokens=count)
    start = torch.eye(frames, device=tokens_1TND.device).kron(_read_out(model, count, tokens_1TND))  # [T, T·N]
    rows, gradient = roll_out(record, target, start[None], visible, piece=piece)
    return (rows[0] - start).unflatten(1, (frames, count)), gradient


def _through_frames(
    model: Claver, record: ActivationRecord, target: Tensor, drawn_TN: Tensor, count: int, piece: int
) -> Tensor:
    """Relevance of every token of each frame [2, T, N] through the image tower.

    First for the frame's own output alone, then for the outputs of all frames of the clip, its own included.
    """
    frames = len(drawn_TN)
    own = _read_out(model, count, drawn_TN).expand(frames, count)
    drawn = F.pad(drawn_TN, (0, count - drawn_TN.shape[1]))  # of a summary alone where nothing else is read
    start = torch.stack([own, own / frames + drawn], dim=1)  # [T, 2, N]
    rows, _ = roll_out(record, target, start, piece=piece)
    kept = torch.stack([own, own / frames])
    if rows.shape[-1] < count:  # of a tower that pools: its summary is no token below the pool
        rows, kept = F.pad(rows, (1, 0)), F.pad(kept[..., 1:], (1, 0))
    return rows.transpose(0, 1) - kept


def _read_out(model: Claver, count: int, like: Tensor) -> Tensor:
    """Weight of each of a frame's tokens in its output [1, N]; pooling is linear, so each token is taken alone."""
    each = torch.eye(count, dtype=exact(like.dtype), device=like.device)  # [N, D = N]
    return model.temporal.read(each[None, None])[0]


def _patches(tokens_TN: Tensor, rows: int, columns: int) -> Tensor:
    """Patches [T, N] as a picture [T, h, w]; where only summaries are read, all zero."""
    if tokens_TN.shape[1] == 0:
        return tokens_TN.new_zeros(len(tokens_TN), rows, columns)
    return tokens_TN.unflatten(1, (rows, columns))


def text_relevance(model: Claver, ids_L: Tensor, video_E: Tensor, *, piece: int = PIECE) -> Tensor:
    """Explain the scaled similarity of a text with a clip: relevance of its tokens [L], start and end among them.

    Args:
        model: its text tower.
        ids_L: token ids from start to end of text, and what fills the row if the text tower looks at that.
        video_E: the clip's embedding, as `video_embedding` gives it.
        piece: attention weights computed at a time.

    Raises:
        ClaverError: the text tower weighs its words in a way that cannot be seen.
    """
    if not model.text.explainable:
        kind = model.config.text.settings.get("model_type", model.config.text.tower)
        raise ClaverError(f"texts of a {kind!r} encoder cannot be explained: its attention is not by content alone")
    causal = (lambda query, key: key <= query) if model.text.is_causal else None
    with torch.inference_mode(False), torch.enable_grad():
        record = ActivationRecord()
        text = F.normalize(model.text(ids_L[None].to(model.device), run=record)[0], dim=-1)
        video = F.normalize(video_E, dim=-1) if model.config.aggregate == "paper" else video_E
        target = model.scale.detach() * (video.to(text.dtype).clone() @ text)
        start = model.text.read_weights(len(ids_L)).to(text.dtype).view(1, 1, -1)
        rows, _ = roll_out(record, target, start, causal, piece=piece)
    return (rows - start)[0, 0]
