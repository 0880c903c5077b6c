"""The paper's tables and figures as commands: each study reruns one, on a dataset that any machine can draw."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from claver.errors import ClaverError

if TYPE_CHECKING:
    from claver.studies.study import Study

STUDIES = {
    "temporal": "Table 7: how frames are joined, and how deep",
    "frames": "Table 8: patch size and frame length",
    "shuffle": "Table 9: shuffled tokens",
    "rank": "Appendix A: rank of attention matrices",
    "branches": "Table 11: which towers learn",
    "prompts": "Table 11: what is said of a class",
    "fewshot": "Table 13: few clips of each class",
    "words": "Fig. 5: verbs against nouns",
    "texts": "Fig. 9: the most fitting texts for a clip",
    "forgetting": "Zero-shot: what is gained, against what is forgotten",
    "forgetting-real": "Zero-shot: the same, on real clips above real weights (extra real-weights)",
    "search": "Search for verbs and their reversals, by the models of `claver quickstart` (extra search)",
    "real-weights": "Real clips: UT-Interaction above frozen real weights (extra real-weights)",
}
"""Every study's name and what it reruns; the module of that name, `_` for `-`, has it as `STUDY`."""

__all__ = ["STUDIES", "find_study"]


def find_study(name: str) -> Study:
    """A study by its name.

    Raises:
        ClaverError: there is none of that name.
    """
    if name not in STUDIES:
        raise ClaverError(f"there is no study {name!r}; the studies are {', '.join(STUDIES)}")
    study: Study = import_module(f"claver.studies.{name.replace('-', '_')}").STUDY
    return study
