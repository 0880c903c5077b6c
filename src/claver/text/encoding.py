"""Encoding of texts: each distinct text once, in batches of equal length, cached ones not at all."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from claver.errors import ClaverError
from claver.models.objective import without_autocast
from claver.text.cache import TextCache, default_cache, text_keys

if TYPE_CHECKING:
    from claver.models import Claver

Progress = Callable[[int, int], None]
"""Called with the number of texts encoded so far, and of all that are to be."""

WORTH_KEEPING = 64
"""Fewer texts are encoded as soon as the weights are hashed."""
_AT_ONCE = 256
"""Texts between two reports of progress; the tower cuts them into batches of its own."""


def encode_texts(
    model: Claver,
    texts: Sequence[str],
    *,
    dtype: torch.dtype | None = None,
    cache: Path | bool | None = True,
    progress: Progress = lambda done, total: None,
) -> Tensor:
    """Encode M texts, float32 [M, E], not normalised.

    Args:
        model: its text tower and tokenizer; texts that it came with are not encoded.
        texts: the texts; one that is repeated is encoded once.
        dtype: what the text tower computes in, such as `torch.bfloat16`; the model's own type if None, also under
            autocast.
        cache: True keeps vectors in the usual folder (see `default_cache`) and finds them again there, a folder does so
            in it, False or None not at all. Vectors of other weights, tokens or types are never mistaken for these.
        progress: called as texts are encoded.

    Raises:
        ClaverError: the model has no tokenizer, or gives vectors that are not finite.
    """
    given = {text: model.given_texts[text] for text in texts if text in model.given_texts}
    distinct = [text for text in dict.fromkeys(texts) if text not in given]
    made = _vectors(model, distinct, dtype, cache, progress) if distinct or not texts else {}
    if not texts:
        return torch.empty(0, model.config.embedding, device=model.device)
    every = given | made
    return torch.stack([every[text] for text in texts]).to(model.device)


def _vectors(
    model: Claver, distinct: Sequence[str], dtype: torch.dtype | None, cache: Path | bool | None, progress: Progress
) -> dict[str, Tensor]:
    """The vector of each of some texts, no two alike."""
    if model.tokenizer is None:
        raise ClaverError(
            "the model has no tokenizer: put its tokenizer.json beside the weights, "
            "or pip install 'claver[clip-vocabulary]' for CLIP's"
        )
    if not distinct:
        return {}
    tokens_CL = model.tokenizer(distinct)
    last = model.text.last_token(tokens_CL)
    keys = text_keys(tokens_CL, last)
    kept = _cache(model, dtype or model.dtype, cache, len(distinct))
    known = kept.load() if kept else {}
    new = [row for row in last.argsort().tolist() if keys[row] not in known]
    found = _encode(model, tokens_CL[new], dtype, progress) if new else ()
    known |= {keys[row]: vector for row, vector in zip(new, found, strict=True)}
    if kept and new:
        kept.add({keys[row]: known[keys[row]] for row in new})
    elif kept:
        kept.touch()
    return {text: known[key] for text, key in zip(distinct, keys, strict=True)}


def _cache(model: Claver, dtype: torch.dtype, cache: Path | bool | None, count: int) -> TextCache | None:
    folder = default_cache() if cache is True else cache
    if not folder or count < WORTH_KEEPING:
        return None
    return TextCache.of(model, dtype, folder)


@torch.inference_mode()
def _encode(model: Claver, tokens_CL: Tensor, dtype: torch.dtype | None, progress: Progress) -> Tensor:
    """Rows of token ids, shortest first, to vectors float32 on the CPU."""
    tower = model.text if dtype in (None, model.dtype) else copy.deepcopy(model.text).to(dtype)
    parts, done = [torch.empty(0, model.config.embedding)], 0
    for part in tokens_CL.split(_AT_ONCE):
        with without_autocast(model.device):  # what is encoded once is worth its full precision
            parts.append(tower(part.to(model.device)).float().cpu())
        done += len(part)
        progress(done, len(tokens_CL))
    vectors = torch.cat(parts)
    if not bool(vectors.isfinite().all()):
        raise ClaverError(
            f"the model's text tower gives non-finite vectors; its weights do not suit {dtype or model.dtype}"
        )
    return vectors
