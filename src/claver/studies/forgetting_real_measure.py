"""What the study `forgetting-real` trains, and what it asks."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from torch import Tensor

from claver.evaluation.metrics import top_k_accuracy
from claver.models import Claver, load
from claver.quickstart.real_weights import imagenet_model
from claver.studies.forgetting_asked import Asked, directions, gate_maker, mixed_with
from claver.studies.forgetting_ways import START, VARIANTS
from claver.studies.real_clips import (
    SEQUENCES,
    TEXTS,
    VIEWS,
    RealClips,
    clip_tokens,
    clips_digest,
    other_clips,
    read_names,
    real_clips,
)
from claver.studies.study import Figures, Settings
from claver.text.selection import read_actions
from claver.text.wording import rewritten
from claver.training.clips import ClipsTask, tokenize_classes
from claver.training.engine import Trainer, training_progress
from claver.training.initialization import with_temporal
from claver.training.recipe import Recipe, make_recipe
from claver.training.tokens import TokenClips

ACTIONS = tuple(TEXTS)
TOP = 5
"""Among the first how many the right answer is looked for where clips are of other actions."""
_LEARNED: Settings = {
    "batch_size": 16,
    "warmup": 10,
    "lr": 1e-5,
    "temporal_lr_factor": 10,
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
    "texts_per_step": 3,
    "temporal": {"kind": "kmct", "layers": 1, "frames": 8, "init": "zero"},
    "freeze": ["image"],
    "trackers": [],
}


def pairs_of(seed: int) -> tuple[tuple[int, int], ...]:
    """Three pairs of actions, each action in one; five seeds on end have all fifteen pairs (a round robin)."""
    last, turn = len(ACTIONS) - 1, seed % (len(ACTIONS) - 1)
    return ((turn, last), *(((turn + step) % last, (turn - step) % last) for step in (1, 2)))


def unseen_sequences(seed: int) -> Tensor:
    """Two of the ten sequences, of which nothing is learned; five seeds on end have all ten."""
    turn = seed % (len(SEQUENCES) // 2)
    return torch.tensor(SEQUENCES[2 * turn : 2 * turn + 2])


def said_of(names: Sequence[str], *, joined: bool) -> dict[str, tuple[str, ...]]:
    """What is said of each action: its name, or `name: sentence` for each sentence."""
    return {name: rewritten(name, TEXTS[name]) if joined else (name,) for name in names}


def recipe_of(settings: Settings) -> Recipe:
    """The recipe of a run that learns."""
    keys = ("steps", "average", "distill", "interpolate", "seed")
    chosen: Settings = {key: settings[key] for key in keys if key in settings}
    return make_recipe({"task": "videos", "videos": {"train": settings["data"]}, **_LEARNED, **chosen})


def digest(settings: Settings) -> str:
    """Of the texts, of the clips, of the list of other clips and of the recipe."""
    paths, labels, _ = read_names(Path(settings["data"]))
    others = other_clips(settings["listed"], settings["root"])
    clips = clips_digest(paths, labels.tolist()), clips_digest(others.paths(), others.labels.tolist())
    parts = [repr((TEXTS, TOP, clips, others.classes))]
    if settings["way"] != START:
        parts.append(recipe_of(settings).model_dump_json(exclude={"videos"}))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Others:
    """Clips of other actions.

    Attributes:
        classes: their actions.
        labels: int64 [M].
        first: which of the 400 names of Kinetics the start answers, int64 [M].
    """

    classes: tuple[str, ...]
    labels: Tensor
    first: Tensor


class Said(NamedTuple):
    """A model, perhaps blended with the start, and what it says [C, E] of actions: see `Exam`."""

    model: Claver
    new: Tensor
    trained: Tensor
    others: Tensor
    kinetics: Tensor


@dataclass(frozen=True)
class Exam:
    """What is asked after two actions have been left out.

    Attributes:
        asked: clips of the two `new` actions, of the `trained` ones, and `other` ones, every view of each.
        labels: of `new` clips, among the two; of `trained` ones, among the four.
        new: the names of the two.
        trained: the names of the four.
        others: see there.
        rewritten: whether texts are `name: sentence`.
    """

    asked: Asked
    labels: dict[str, Tensor]
    new: tuple[str, ...]
    trained: tuple[str, ...]
    others: Others
    rewritten: bool

    @torch.no_grad()
    def said(self, mixed: Claver) -> Said:
        """All that a model says of actions; other actions are asked for by their names alone."""
        own = (said_of(names, joined=self.rewritten).values() for names in (self.new, self.trained))
        others = (_names(self.others.classes), _names(_kinetics()))
        return Said(mixed, *(directions(mixed, list(texts)) for texts in (*own, *others)))

    @torch.no_grad()
    def sit(self, model: Claver, said: Said, gate: float | None = None) -> Figures:
        """Shares of right answers of a model.

        Args:
            model: whose temporal tower looks at the clips.
            said: of its blend with the start, or of itself.
            gate: τ of the gate behind its temporal tower, if there is one.

        Returns:
            `new` of two and `new of six`, `trained` of four, `other first` and `knew` (top-1 and top-5 of the clips of
            other actions), and the `same answer` as the start's, among the 400 names of Kinetics.
        """
        make_gate = gate_maker(gate, said.trained)

        def scores(which: str, texts_CE: Tensor) -> Tensor:
            return _of_clips(self.asked.scores(model, said.model, which, texts_CE, make_gate))

        other, answers = scores("other", said.others), scores("other", said.kinetics).argmax(1)
        six = torch.cat([said.new, said.trained])
        return {
            "new": top_k_accuracy(scores("new", said.new), self.labels["new"]),
            "new of six": top_k_accuracy(scores("new", six), self.labels["new"]),
            "trained": top_k_accuracy(scores("trained", said.trained), self.labels["trained"]),
            "other first": top_k_accuracy(other, self.others.labels),
            "knew": top_k_accuracy(other, self.others.labels, TOP),
            "same answer": (answers == self.others.first).double().mean().item(),
        }


def measured_pair(settings: Settings, pair: tuple[int, int], cache: Path) -> Figures:
    """What the start answers, or every variant of a model that has learned all actions but a pair."""
    start, clips = _start(), real_clips(Path(settings["data"]), cache)
    new, trained = (tuple(a for n, a in enumerate(ACTIONS) if (n in pair) == chosen) for chosen in (True, False))
    is_new = torch.isin(clips.labels, torch.tensor(pair))
    held_out = ~is_new & torch.isin(clips.sequences, unseen_sequences(settings["seed"]))
    others, other = _others(settings["listed"], settings["root"], cache)
    views = {"new": clips.tokens[is_new][:, 0], "trained": clips.tokens[held_out][:, 0], "other": other}
    labels = {"new": _among(clips.labels[is_new], new), "trained": _among(clips.labels[held_out], trained)}
    exam = Exam(_asked(views), labels, new, trained, others, settings.get("rewritten", False))
    if settings["way"] == START:
        return exam.sit(start, exam.said(start))
    figures: Figures = {}
    for averaged, model in _trained(settings, start, clips, ~is_new & ~held_out, trained):
        own = [variant for variant in VARIANTS if variant.averaged == averaged]
        for weight, variants in itertools.groupby(own, key=lambda variant: variant.weight):
            said = exam.said(mixed_with(start, model, weight))  # the same behind every gate
            for variant in variants:
                figures |= variant.name(exam.sit(model, said, variant.gate))
    return figures


def _asked(views: Mapping[str, Tensor]) -> Asked:
    """Every view [M, V, T, N, D] of clips as a clip of its own; what they are is known elsewhere."""
    flat = {name: tokens.flatten(0, 1) for name, tokens in views.items()}
    return Asked({name: TokenClips(tokens, torch.zeros(len(tokens))) for name, tokens in flat.items()})


def _of_clips(scores: Tensor) -> Tensor:
    """The mean [M, C] over the views of each clip of scores [M·V, C]."""
    return scores.unflatten(0, (-1, VIEWS)).mean(1)


def _trained(
    settings: Settings, start: Claver, clips: RealClips, learned: Tensor, names: tuple[str, ...]
) -> Iterator[tuple[bool, Claver]]:
    """The model of the last weights, and that of their mean."""
    recipe = recipe_of(settings)
    tokens = clips.tokens[learned].flatten(0, 2)
    labels = _among(clips.labels[learned], names)
    train = TokenClips(tokens, labels.repeat_interleave(len(tokens) // len(labels)))
    model = with_temporal(start, recipe.temporal, token_scale=train.scale(), seed=recipe.seed)
    assert model.tokenizer is not None
    texts = tokenize_classes(model.tokenizer, said_of(names, joined=settings["rewritten"]))
    task = ClipsTask(train, train, texts, recipe.texts_per_step, recipe.label_smoothing)
    with TemporaryDirectory() as folder:
        Trainer(recipe, model, task, Path(folder), progress=training_progress()).run()
        yield False, load(Path(folder) / "last").eval()
        yield True, load(Path(folder) / "last" / "average").eval()


def _among(labels: Tensor, names: tuple[str, ...]) -> Tensor:
    """Labels among all actions as labels among some."""
    place = torch.tensor([names.index(name) if name in names else -1 for name in ACTIONS])
    return place[labels]


@lru_cache(maxsize=1)
def _start() -> Claver:
    return imagenet_model().eval()


def _names(classes: Sequence[str]) -> list[tuple[str]]:
    return [(name,) for name in classes]


@lru_cache(maxsize=1)
def _kinetics() -> tuple[str, ...]:
    return read_actions("kinetics400", texts="names").names


@lru_cache(maxsize=1)
def _others(listed: str, root: str, cache: Path) -> tuple[Others, Tensor]:
    """Clips of other actions, and their tokens [M, V, T, N, 1280]."""
    manifest, start = other_clips(listed, root), _start()
    tokens = clip_tokens(manifest.paths(), cache, squash=False)[:, 0]
    with torch.no_grad():
        scores = _asked({"other": tokens}).scores(start, start, "other", directions(start, _names(_kinetics())))
    first = _of_clips(scores).argmax(1)
    return Others(manifest.classes, torch.from_numpy(manifest.labels), first), tokens
