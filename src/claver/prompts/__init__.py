"""The text side: lists of actions, templates, and the text bank (encode once, query often)."""

from claver.prompts.actions import BENCHMARKS, Actions, benchmark_classes, read_actions
from claver.prompts.templates import DEFAULT_TEMPLATES, PREFIXES, SUFFIXES, fill

__all__ = [
    "BENCHMARKS",
    "DEFAULT_TEMPLATES",
    "PREFIXES",
    "SUFFIXES",
    "Actions",
    "benchmark_classes",
    "fill",
    "read_actions",
]
