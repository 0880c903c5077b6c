"""Open-set recognition ("none of these"): the user's actions against a background of other actions.

Softmax over the user's words always names one of them. Here each action competes, by the same similarity, with some
hundred to a thousand names of other actions, those of the benchmarks. With unit vectors v of a video, p_c of the C
actions, b_g of the G others, and the scale s of the model (exp of its logit scale):

    bar(v)        = the m-th largest of v·b_g
    relative_c(v) = s (v·p_c − bar(v))
    unknown(v)    = sigmoid(threshold − max_c relative_c(v))

m is the largest number for which C words that have as little to do with the video as the others rise above the bar
with a probability of at most `CHANCE`; if the words and the others are exchangeable, all below the bar happens with
probability Π_{i<m} (G − i) / (G + C − i). The threshold is 0 unless clips were at hand to calibrate it.

`unknown` is above one half exactly where no action reaches the bar. Between, it says how clear that is in the model's
own logits, as softmax does; that it is a frequency is not claimed. Of more than about G · CHANCE actions m is 1, the
best of all others, and the probability that nonsense rises above it is C / (C + G). The other names tell only as much
as the text tower knows of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from claver.data.classes import dataset_classes
from claver.log import warn_once
from claver.models.config import Aggregate
from claver.models.objective import exact, video_embedding, without_autocast
from claver.names import plain
from claver.text.actions import Actions
from claver.text.encoding import Progress
from claver.text.phrases import phrase
from claver.text.templates import fill
from claver.text.text_bank import TextBank

if TYPE_CHECKING:
    from claver.models import Claver

CHANCE = 0.1
"""Probability with which words that have nothing to do with a video may rise above the bar."""
FEWEST = 50
"""Against fewer other names nothing is said of unknown."""

_DATASETS = ("kinetics400", "kinetics600", "ucf101", "hmdb51", "ssv2")
_FORMS = ("{}", "a video of {activity}.")
"""As few as will do: a thousand names in eight forms would take four times as long."""
_CLOSEST = 0.95
"""Names are near-duplicates if they are more alike than this share of the others are to their nearest neighbour."""
_FUNCTION_WORDS = frozenset(["a", "an", "the", "of", "to", "in", "on", "with", "something", "someone", "person"])


@lru_cache(maxsize=1)
def known_actions() -> tuple[str, ...]:
    """The classes of Kinetics-400 and -600, UCF-101, HMDB-51 and Something-Something v2, each spelt in one way."""
    found: dict[str, str] = {}
    for dataset in _DATASETS:
        for name in dataset_classes(dataset):
            found.setdefault(plain(_said(name)), name)
    return tuple(found.values())


@dataclass(frozen=True)
class Background:
    """Other actions than the user's.

    Attributes:
        names: G names.
        prototypes: the unit vector of each [G, E].
    """

    names: tuple[str, ...]
    prototypes: Tensor = field(repr=False)

    @classmethod
    def encode(
        cls,
        model: Claver,
        bank: TextBank,
        *,
        names: Sequence[str] | None = None,
        cache: Path | bool | None = True,
        progress: Progress = lambda done, total: None,
    ) -> Background:
        """Encode other names, and leave out those that mean one of the user's actions.

        A name is left out if it has all words of an action, or an action all of its words; or if the texts of the two
        are more alike than those of nearly all other names to their nearest neighbour. That level is each model's own:
        one that was never trained finds everything alike. A name that the model would cut is left out too.

        Args:
            model: the one that the bank was encoded by.
            bank: the user's actions.
            names: what to compare with; `known_actions()` if None.
            cache: where vectors are cached, as in `TextBank.encode`.
            progress: called with the number of texts encoded so far, and of all that are to be.
        """
        own = [_words(name) for name in bank.actions.names]
        given = known_actions() if names is None else tuple(names)
        apart = [name for name in given if not any(_one_within_the_other(_words(name), words) for words in own)]
        others = _not_cut(model, apart)
        if not others:
            return cls((), bank.prototypes.new_empty(0, bank.prototypes.shape[1]))
        said = _said_of(others)
        found = _unit(TextBank.encode(model, said, cache=cache, progress=progress).prototypes)
        keep = (_unit(bank.prototypes) @ found.T).amax(0) <= _level_of_duplicates(found)
        return cls(tuple(name for name, kept in zip(others, keep.tolist(), strict=True) if kept), found[keep])

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class OpenSet:
    """How well the user's actions fit a video, against the background; see the module for the rule.

    Prototypes of a text bank are means of unit vectors, the shorter the more texts differ; both sides are compared at
    length 1.

    Attributes:
        background: the other actions.
        prototypes: unit vectors of the user's actions [C, E].
        scale: exp of the model's logit scale.
        threshold: what the best action's relative score must reach.
    """

    background: Background
    prototypes: Tensor = field(repr=False)
    scale: float
    threshold: float = 0.0

    @classmethod
    def encode(
        cls,
        model: Claver,
        bank: TextBank,
        *,
        cache: Path | bool | None = True,
        progress: Progress = lambda done, total: None,
    ) -> OpenSet | None:
        """With the background encoded; None, which is said, where the user's actions leave fewer than `FEWEST` others.

        Arguments as of `Background.encode`.
        """
        background = Background.encode(model, bank, cache=cache, progress=progress)
        if len(background) < FEWEST:
            warn_once(
                f"'none of these' is not told: the actions leave only {len(background)} other names to compare with"
            )
            return None
        return cls(background, _unit(bank.prototypes), float(model.scale.detach()))

    @cached_property
    def rank(self) -> int:
        """m, the background action that is the bar."""
        return rank_of_bar(len(self.prototypes), len(self.background))

    def relative(self, embeddings_BE: Tensor) -> Tensor:
        """How far above the bar each action stands, in logits [B, C]; the order of actions at equal length of texts.

        Args:
            embeddings_BE: video embeddings, of any length.
        """
        own, others = self._cosines(embeddings_BE)
        bar = others.topk(self.rank, dim=-1).values[:, -1:]
        return self.scale * (own - bar)

    def percentile(self, embeddings_BE: Tensor) -> Tensor:
        """The share of background actions that fit less well than each action [B, C]."""
        own, others = self._cosines(embeddings_BE)
        below = torch.searchsorted(others.sort(-1).values, own.contiguous())
        return below / len(self.background)

    def unknown(self, embeddings_BE: Tensor) -> Tensor:
        """Probability that none of the actions applies [B]; above one half where none reaches the threshold.

        It falls as any action rises.
        """
        return torch.sigmoid(self.threshold - self.relative(embeddings_BE).amax(-1))

    @cached_property
    def _all(self) -> Tensor:
        return torch.cat([self.prototypes, self.background.prototypes]).T

    def _cosines(self, embeddings_BE: Tensor) -> tuple[Tensor, Tensor]:
        with without_autocast(embeddings_BE.device):
            cosines = _unit(embeddings_BE).float() @ self._all
        count = len(self.prototypes)
        return cosines[:, :count], cosines[:, count:]


def clip_embedding(frames_VTE: Tensor, aggregate: Aggregate = "paper") -> Tensor:
    """One embedding [1, E] of a clip seen in V views: the mean of their unit embeddings, by which Eq. 10 sums views."""
    return _unit(video_embedding(frames_VTE, aggregate)).mean(0, keepdim=True)


def rank_of_bar(actions: int, others: int, chance: float = CHANCE) -> int:
    """m, at least 1: above the m-th best of G others the best of C exchangeable words rises at most this often.

    Args:
        actions: C.
        others: G.
        chance: the highest probability allowed.
    """
    below, rank = 1.0, 0
    while rank < others and 1 - (below := below * (others - rank) / (others + actions - rank)) <= chance:
        rank += 1
    return max(1, rank)


def _unit(vectors: Tensor) -> Tensor:
    return F.normalize(exact(vectors), dim=-1)


def background_texts(model: Claver) -> Actions:
    """The texts of `Background.encode`, whatever the user's actions are: what has to be known to need no text tower."""
    return _said_of(_not_cut(model, known_actions()))


def _said_of(names: Sequence[str]) -> Actions:
    return Actions(tuple(names), tuple(fill(name, _FORMS) for name in names))


def _not_cut(model: Claver, names: Sequence[str]) -> list[str]:
    """Those whose texts the model reads whole: nobody is to be told of texts that are cut and not theirs."""
    if model.tokenizer is None:
        return list(names)
    encode, context = model.tokenizer.encode, model.tokenizer.context
    return [name for name in names if all(len(encode(text)) <= context for text in fill(name, _FORMS))]


def _level_of_duplicates(found_GE: Tensor) -> Tensor:
    """How alike two names are of which only the closest twentieth are more alike."""
    if len(found_GE) < FEWEST:
        return found_GE.new_tensor(torch.inf)
    alike = (found_GE @ found_GE.T).fill_diagonal_(-torch.inf)
    return alike.amax(1).quantile(_CLOSEST)


def _said(name: str) -> str:
    """One form for `apply eye makeup` and `applying eye makeup`."""
    form = phrase(name)
    return form.doing or form.activity


def _words(name: str) -> frozenset[str]:
    said = frozenset(re.findall(r"\w+", _said(name).casefold()))
    return said - _FUNCTION_WORDS or said


def _one_within_the_other(first: frozenset[str], second: frozenset[str]) -> bool:
    return bool(first and second) and (first <= second or second <= first)
