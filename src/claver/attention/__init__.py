"""Kronecker mask attention: the algebra of masks, and their exact execution at the least cost.

>>> from claver.attention import ALL, EARLIER, SAME, kronecker_attention
>>> mask = EARLIER @ ALL | SAME @ SAME            # the paper's KMCTA, Eq. 8
>>> out = kronecker_attention(q, k, v, mask)      # [B, H, T, N, d], no large S×S buffer
"""

from __future__ import annotations

from claver.attention.functional import kronecker_attention
from claver.attention.mask import (
    ALL,
    CLASS,
    CLASS_ONLY,
    EARLIER,
    JOINT,
    KMCT,
    KMT,
    LATER,
    MASKS,
    OTHER,
    PIPELINE,
    SAME,
    SPATIAL,
    KroneckerMask,
    Relation,
)
from claver.attention.plan import Plan, plan_attention

__all__ = [
    "ALL",
    "CLASS",
    "CLASS_ONLY",
    "EARLIER",
    "JOINT",
    "KMCT",
    "KMT",
    "LATER",
    "MASKS",
    "OTHER",
    "PIPELINE",
    "SAME",
    "SPATIAL",
    "KroneckerMask",
    "Plan",
    "Relation",
    "kronecker_attention",
    "plan_attention",
]
