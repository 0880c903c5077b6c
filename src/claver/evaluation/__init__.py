"""Evaluation: protocols, metrics, and the prediction for each clip.

The names below are imported when first used: metrics alone must not wait for a recognizer.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from claver.evaluation.metrics import (
    auroc,
    confusion,
    fpr_at_tpr,
    per_class_accuracy,
    top_k_accuracy,
    within_pairs,
)

if TYPE_CHECKING:
    from claver.evaluation.calibration import Calibrated, calibrate
    from claver.evaluation.protocols import Evaluation, TestSet, evaluate

_HOME = {
    "Calibrated": "calibration",
    "Evaluation": "protocols",
    "TestSet": "protocols",
    "calibrate": "calibration",
    "evaluate": "protocols",
}

__all__ = [
    "Calibrated",
    "Evaluation",
    "TestSet",
    "auroc",
    "calibrate",
    "confusion",
    "evaluate",
    "fpr_at_tpr",
    "per_class_accuracy",
    "top_k_accuracy",
    "within_pairs",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"claver.evaluation.{_HOME[name]}"), name)
    raise AttributeError(f"module 'claver.evaluation' has no attribute {name!r}")
