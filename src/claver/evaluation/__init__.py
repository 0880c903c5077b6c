"""Evaluation: metrics, and scoring of clips."""

from claver.evaluation.metrics import confusion, per_class_accuracy, top_k_accuracy, within_pairs

__all__ = ["confusion", "per_class_accuracy", "top_k_accuracy", "within_pairs"]
