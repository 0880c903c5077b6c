"""Attention as it is exported is attention under the mask, whichever way it is written."""

import itertools

import pytest
import torch

from claver.attention import CLASS_ONLY, JOINT, KMCT, KMT, PIPELINE, SPATIAL, KroneckerMask
from claver.errors import ClaverError
from claver.export.attention import DYNAMIC_TOKENS, exported_attention, is_sliced

MASKS = (KMT, KMCT, JOINT, PIPELINE, CLASS_ONLY)


def reference(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: KroneckerMask) -> torch.Tensor:
    """By the materialised mask."""
    frames, tokens, places = k.shape[2], k.shape[3], q.shape[3]
    visible = mask.matrix(frames, tokens).view(frames, tokens, frames * tokens)[:, :places].flatten(0, 1)
    scores = q.flatten(2, 3) @ k.flatten(2, 3).transpose(-2, -1) * q.shape[-1] ** -0.5
    weights = scores.masked_fill(~visible, float("-inf")).softmax(-1)
    return (weights @ v.flatten(2, 3)).unflatten(2, (frames, places))


@pytest.mark.parametrize(("mask", "sliced"), list(itertools.product(MASKS, (False, True))), ids=str)
@pytest.mark.parametrize(("frames", "places"), [(1, 5), (4, 5), (4, 1)])
def test_it_is_attention_under_the_mask(mask: KroneckerMask, sliced: bool, frames: int, places: int) -> None:
    torch.manual_seed(0)
    k, v = (torch.randn(2, 3, frames, 5, 8, dtype=torch.float64) for _ in range(2))
    q = 2 * torch.randn(2, 3, frames, places, 8, dtype=torch.float64)
    made = exported_attention(sliced=sliced)(q, k, v, mask, plan="auto")
    torch.testing.assert_close(made, reference(q, k, v, mask), atol=1e-12, rtol=1e-12)


def test_other_masks_are_refused() -> None:
    x = torch.zeros(1, 1, 2, 3, 4)
    with pytest.raises(ClaverError, match="the mask spatial cannot be exported"):
        exported_attention(sliced=False)(x, x, x, SPATIAL)


def test_slices_are_for_large_clips_of_joint_kinds() -> None:
    most = DYNAMIC_TOKENS // 8
    assert not is_sliced(KMT, 8, most)
    assert all(is_sliced(mask, 8, most + 1) for mask in (KMT, KMCT, JOINT))
    assert not any(is_sliced(mask, 800, 577) for mask in (PIPELINE, CLASS_ONLY, None))
