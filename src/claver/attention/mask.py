"""The Kronecker mask: a union of (frame relation ⊗ token relation) over the S = T·N tokens of a clip (Eq. 5 and 8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from claver.attention.caching import cached

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Relation:
    """Says which key positions a query position may look at, along one axis of any length.

    Combine with `|` (either), `&` (both), `~` (not); `frames @ tokens` is the Kronecker product, a `KroneckerMask`.

    Attributes:
        name: how it prints.
        related: `related(query, key)` on index tensors that broadcast; returns booleans. Being elementwise it serves
            the materialised matrix and a FlexAttention predicate alike.
    """

    name: str
    related: Callable[[Tensor, Tensor], Tensor]

    def matrix(self, length: int, device: torch.device | str | None = None) -> Tensor:
        """The relation on `length` positions as booleans [length (query), length (key)]; True means visible."""
        position = torch.arange(length, device=device)
        return self.related(position[:, None], position[None, :]).expand(length, length)

    @staticmethod
    def of_matrix(name: str, matrix: Tensor) -> Relation:
        """A relation given as a boolean matrix [n, n]; it exists for that length only."""
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.dtype != torch.bool:
            raise ValueError(f"a relation is a square boolean matrix, not {matrix.dtype} {tuple(matrix.shape)}")
        return Relation(name, lambda query, key: matrix.to(query.device)[query, key])

    @staticmethod
    def within(distance: int) -> Relation:
        """Positions at most `distance` apart: a window in time, or along the row-major order of tokens."""
        return Relation(f"within({distance})", lambda query, key: (query - key).abs() <= distance)

    def __or__(self, other: Relation) -> Relation:
        return Relation(f"({self.name} ∪ {other.name})", lambda i, j: self.related(i, j) | other.related(i, j))

    def __and__(self, other: Relation) -> Relation:
        return Relation(f"({self.name} ∩ {other.name})", lambda i, j: self.related(i, j) & other.related(i, j))

    def __invert__(self) -> Relation:
        return Relation(f"¬{self.name}", lambda i, j: ~self.related(i, j))

    def __matmul__(self, tokens: Relation) -> KroneckerMask:
        return KroneckerMask(((self, tokens),))

    def __str__(self) -> str:
        return self.name


ALL = Relation("all", lambda query, key: (query == query) & (key == key))
SAME = Relation("same", lambda query, key: query == key)
OTHER = Relation("other", lambda query, key: query != key)
EARLIER = Relation("earlier", lambda query, key: key < query)
LATER = Relation("later", lambda query, key: key > query)
CLASS = Relation("class", lambda query, key: (query == query) & (key == 0))
"""As a token relation: the key is the frame's class token, which stands first."""


@dataclass(frozen=True)
class KroneckerMask:
    """Which of the S = T·N tokens (frame axis outside, token axis inside) each token may look at.

    A mask is a value without a size: `OTHER @ ALL | SAME @ SAME` is the paper's KMTA for any T and N. True means
    visible, the complement of the paper's −∞.

    Attributes:
        terms: pairs (frame relation, token relation); a key is visible if any term relates it to the query.
        name: what it prints as, in place of the terms, if given.
    """

    terms: tuple[tuple[Relation, Relation], ...]
    name: str = field(default="", compare=False)

    def __or__(self, other: KroneckerMask) -> KroneckerMask:
        return KroneckerMask(self.terms + other.terms)

    def named(self, name: str) -> KroneckerMask:
        """The same mask under a name."""
        return KroneckerMask(self.terms, name)

    def causal(self) -> KroneckerMask:
        """The same mask without its view of later frames; `KMT.causal()` sees what `KMCT` sees."""
        past = EARLIER | SAME
        return KroneckerMask(
            tuple((frames & past, tokens) for frames, tokens in self.terms), f"causal {self.name}".strip()
        )

    def visible(self, query: Tensor, key: Tensor, tokens: int) -> Tensor:
        """Elementwise on flat positions in [0, S): may `query` look at `key`? FlexAttention's predicate."""
        seen = [
            in_time.related(query // tokens, key // tokens) & in_frame.related(query % tokens, key % tokens)
            for in_time, in_frame in self.terms
        ]
        return reduce(or_, seen)

    def matrix(self, frames: int, tokens: int, device: torch.device | str | None = None) -> Tensor:
        """The materialised mask, booleans [S, S]: for tests, drawings and small clips; attention does not need it."""
        total = torch.zeros(frames * tokens, frames * tokens, dtype=torch.bool, device=device)
        for frame_relation, token_relation in self.terms:
            total |= torch.kron(frame_relation.matrix(frames, device), token_relation.matrix(tokens, device))
        return total

    def blocks(self, frames: int, tokens: int) -> Blocks:
        """The mask as a T×T grid of N×N blocks, of which only a few differ; cached."""
        return _blocks(self, frames, tokens)

    def density(self, frames: int, tokens: int) -> float:
        """Share of the S×S pairs that are visible; computed from the blocks, without an S×S buffer."""
        blocks = self.blocks(frames, tokens)
        visible = sum(int((blocks.codes == code).sum()) * int(block.sum()) for code, block in blocks.patterns.items())
        return visible / (frames * tokens) ** 2

    def draw(self, frames: int, tokens: int) -> str:
        """The mask in characters, rows are queries: `■` visible, `·` blocked, a gap between frames."""
        lines = []
        for row, visible in enumerate(self.matrix(frames, tokens).tolist()):
            cells = ["■" if cell else "·" for cell in visible]
            groups = ("".join(cells[start : start + tokens]) for start in range(0, frames * tokens, tokens))
            lines.append(("\n" if row and row % tokens == 0 else "") + " ".join(groups))
        return "\n".join(lines)

    def plot(self, frames: int, tokens: int, ax: Axes | None = None) -> Axes:
        """Draw the mask with matplotlib (extra `explain`), visible pairs dark, as in Fig. 2 (right)."""
        import matplotlib.pyplot as plt

        axes: Any = ax if ax is not None else plt.subplots()[1]
        axes.imshow(self.matrix(frames, tokens).numpy(), cmap="Greys", vmin=0, vmax=1.4)
        edges = [frame * tokens - 0.5 for frame in range(frames + 1)]
        axes.set(title=str(self), xlabel="key", ylabel="query")
        axes.set(xticks=edges, yticks=edges, xticklabels=[], yticklabels=[])
        axes.grid(color="tab:blue", linewidth=0.6)
        return axes

    def __str__(self) -> str:
        return self.name or " ∪ ".join(f"{frames}⊗{tokens}" for frames, tokens in self.terms)

    def __repr__(self) -> str:
        formula = " ∪ ".join(f"{frames}⊗{tokens}" for frames, tokens in self.terms)
        return f"KroneckerMask({self.name + ': ' if self.name else ''}{formula})"


@dataclass(frozen=True, eq=False)
class Blocks:
    """A mask on T frames of N tokens as a grid of N×N blocks.

    Attributes:
        codes: int64 [T, T], which pattern the block of (query frame, key frame) has; 0 is the empty block.
        patterns: for every code that occurs but 0, its block as booleans [N (query), N (key)].
    """

    codes: Tensor
    patterns: dict[int, Tensor]


@cached(64)
def _blocks(mask: KroneckerMask, frames: int, tokens: int) -> Blocks:
    """A block unites the token relations of those terms whose frame relation holds; its code names that set."""
    codes = torch.zeros(frames, frames, dtype=torch.int64)
    for bit, (frame_relation, _) in enumerate(mask.terms):
        codes += frame_relation.matrix(frames).long() << bit
    token_matrices = [token_relation.matrix(tokens) for _, token_relation in mask.terms]
    patterns = {}
    for code in sorted(set(codes.flatten().tolist())):
        chosen = [matrix for bit, matrix in enumerate(token_matrices) if code >> bit & 1]
        if chosen:
            patterns[code] = torch.stack(chosen).any(0)
    return Blocks(codes, patterns)


KMT = (OTHER @ ALL | SAME @ SAME).named("KMTA")
"""Eq. 5–7: every token of the other frames, and itself."""
KMCT = (EARLIER @ ALL | SAME @ SAME).named("KMCTA")
"""Eq. 8: every token of earlier frames, and itself; lower triangular, of full rank (Appendix A.2)."""
JOINT = (ALL @ ALL).named("joint")
SPATIAL = (SAME @ ALL).named("spatial")
PIPELINE = (ALL @ SAME).named("pipeline")
"""The same place in every frame, a tube through time (Fig. 2 c)."""
CLASS_ONLY = (ALL @ CLASS).named("class-token-only")

MASKS: dict[str, KroneckerMask] = {
    "kmt": KMT,
    "kmct": KMCT,
    "joint": JOINT,
    "spatial": SPATIAL,
    "pipeline": PIPELINE,
    "class": CLASS_ONLY,
    "causal-joint": ((EARLIER | SAME) @ ALL).named("causal joint"),
    "causal-pipeline": ((EARLIER | SAME) @ SAME).named("causal pipeline"),
    "causal-class": ((EARLIER | SAME) @ CLASS).named("causal class-token-only"),
}
"""The paper's patterns (Fig. 2) and their causal variants, by short name."""
