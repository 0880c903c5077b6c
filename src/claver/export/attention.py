"""Attention under the masks of temporal towers, of operators that every exported format has, with no mask baked in.

KMTA and KMCTA let a token see itself, and of the other frames everything or nothing. So its scores are one column for
itself, beside those of whole frames: no entry of an N×N diagonal is ever needed, and of an S×S mask none is stored.
With a number of frames that is fixed, each query frame meets just the frames that it sees. With any number, all frames
are met at once under a bias of T×T entries, which the graph makes when it runs; that takes S×S scores.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from claver.attention import CLASS_ONLY, JOINT, KMCT, KMT, PIPELINE, KroneckerMask
from claver.errors import ClaverError

DYNAMIC_TOKENS = 1024
"""S up to which the number of frames may stay open: a head's scores of a clip then take at most 4 MiB."""

KeysValues = tuple[Tensor, Tensor]


def is_sliced(mask: KroneckerMask | None, frames: int, tokens: int) -> bool:
    """Whether attention is written frame by frame, and the number of frames with it.

    Args:
        mask: of the temporal tower; None where frames are only averaged.
        frames: T of the clips that it is exported for.
        tokens: N of a frame.
    """
    return mask in (KMT, KMCT, JOINT) and frames * tokens > DYNAMIC_TOKENS


def exported_attention(*, sliced: bool) -> Callable[..., Tensor]:
    """What computes `kronecker_attention` in a graph; its `plan` is left aside.

    Args:
        sliced: whether the number of frames is fixed, and each query frame meets only what it sees.
    """

    def attend(q_BHTMd: Tensor, k_BHTNd: Tensor, v_BHTNd: Tensor, mask: KroneckerMask, *, plan: str = "") -> Tensor:
        if mask == PIPELINE:
            return _by_place(q_BHTMd, k_BHTNd, v_BHTNd)
        if mask == CLASS_ONLY:
            return _on(q_BHTMd, k_BHTNd[:, :, :, 0], v_BHTNd[:, :, :, 0])
        if mask == JOINT:
            return (_joint_by_frame if sliced else _joint)(q_BHTMd, k_BHTNd, v_BHTNd)
        if mask in (KMT, KMCT):
            run = _itself_and_frames if sliced else _itself_and_biased
            return run(q_BHTMd, k_BHTNd, v_BHTNd, causal=mask == KMCT)
        raise ClaverError(f"attention under the mask {mask} cannot be exported")

    return attend


def attend_itself_and(q: Tensor, own: KeysValues, others: KeysValues, bias: Tensor | None = None) -> Tensor:
    """Attention of each token on itself, and on keys that all queries of its row share.

    Args:
        q: queries [..., M, d].
        own: key and value of each query's own token [..., M, d].
        others: other keys and values [..., L, d].
        bias: added to the scores of these others, of a shape that broadcasts to [..., M, L].

    Returns:
        [..., M, d].
    """
    q = q * q.shape[-1] ** -0.5
    itself = (q * own[0]).sum(-1, keepdim=True)
    seen = q @ others[0].transpose(-2, -1)
    seen = seen if bias is None else seen + bias
    weights = torch.cat([itself, seen], dim=-1).softmax(-1)
    return weights[..., :1] * own[1] + weights[..., 1:] @ others[1]


def _on(q_BHTMd: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Every query on the same keys [B, H, L, d]."""
    return scaled_dot_product_attention(q_BHTMd.flatten(2, 3), keys, values).unflatten(2, q_BHTMd.shape[2:4])


def _by_place(q_BHTMd: Tensor, k_BHTNd: Tensor, v_BHTNd: Tensor) -> Tensor:
    places = q_BHTMd.shape[3]
    q, k, v = (x[:, :, :, :places].transpose(2, 3).flatten(1, 2) for x in (q_BHTMd, k_BHTNd, v_BHTNd))  # [B, H·M, T, d]
    return scaled_dot_product_attention(q, k, v).unflatten(1, (-1, places)).transpose(2, 3)


def _joint(q_BHTMd: Tensor, k_BHTNd: Tensor, v_BHTNd: Tensor) -> Tensor:
    return _on(q_BHTMd, k_BHTNd.flatten(2, 3), v_BHTNd.flatten(2, 3))


def _joint_by_frame(q_BHTMd: Tensor, k_BHTNd: Tensor, v_BHTNd: Tensor) -> Tensor:
    k, v = k_BHTNd.flatten(2, 3), v_BHTNd.flatten(2, 3)
    return torch.stack([scaled_dot_product_attention(q, k, v) for q in q_BHTMd.unbind(2)], dim=2)


def _itself_and_frames(q_BHTMd: Tensor, k_BHTNd: Tensor, v_BHTNd: Tensor, *, causal: bool) -> Tensor:
    places, frames = q_BHTMd.shape[3], k_BHTNd.shape[2]
    outputs = []
    for frame in range(frames):
        seen = [other for other in range(frame if causal else frames) if other != frame]
        own = k_BHTNd[:, :, frame, :places], v_BHTNd[:, :, frame, :places]
        if not seen:
            outputs.append(own[1])
            continue
        k, v = (torch.cat([x[:, :, other] for other in seen], dim=2) for x in (k_BHTNd, v_BHTNd))
        outputs.append(attend_itself_and(q_BHTMd[:, :, frame], own, (k, v)))
    return torch.stack(outputs, dim=2)


def _itself_and_biased(q_BHTMd: Tensor, k_BHTNd: Tensor, v_BHTNd: Tensor, *, causal: bool) -> Tensor:
    places, frames, tokens = q_BHTMd.shape[3], k_BHTNd.shape[2], k_BHTNd.shape[3]
    own = k_BHTNd[:, :, :, :places], v_BHTNd[:, :, :, :places]
    at = torch.arange(frames, device=q_BHTMd.device)
    hidden = at[None, :] >= at[:, None] if causal else at[None, :] == at[:, None]  # [T (query), T (key)]
    bias_TT = torch.zeros_like(hidden, dtype=q_BHTMd.dtype).masked_fill(hidden, float("-inf"))
    bias = bias_TT[:, None, :, None].expand(-1, 1, -1, tokens).flatten(2)  # [T, 1, S]
    k, v = (x.flatten(2, 3)[:, :, None] for x in (k_BHTNd, v_BHTNd))  # [B, H, 1, S, d]
    return attend_itself_and(q_BHTMd, own, (k, v), bias)
