"""Relations between positions of one axis (frames of a clip, or tokens of a frame): the factors of a Kronecker mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from claver.attention.mask import KroneckerMask


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
        from claver.attention.mask import KroneckerMask

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
