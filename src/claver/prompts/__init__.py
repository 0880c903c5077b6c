"""The text side: actions, templates, banks of texts about them, and the text bank (encode once, query often)."""

from claver.prompts.actions import BENCHMARKS, Actions, benchmark_classes
from claver.prompts.bank import PromptBank
from claver.prompts.choice import read_actions, texts_for
from claver.prompts.record import KINDS, Kind, Prompt, Source, read_prompts, write_prompts
from claver.prompts.templates import DEFAULT_TEMPLATES, PLAIN_TEMPLATES, PREFIXES, SUFFIXES, fill

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
