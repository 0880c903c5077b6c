"""Queries: a vector to look for, and how far a window that is like it stands out of the background.

With unit vectors v of a window, q of the query, b_g of the names of G other actions, n_j of texts that are not meant,
and the scale s of the model (exp of its logit scale):

    bar(v)   = max(the m-th largest of v·b_g, the largest of v·n_j)
    score(v) = s (v·q − bar(v))

This is the open-set rule of recognition (`claver.inference.open_set`). There m is such that words which have nothing to
do with a video rise above the bar with a probability of at most one tenth; here that is divided by the number of files,
each of which is one more trial, as far as G names can tell: of more than G / 10 files the best of all names is the bar.

A clip has no names to compete with. Its score is v·q in standard deviations above the mean of a sample of windows, less
√(2 ln W), which the best of W windows that have nothing to do with it would reach about.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from claver.errors import ClaverError
from claver.inference.open_set import CHANCE, FEWEST, Background, rank_of_bar
from claver.inference.windows import WindowEncoder, Windows
from claver.models import Claver
from claver.text.actions import Actions
from claver.text.encoding import Progress
from claver.text.templates import fill
from claver.text.text_bank import TextBank

Vectors = npt.NDArray[np.float16]
_QUERY = "the query"


class Query(ABC):
    """What is looked for.

    Attributes:
        words: the texts, or the name of the clip.
        vector: of length 1 [E], float32 on the CPU.
    """

    words: tuple[str, ...]
    vector: Tensor

    @property
    def directions(self) -> tuple[Tensor, ...]:
        """Unit vectors [E] along which the windows lie that may score high."""
        return (self.vector,)

    @abstractmethod
    def scores(self, vectors: Vectors) -> npt.NDArray[np.float32]:
        """How far windows [W, E] stand out of the background, 0, [W]."""


@dataclass(frozen=True)
class TextQuery(Query):
    """Texts of one meaning, against the names of other actions and texts that are not meant; see the module.

    Attributes:
        words: the texts.
        vector: as of every query.
        background: names of other actions, unit vectors [G, E].
        negative: texts that are not meant, unit vectors [J, E]; J may be 0.
        scale: exp of the model's logit scale.
        rank: m.
    """

    words: tuple[str, ...]
    vector: Tensor = field(repr=False)
    background: Tensor = field(repr=False)
    negative: Tensor = field(repr=False)
    scale: float
    rank: int

    @property
    def directions(self) -> tuple[Tensor, ...]:
        """Those of the texts, and away from each that is not meant."""
        return (self.vector, *(F.normalize(self.vector - against, dim=-1) for against in self.negative))

    def scores(self, vectors: Vectors) -> npt.NDArray[np.float32]:
        """As of every query."""
        windows = _single(vectors)
        bar = (windows @ self.background.T).topk(self.rank, dim=-1).values[:, -1]
        if len(self.negative):
            bar = torch.maximum(bar, (windows @ self.negative.T).amax(-1))
        found: npt.NDArray[np.float32] = (self.scale * (windows @ self.vector - bar)).numpy()
        return found


@dataclass(frozen=True)
class ClipQuery(Query):
    """A clip, against what windows of the index are usually like; see the module.

    Attributes:
        words: the name of the clip.
        vector: as of every query.
        mean: of the cosines of a sample of windows.
        std: their standard deviation.
        bar: what the best window that has nothing to do with the clip would reach, in standard deviations.
    """

    words: tuple[str, ...]
    vector: Tensor = field(repr=False)
    mean: float
    std: float
    bar: float

    def scores(self, vectors: Vectors) -> npt.NDArray[np.float32]:
        """As of every query."""
        cosines = _single(vectors) @ self.vector
        found: npt.NDArray[np.float32] = ((cosines - self.mean) / self.std - self.bar).numpy()
        return found


def text_query(
    texts: str | Sequence[str],
    model: Claver,
    *,
    files: int,
    negative: str | Sequence[str] = (),
    cache: Path | bool | None = True,
    progress: Progress = lambda done, total: None,
) -> TextQuery:
    """Encode texts, what is not meant, and the background.

    Args:
        texts: a text, or several of one meaning, which are averaged.
        model: with its text tower.
        files: of the index.
        negative: texts that are not meant.
        cache: where vectors are cached, as in `TextBank.encode`.
        progress: likewise.

    Raises:
        ClaverError: no text, or an empty one; or the texts leave no names of other actions to compare with.
    """
    words, against = _given(texts), _given(negative)
    if not words:
        raise ClaverError('there is no query; write what you look for, such as "someone enters a room"')
    names = (_QUERY, *against)
    sentences = (tuple(form for word in words for form in fill(word)), *(fill(word) for word in against))
    bank = TextBank.encode(model, Actions(names, sentences), cache=cache)
    named = TextBank(Actions((" ".join(words), *against), sentences), bank.embeddings, bank.prototypes)
    background = Background.encode(model, named, cache=cache, progress=progress)
    if len(background) < FEWEST:
        left = f"only {len(background)} names of other actions to compare with"
        raise ClaverError(f"the query leaves {left}; make it shorter")
    unit = F.normalize(bank.prototypes.float(), dim=-1).cpu()
    rank = rank_of_bar(1, len(background), CHANCE / max(files, 1))
    scale = float(model.scale.detach())
    return TextQuery(words, unit[0], background.prototypes.float().cpu(), unit[1:], scale, rank)


def clip_query(clip: str | Path, encoder: WindowEncoder, sample: Vectors, windows: int) -> ClipQuery:
    """The mean of a clip's windows, against a sample of `windows` windows of the index.

    Raises:
        VideoError: the clip cannot be read.
    """
    with encoder(str(clip)) as iterator:
        seen = Windows.joined(list(iterator))
    vector = F.normalize(F.normalize(seen.embeddings, dim=-1).mean(0), dim=-1)
    cosines = _single(sample) @ vector
    std = max(float(cosines.std(correction=0)), 1e-6)
    return ClipQuery((str(clip),), vector, float(cosines.mean()), std, math.sqrt(2 * math.log(max(windows, 2))))


def _single(vectors: Vectors) -> Tensor:
    return torch.from_numpy(vectors.astype(np.float32))


def _given(texts: str | Sequence[str]) -> tuple[str, ...]:
    words = tuple(word.strip() for word in ([texts] if isinstance(texts, str) else texts))
    if any(not word for word in words):
        raise ClaverError("a text of the query is empty; write what you look for, or leave it out")
    return words
