"""Evaluation: protocols, metrics, and the prediction for each clip.

The names below are imported when first used: metrics alone must not wait for a recognizer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claver.evaluation.metrics import (
    auroc,
    confusion,
    fpr_at_tpr,
    per_class_accuracy,
    top_k_accuracy,
    within_pairs,
)
from claver.lazy import lazy_names

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

__getattr__ = lazy_names(__name__, _HOME)
