"""What the study `forgetting` asks models: about verbs, and about stills as clips whose frames are all alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from claver.evaluation.metrics import top_k_accuracy, within_pairs
from claver.models import Claver
from claver.motion.captions import still_caption
from claver.motion.prompts import Aspect, aspect_texts
from claver.motion.rendering import STATES, VERBS, render_stills
from claver.motion.tasks import PARTNER
from claver.motion.unseen import UNSEEN_VERBS
from claver.motion.verbs import Verb
from claver.studies.bench import kept, stills, tokens, written
from claver.studies.forgetting_asked import Asked, MakeGate, directions, gate_maker, mixed_with
from claver.studies.forgetting_ways import Variant
from claver.studies.prompt_studies import bench_part, fresh, held_out, recipe_of, unseen
from claver.studies.study import Figures, Settings
from claver.text.wording import rewritten
from claver.training.clips import ClipsTask, tokenize_classes
from claver.training.engine import Trainer, training_progress
from claver.training.tokens import TokenClips, cache_tokens

NOUNS = ("shape", "colour")
SENTENCES: tuple[Aspect, ...] = ("decomposition", "synonym", "body")
WHOLE = Variant()
_STILLS = 1000


def start_of(settings: Settings, cache: Path) -> Claver:
    """The towers that know stills, by the mean over frames."""
    return stills(bench_part(settings), cache).eval()


def learned_folder(settings: Settings, cache: Path) -> Path:
    """The folder of a finished run on the twelve verbs, in `run`."""

    def make(folder: Path) -> None:
        recipe, model = recipe_of(settings), fresh(settings, cache)
        clips = tokens(bench_part(settings), cache)[0]
        assert model.tokenizer is not None
        texts = tokenize_classes(model.tokenizer, said_of(settings, VERBS))
        task = ClipsTask(clips, clips, texts, recipe.texts_per_step, recipe.label_smoothing)
        quiet = recipe.model_copy(update={"trackers": ()})
        Trainer(quiet, model, task, folder / "run", progress=training_progress()).run()

    return kept(cache, "keeping", settings | {"recipe": written(settings)}, make)


def said_of(settings: Settings, verbs: Sequence[Verb]) -> dict[str, tuple[str, ...]]:
    """What is said of each verb, by its name: the texts of some aspects, or `name: sentence` for each sentence."""
    if not settings.get("joined"):
        return aspect_texts(settings["texts"], verbs)
    return {name: rewritten(name, own) for name, own in aspect_texts(SENTENCES, verbs).items()}


@dataclass(frozen=True)
class Exam:
    """All clips and texts of one seed.

    Attributes:
        asked: clips of `new` verbs, of `trained` ones, and `stills`: the tokens of the frozen image tower.
        states: for each state of stills the word of each, int64 [B].
        settings: of the run, which say what is said of verbs.
    """

    asked: Asked
    states: Mapping[str, Tensor]
    settings: Settings

    @classmethod
    def of(cls, settings: Settings, cache: Path) -> Exam:
        """The clips of a run's seed."""
        half = settings["motion.data.test"] // 2
        own = held_out(settings, cache)
        shown = render_stills(range(_STILLS), split="test", seed=settings["seed"], size=32)
        start = fresh(settings, cache)  # with a tower that reads patches, so that the image tower gives them
        still = cache_tokens(start, [shown.images[:, None]], dtype=torch.float16)
        states = {name: torch.from_numpy(words) for name, words in shown.states.items()}
        alike = still.expand(-1, recipe_of(settings).temporal.frames, -1, -1)
        clips = {
            "new": unseen(settings, cache, "test", half),
            "trained": TokenClips(own.tokens[:half], own.labels[:half]),
            "stills": TokenClips(alike, torch.zeros(len(alike))),
        }
        return cls(Asked(clips), states, settings)

    @torch.no_grad()
    def sit(self, start: Claver, model: Claver, variant: Variant = WHOLE) -> Figures:
        """Shares of right answers of a variant of a model.

        Returns:
            `new`, `new within pair` and `trained` verbs; `nouns` and `states` of stills, and `knew`, the mean of all.
        """
        mixed = mixed_with(start, model, variant.weight)
        known, strange = (directions(mixed, list(said_of(self.settings, v).values())) for v in (VERBS, UNSEEN_VERBS))
        make_gate, clips = gate_maker(variant.gate, known), self.asked.clips
        scores = self.asked.scores(model, mixed, "new", strange, make_gate)
        figures: Figures = {"new": top_k_accuracy(scores, clips["new"].labels)}
        figures["new within pair"] = within_pairs(scores, clips["new"].labels, PARTNER)
        scores = self.asked.scores(model, mixed, "trained", known, make_gate)
        figures["trained"] = top_k_accuracy(scores, clips["trained"].labels)
        words = {name: self._state(model, mixed, name, make_gate) for name in STATES}
        figures["nouns"] = sum(words[name] for name in NOUNS) / len(NOUNS)
        figures["states"] = sum(words[name] for name in words if name not in NOUNS) / (len(words) - len(NOUNS))
        return figures | {"knew": sum(words.values()) / len(words)} | {f"knew {name}": words[name] for name in words}

    def _state(self, model: Claver, mixed: Claver, name: str, make_gate: MakeGate | None) -> float:
        texts = directions(mixed, [[still_caption({name: word})] for word in STATES[name]])
        return top_k_accuracy(self.asked.scores(model, mixed, "stills", texts, make_gate), self.states[name])
