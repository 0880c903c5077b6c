"""Evaluation: protocols, metrics, and what each clip was answered.

The names below are imported when first used: metrics alone must not wait for a recognizer.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from claver.evaluation.metrics import confusion, per_class_accuracy, top_k_accuracy, within_pairs

if TYPE_CHECKING:
    from claver.evaluation.protocols import Evaluation, TestSet, evaluate

__all__ = [
    "Evaluation",
    "TestSet",
    "confusion",
    "evaluate",
    "per_class_accuracy",
    "top_k_accuracy",
    "within_pairs",
]


def __getattr__(name: str) -> Any:
    if name in ("Evaluation", "TestSet", "evaluate"):
        return getattr(import_module("claver.evaluation.protocols"), name)
    raise AttributeError(f"module 'claver.evaluation' has no attribute {name!r}")
