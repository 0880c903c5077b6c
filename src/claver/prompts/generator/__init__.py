"""Interpretive prompts by a language model: a command, three examples, the action (Sec. 3.3, Fig. 4, Appendix E)."""

from claver.prompts.generator.answers import Answer, Endpoint, LanguageModel, Request, Sampling, UnansweredError, clean
from claver.prompts.generator.forms import WRITTEN_KINDS, Form, load_forms
from claver.prompts.generator.output import BankFile
from claver.prompts.generator.run import Generation, Shortage, Tokens

__all__ = [
    "WRITTEN_KINDS",
    "Answer",
    "BankFile",
    "Endpoint",
    "Form",
    "Generation",
    "LanguageModel",
    "Request",
    "Sampling",
    "Shortage",
    "Tokens",
    "UnansweredError",
    "clean",
    "load_forms",
]
