"""The text side: actions, templates, banks of texts about them, and the text bank (encode once, query often)."""

from __future__ import annotations

from claver.data.classes import BENCHMARKS, benchmark_classes
from claver.text.actions import Actions
from claver.text.bank import PromptBank
from claver.text.record import KINDS, Kind, Prompt, Source, read_prompts, write_prompts
from claver.text.selection import read_actions, texts_for
from claver.text.templates import DEFAULT_TEMPLATES, PLAIN_TEMPLATES, PREFIXES, SUFFIXES, fill

__all__ = [
    "BENCHMARKS",
    "DEFAULT_TEMPLATES",
    "KINDS",
    "PLAIN_TEMPLATES",
    "PREFIXES",
    "SUFFIXES",
    "Actions",
    "Kind",
    "Prompt",
    "PromptBank",
    "Source",
    "benchmark_classes",
    "fill",
    "read_actions",
    "read_prompts",
    "texts_for",
    "write_prompts",
]
