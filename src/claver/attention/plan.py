"""Choosing how to execute attention under a Kronecker mask: the cheapest exact plan, from the T×T grid of blocks.

| plan       | when                                                      | pairs computed     | largest bias buffer |
|------------|-----------------------------------------------------------|--------------------|---------------------|
| factorised | each frame or each place by itself, or one set of keys    | the visible ones   | N×N or T×T, or none |
|            | for all queries (spatial, pipeline, joint, class)         |                    |                     |
| dense      | small clips, where one call beats T calls                 | S×S                | S×S, at most 1 MiB  |
| halved     | itself and all or nothing of the other frames (KMTA,      | the visible ones   | none                |
|            | KMCTA), where a kernel tells its log-sum-exp: CPU, CUDA   |                    |                     |
| sliced     | else: one call per query frame over its visible frames    | visible key frames | N×(2T−1)N           |
| flex       | never by itself: compiled FlexAttention, for comparison   | visible blocks     | a list of tiles     |

FlexAttention was the plan on a GPU until it was measured there: `torch.compile` keeps 8 variants of it in a process:
every shape, mask, type and grad mode is one, and the ninth builds the S×S scores, 17 to 60 times slower. On an H100 in
bf16 (B16 T8 N197) it took 2.0 times as long as unmasked flash attention for KMCTA and 2.8 times for KMTA, and lost to
one call under a dense mask. Attention by halves is made of unmasked flash attention alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from claver.attention.caching import cached
from claver.attention.halved import Part, halves
from claver.attention.mask import Blocks, KroneckerMask

PlanKind = Literal["auto", "factorised", "sliced", "dense", "flex", "halved"]
Axis = Literal["frame", "token", "keys"]

_SMALL = 2**18
"""Pairs below which one masked call beats T of them: a bias of at most 1 MiB in fp32."""


@dataclass(frozen=True, eq=False)
class Slice:
    """One query frame of a sliced plan.

    Attributes:
        keys: positions among the S keys that any of its queries sees; a `slice` where they are contiguous.
        bias: makes what is to be added to the scores, [M, keys], or is None where all of `keys` is visible to all.
    """

    keys: slice | Tensor
    bias: Callable[[torch.dtype, torch.device], Tensor] | None


@dataclass(frozen=True, eq=False)
class Plan:
    """How `kronecker_attention` will run, and what that costs.

    Attributes:
        kind: the executor.
        pairs: query–key scores computed per head and clip (a dense mask computes (T·M)·(T·N)).
        buffer: elements of the largest bias alive at a time.
        axis: for `factorised`: attention within each `frame`, within each `token` place, or over common `keys`.
        keys: for `factorised` over common keys: their positions [keys], or None for all.
        bias: visible pairs as booleans for `factorised` and `dense`; None where everything is visible.
        slices: for `sliced`: one per query frame.
        parts: for `halved`: query frames and key frames of each call.
        cached: for `halved`: whether all queries see the frames before theirs as well.
    """

    kind: Literal["factorised", "sliced", "dense", "flex", "halved"]
    pairs: int
    buffer: int
    axis: Axis | None = None
    keys: Tensor | None = None
    bias: Tensor | None = None
    slices: tuple[Slice, ...] = ()
    parts: tuple[Part, ...] = ()
    cached: bool = False


@cached(128)
def plan_attention(
    mask: KroneckerMask,
    frames: int,
    tokens: int,
    queries: int | None = None,
    *,
    last: int | None = None,
    kind: PlanKind = "auto",
    flash: bool = False,
) -> Plan:
    """Plan attention of the first `queries` tokens of each frame (all N if None) over T frames of N tokens.

    Args:
        mask: what may be seen.
        frames: T.
        tokens: N.
        queries: M ≤ N, the tokens of each frame whose output is wanted; 1 asks for the class tokens only.
        last: the frames that have queries, the last of the T; all if None.
        kind: `auto` picks; a name forces that plan.
        flash: whether there is a kernel that tells its log-sum-exp, which `halved` needs.

    Raises:
        ValueError: a token would have nothing to look at, or the forced plan does not fit the mask.
    """
    queries = tokens if queries is None else queries
    last = frames if last is None else last
    if not 1 <= queries <= tokens:
        raise ValueError(f"queries must be between 1 and the {tokens} tokens of a frame, not {queries}")
    if not 1 <= last <= frames:
        raise ValueError(f"queries must be of between 1 and the {frames} frames, not of {last}")
    blocks = mask.blocks(frames, tokens)
    blocks = replace(blocks, codes=blocks.codes[frames - last :])  # [t, T]
    _check_rows(mask, blocks, queries)
    factorised = _by_frame(blocks, queries) or _by_token(blocks, queries) or _by_keys(blocks, queries)
    if kind == "auto":
        small = last * queries * frames * tokens <= _SMALL
        large: PlanKind = "halved" if flash and _halved(blocks, queries) else "sliced"
        kind = "factorised" if factorised else "dense" if small else large
    if kind in ("factorised", "halved"):
        found = factorised if kind == "factorised" else _halved(blocks, queries)
        if found is None:
            verb = "factorise" if kind == "factorised" else "halve"
            raise ValueError(f"{mask} on {frames} frames of {tokens} tokens does not {verb}; use plan='auto'")
        return found
    if kind == "dense":
        return _dense(blocks, queries)
    if kind == "flex":
        if last < frames:
            raise ValueError("FlexAttention runs on queries of all frames; use plan='auto'")
        visible = sum(int((blocks.codes == code).sum()) for code in blocks.patterns)
        return Plan("flex", visible * queries * tokens, 0)
    return _sliced(blocks, queries)


def _check_rows(mask: KroneckerMask, blocks: Blocks, queries: int) -> None:
    for frame, row in enumerate(blocks.codes.tolist(), _first(blocks)):
        seen = [blocks.patterns[code][:queries].any(1) for code in set(row) if code in blocks.patterns]
        fully_masked = ~torch.stack(seen).any(0) if seen else torch.ones(queries, dtype=torch.bool)
        if fully_masked.any():
            token = int(fully_masked.int().argmax())
            raise ValueError(
                f"under {mask!r} token {token} of frame {frame} sees nothing; add SAME @ SAME to the union"
            )


def _by_frame(blocks: Blocks, queries: int) -> Plan | None:
    """Block-diagonal with one pattern: each frame by itself, the frames a batch axis."""
    frames = len(blocks.codes)
    diagonal = blocks.codes.diagonal(_first(blocks))
    alone = torch.zeros_like(blocks.codes)
    alone.diagonal(_first(blocks)).copy_(diagonal[:1].expand(frames))
    if int(diagonal[0]) not in blocks.patterns or not torch.equal(blocks.codes, alone):
        return None
    pattern = blocks.patterns[int(diagonal[0])][:queries]
    bias = None if pattern.all() else pattern
    return Plan("factorised", frames * pattern.numel(), 0 if bias is None else bias.numel(), axis="frame", bias=bias)


def _by_token(blocks: Blocks, queries: int) -> Plan | None:
    """Every block is the identity or empty: each place by itself, the places a batch axis."""
    if not all(torch.equal(pattern, torch.eye(len(pattern), dtype=torch.bool)) for pattern in blocks.patterns.values()):
        return None
    visible = blocks.codes != 0
    bias = None if visible.all() else visible
    return Plan("factorised", queries * visible.numel(), 0 if bias is None else bias.numel(), axis="token", bias=bias)


def _by_keys(blocks: Blocks, queries: int) -> Plan | None:
    """Every query sees the same keys: one call over those keys without any bias."""
    if not bool((blocks.codes == blocks.codes[:1]).all()):
        return None
    empty = torch.zeros(_tokens(blocks), _tokens(blocks), dtype=torch.bool)
    row = [blocks.patterns.get(code, empty) for code in blocks.codes[0].tolist()]
    if not all(bool((pattern == pattern[:1]).all()) for pattern in row):
        return None
    seen = torch.cat([pattern[0] for pattern in row])
    keys = None if seen.all() else seen.nonzero().flatten()
    return Plan("factorised", len(blocks.codes) * queries * int(seen.sum()), 0, axis="keys", keys=keys)


def _dense(blocks: Blocks, queries: int) -> Plan:
    visible = torch.cat([_row(blocks, frame, queries) for frame in range(len(blocks.codes))])
    bias = None if visible.all() else visible
    return Plan("dense", visible.numel(), 0 if bias is None else visible.numel(), bias=bias)


def _halved(blocks: Blocks, queries: int) -> Plan | None:
    """A token sees itself, of the earlier frames everything or nothing, and of the later ones likewise."""
    frames, tokens, first = blocks.codes.shape[1], _tokens(blocks), _first(blocks)
    own, below, above = (_uniform(blocks, side[first:]) for side in _sides(frames))
    if own is None or below is None or above is None or not torch.equal(own, torch.eye(tokens, dtype=torch.bool)):
        return None
    if any(bool(side.any()) and not bool(side.all()) for side in (below, above)):
        return None
    asking, cached = frames - first, bool(first and below.any())
    parts = tuple(halves(asking, earlier=bool(below.any()), later=bool(above.any())))
    rectangles = sum(part.pairs * (asking // part.block) for part in parts) + asking * first * cached
    return Plan("halved", queries * (rectangles * tokens + asking), 0, parts=parts, cached=cached)


def _sides(frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """The diagonal, what is below it and what is above it, booleans [T, T]."""
    every = torch.ones(frames, frames, dtype=torch.bool)
    return torch.eye(frames, dtype=torch.bool), every.tril(-1), every.triu(1)


def _uniform(blocks: Blocks, side: Tensor) -> Tensor | None:
    """The one block that all places of a side have, or None if they differ; an empty side has the empty block."""
    codes = set(blocks.codes[side].tolist()) or {0}
    empty = torch.zeros(_tokens(blocks), _tokens(blocks), dtype=torch.bool)
    return blocks.patterns.get(codes.pop(), empty) if len(codes) == 1 else None


def _sliced(blocks: Blocks, queries: int) -> Plan:
    toeplitz = _toeplitz_bias(blocks, queries) if _is_toeplitz(blocks.codes) else None
    slices = tuple(_slice(blocks, frame, queries, toeplitz) for frame in range(len(blocks.codes)))
    total = blocks.codes.shape[1] * _tokens(blocks)
    lengths = [len(range(*s.keys.indices(total))) if isinstance(s.keys, slice) else len(s.keys) for s in slices]
    buffer = toeplitz.visible.numel() if toeplitz else queries * max(lengths)
    return Plan("sliced", queries * sum(lengths), buffer if any(s.bias for s in slices) else 0, slices=slices)


def _slice(blocks: Blocks, frame: int, queries: int, toeplitz: ToeplitzBias | None) -> Slice:
    visible = _row(blocks, frame, queries)
    seen = visible.any(0)
    positions = seen.nonzero().flatten()
    start, stop = int(positions[0]), int(positions[-1]) + 1
    contiguous = stop - start == len(positions)
    keys = slice(start, stop) if contiguous else positions
    if visible[:, seen].all():
        return Slice(keys, None)
    if toeplitz is not None and contiguous:
        shift = (len(blocks.codes) - 1 - frame) * _tokens(blocks)
        return Slice(keys, lambda dtype, device: toeplitz.bias(dtype, device)[:, shift + start : shift + stop])
    # Rebuilt at every call: kept, the rows of all frames would add up to the S×S buffer this plan is there to avoid.
    return Slice(keys, lambda dtype, device: as_bias(_row(blocks, frame, queries)[:, positions], dtype, device))


def _row(blocks: Blocks, frame: int, queries: int) -> Tensor:
    """The rows of one query frame, booleans [M, S]."""
    empty = torch.zeros(_tokens(blocks), _tokens(blocks), dtype=torch.bool)
    row = [blocks.patterns.get(code, empty)[:queries] for code in blocks.codes[frame].tolist()]
    return torch.cat(row, dim=1)


class ToeplitzBias:
    """The rows of all query frames of a mask that depends on (key frame − query frame) alone, [M, (2T−1)·N].

    Row t of the mask is the window of T·N columns that starts at (T−1−t)·N: a view, hence no copy per frame.
    """

    def __init__(self, visible: Tensor) -> None:
        self.visible = visible
        self._made: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def bias(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The buffer as an additive bias; the last one made is kept."""
        if (dtype, device) not in self._made:
            with torch.inference_mode(False):
                self._made = {(dtype, device): as_bias(self.visible, dtype, device)}
        return self._made[dtype, device]


def _toeplitz_bias(blocks: Blocks, queries: int) -> ToeplitzBias:
    last, first = _row(blocks, len(blocks.codes) - 1, queries), _row(blocks, 0, queries)
    return ToeplitzBias(torch.cat([last, first[:, (_first(blocks) + 1) * _tokens(blocks) :]], dim=1))


def _is_toeplitz(codes: Tensor) -> bool:
    return torch.equal(codes[1:, 1:], codes[:-1, :-1])


def _first(blocks: Blocks) -> int:
    """The frame that the first row of blocks is of: queries are of the last frames."""
    return blocks.codes.shape[1] - len(blocks.codes)


def _tokens(blocks: Blocks) -> int:
    return len(next(iter(blocks.patterns.values())))


def as_bias(visible: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Booleans to an additive bias: 0 where visible, −∞ elsewhere."""
    return torch.zeros(visible.shape, dtype=dtype, device=device).masked_fill_(~visible.to(device), float("-inf"))
