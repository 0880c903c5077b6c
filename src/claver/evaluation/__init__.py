"""Evaluation: metrics and tables."""
