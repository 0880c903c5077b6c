"""The shipped interpretive texts, as what is encoded in benchmarks."""

from __future__ import annotations

from collections.abc import Sequence

from claver.text.bank import PromptBank


def interpretive_texts(benchmark: str) -> Sequence[Sequence[str]]:
    """Of each class its decompositions, synonyms and body texts; no templates."""
    return PromptBank.shipped(benchmark).actions(kinds=("decomposition", "synonym", "body")).texts
