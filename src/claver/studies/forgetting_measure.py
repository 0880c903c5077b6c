"""What the study `forgetting` asks models: about verbs, and about stills as clips whose frames are all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from claver.evaluation.gate import Gate, towards
from claver.evaluation.metrics import top_k_accuracy, within_pairs
from claver.models import Claver, video_embedding
from claver.models.blend import blend
from claver.motion.captions import still_caption
from claver.motion.prompts import Aspect, aspect_texts
from claver.motion.rendering import STATES, VERBS, render_stills
from claver.motion.tasks import PARTNER
from claver.motion.unseen import UNSEEN_VERBS
from claver.motion.verbs import Verb
from claver.studies.bench import kept, stills, tokens, written
from claver.studies.prompt_studies import bench_part, fresh, held_out, recipe_of, unseen
from claver.studies.study import Figures, Settings
from claver.training.clips import ClipsTask, tokenize_classes
from claver.training.engine import Trainer, training_progress
from claver.training.tokens import TokenClips, cache_tokens

MakeGate = Callable[[Tensor], Gate]
"""From what is said of the classes that compete [C, E] to the gate between them and the trained verbs."""
NOUNS = ("shape", "colour")
SENTENCES: tuple[Aspect, ...] = ("decomposition", "synonym", "body")
_STILLS, _BATCH = 1000, 240


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
    sentences = aspect_texts(SENTENCES, verbs)
    return {name: tuple(f"{name}: {sentence}" for sentence in own) for name, own in sentences.items()}


@dataclass
class Exam:
    """All clips and texts of one seed.

    Attributes:
        clips: of new verbs, of trained ones, and stills; the tokens of the frozen image tower.
        states: for each state of stills the word of each, int64 [B].
        settings: of the run, which say what is said of verbs.
    """

    new: TokenClips
    trained: TokenClips
    stills: TokenClips
    states: Mapping[str, Tensor]
    settings: Settings
    _of: Claver | None = field(default=None, repr=False)
    _frames: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)

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
        trained = TokenClips(own.tokens[:half], own.labels[:half])
        new = unseen(settings, cache, "test", half)
        return cls(new, trained, TokenClips(alike, torch.zeros(len(alike))), states, settings)

    @torch.no_grad()
    def sit(self, start: Claver, model: Claver, *, weight: float = 1.0, gate: float | None = None) -> Figures:
        """Shares of right answers of a model, perhaps blended with the start, perhaps behind a gate of this τ.

        Returns:
            `new`, `new within pair` and `trained` verbs; `nouns` and `states` of stills, and `knew`, the mean of all.
        """
        mixed = model if weight == 1 else blend(start.state_dict(), model, weight)
        known = _directions(mixed, list(said_of(self.settings, VERBS).values()))
        make_gate = None if gate is None else partial(Gate, trained=known, tau=gate)
        strange = _directions(mixed, list(said_of(self.settings, UNSEEN_VERBS).values()))
        scores = self._scores(model, mixed, "new", strange, make_gate)
        figures: Figures = {"new": top_k_accuracy(scores, self.new.labels)}
        figures["new within pair"] = within_pairs(scores, self.new.labels, PARTNER)
        figures["trained"] = top_k_accuracy(
            self._scores(model, mixed, "trained", known, make_gate), self.trained.labels
        )
        words = {name: self._state(model, mixed, name, make_gate) for name in STATES}
        figures["nouns"] = sum(words[name] for name in NOUNS) / len(NOUNS)
        figures["states"] = sum(words[name] for name in words if name not in NOUNS) / (len(words) - len(NOUNS))
        return figures | {"knew": sum(words.values()) / len(words)} | {f"knew {name}": words[name] for name in words}

    def _state(self, model: Claver, mixed: Claver, name: str, make_gate: MakeGate | None) -> float:
        texts = _directions(mixed, [[still_caption({name: word})] for word in STATES[name]])
        return top_k_accuracy(self._scores(model, mixed, "stills", texts, make_gate), self.states[name])

    def _scores(self, model: Claver, mixed: Claver, which: str, texts_CE: Tensor, make_gate: MakeGate | None) -> Tensor:
        """Cosines [B, C] of clips and of what is said of each class."""
        still, moved = self._seen(model, which)
        if make_gate is not None:
            moved = towards(still, moved, make_gate(texts_CE)(video_embedding(mixed.readout(still))))
        return F.normalize(video_embedding(mixed.readout(moved)), dim=-1) @ texts_CE.T

    def _seen(self, model: Claver, which: str) -> tuple[Tensor, Tensor]:
        """Summaries [B, T, D] without and with the temporal tower, which no blend changes: computed once."""
        if model is not self._of:
            self._of, self._frames = model, {}
        if which not in self._frames:
            clips: TokenClips = getattr(self, which)
            parts = [clips.take(rows)[0] for rows in torch.arange(len(clips)).split(_BATCH)]
            still, moved = [part[:, :, 0] for part in parts], [model.temporal(part) for part in parts]
            self._frames[which] = torch.cat(still), torch.cat(moved)
        return self._frames[which]


def _directions(model: Claver, texts: Sequence[Sequence[str]]) -> Tensor:
    """One vector a class [C, E], the mean of the unit vectors of its texts, which ranks as they do (Eq. 10)."""
    assert model.tokenizer is not None
    ids = model.tokenizer([text for own in texts for text in own]).to(model.device)
    return F.normalize(model.encode_text(ids), dim=-1).unflatten(0, (len(texts), -1)).mean(1)
