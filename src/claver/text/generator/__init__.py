"""Interpretive prompts by a language model: a command, three examples, the action (Sec. 3.3, Fig. 4, Appendix E)."""

from __future__ import annotations

from claver.text.generator.answers import Answer, Endpoint, LanguageModel, Sampling, TextRequest, UnansweredError, clean
from claver.text.generator.forms import WRITTEN_KINDS, Form, load_forms
from claver.text.generator.output import BankFile, sources_for
from claver.text.generator.run import Generation, Shortage, Tokens

__all__ = [
    "WRITTEN_KINDS",
    "Answer",
    "BankFile",
    "Endpoint",
    "Form",
    "Generation",
    "LanguageModel",
    "Sampling",
    "Shortage",
    "TextRequest",
    "Tokens",
    "UnansweredError",
    "clean",
    "load_forms",
    "sources_for",
]
