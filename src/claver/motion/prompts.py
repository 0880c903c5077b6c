"""Interpretive prompts for the verbs of the motion dataset, trained on or not (Sec. 3.3, Fig. 4).

The texts stand in `prompts.jsonl`, a bank file as `claver.text.record` has it. Decompositions say through
which states a shape passes, in the words that captions of stills have for them (`at the bottom left`, `tiny`, `faint`):
what an image–text model knows of a verb it was never told. Parts say which side or tip of the shape goes where, as body
parts do for people. Every verb has equally many texts of each kind, as the loss of Eq. 9 needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import resources
from typing import Literal

from claver.motion.verbs import VERBS, Verb
from claver.text.record import Prompt, read_prompts

Aspect = Literal["name", "template", "decomposition", "synonym", "body"]

PREFIXES = ("a shape {}", "a shape that {}", "a video of a shape that {}", "a clip in which a shape {}")
SUFFIXES = ("{}, in a video", "{}, seen from nearby")


@lru_cache(maxsize=1)
def motion_prompts() -> tuple[Prompt, ...]:
    """All texts of the bank file, verb by verb: for each 3 decompositions, 3 synonyms and 2 texts of its parts."""
    with resources.as_file(resources.files("claver.motion").joinpath("prompts.jsonl")) as path:
        return tuple(read_prompts(path))


def aspect_texts(aspects: Iterable[Aspect], verbs: Sequence[Verb] = VERBS) -> dict[str, tuple[str, ...]]:
    """What is said of each verb under some aspects, by its name, in the order of the aspects.

    Args:
        aspects: `name` is the bare name, `template` the name behind prefixes and before suffixes, the others are kinds
            of the bank file.
        verbs: those of the dataset or of `motion_unseen`.
    """
    aspects = tuple(aspects)
    return {verb.name: tuple(text for aspect in aspects for text in _texts(verb.name, aspect)) for verb in verbs}


def _texts(name: str, aspect: Aspect) -> tuple[str, ...]:
    if aspect == "name":
        return (name,)
    if aspect == "template":
        return tuple(form.format(name) for form in (*PREFIXES, *SUFFIXES))
    return tuple(prompt.text for prompt in motion_prompts() if (prompt.action, prompt.kind) == (name, aspect))
