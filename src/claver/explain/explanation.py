"""`explain`: one clip, one action, and everything that made their score, as arrays and as a page, picture or film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from claver.errors import ClaverError, VideoError
from claver.explain.relevance import VideoRelevance, text_relevance, video_relevance
from claver.explain.words import Word, weigh_words
from claver.models import Claver, load
from claver.models.config import Temporal
from claver.models.objective import video_embedding
from claver.names import composed
from claver.prediction import Prediction
from claver.prompts.actions import Actions
from claver.prompts.text_bank import TextBank
from claver.recognizer import Recognizer
from claver.video import Preprocess, normalize, read_views

Floats = NDArray[np.float32]
MOST_TEXTS = 6
"""Texts of an action whose words are weighed: those most similar to the clip."""


@dataclass(frozen=True)
class ExplainedText:
    """A text about an action, its scaled similarity with the clip, and its words with their shares of that."""

    text: str
    similarity: float
    words: tuple[Word, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a clip got its score for an action, or a higher one than for another.

    Relevance (Chefer et al. 2021) has no unit: compare it within one map, or read it as shares. h × w is the grid of
    patches.

    Attributes:
        action: the action that is explained.
        against: the action it is compared with, if any; then all relevance of the video is that of the difference.
        temporal_kind: how the model's frames attend to each other.
        similarity: score of `action` (Eq. 10), less that of `against`.
        prediction: the answer for the clip, as seen in one view; its frames are those that the maps lie on.
        scores: of each action after each frame, from the class tokens up to then [T, C]; the last row is the answer's.
        probabilities: the same among the actions that compete [T, C].
        reads: relevance that each frame's read-out drew from each frame [T read, T seen].
        temporal: places, through the temporal tower alone [T, h, w].
        spatial: places, through the image tower alone [T, h, w].
        combined: places, through both [T, h, w].
        texts: texts of the action, the most similar first.
        against_texts: those of `against`, with the words that speak for it.
    """

    action: str
    against: str | None
    temporal_kind: Temporal
    similarity: float
    prediction: Prediction
    scores: Floats
    probabilities: Floats
    reads: Floats
    temporal: Floats
    spatial: Floats
    combined: Floats
    texts: tuple[ExplainedText, ...]
    against_texts: tuple[ExplainedText, ...]

    @property
    def moments(self) -> Floats:
        """Each frame's share of the relevance, all of its places together [T]; adds up to 1, or all 0."""
        sums = self.combined.sum((1, 2))
        return np.asarray(sums / sums.sum() if sums.sum() > 0 else sums, dtype=np.float32)

    @property
    def seconds(self) -> NDArray[np.float64] | None:
        """When each frame is shown, from the first frame of the video on [T]; None if frames were given as an array."""
        return None if self.prediction.seconds is None else self.prediction.seconds[0]

    def rank(self, action: str) -> int:
        """An action's place among all that compete, 1 being the model's answer."""
        ranked = [answer.action for answer in self.prediction.top(len(self.prediction.actions))]
        return ranked.index(action) + 1

    def probability(self, action: str) -> float:
        """An action's probability among those that compete."""
        return float(self.prediction.probabilities[self.prediction.actions.index(action)])

    @property
    def looks_ahead(self) -> bool:
        """Whether scores after a frame already know of later frames; only the causal mask (KMCTA) and mean do not."""
        return self.temporal_kind not in ("kmct", "mean")

    def save(self, path: str | Path) -> Path:
        """Write the page `.html`, the picture `.png`, the film `.mp4`, the numbers `.json`, or a folder with all four.

        Raises:
            ClaverError: another suffix, no such folder, or matplotlib is missing for picture and film.
        """
        from claver.explain.saving import save

        return save(self, Path(path))

    def to_dict(self) -> dict[str, Any]:
        """Plain values: all but the frames."""
        arrays = ("scores", "probabilities", "moments", "reads", "temporal", "spatial", "combined")
        return {
            "source": self.prediction.source,
            "answer": self.prediction.action,
            "action": self.action,
            "rank": self.rank(self.action),
            "against": self.against,
            "against_rank": self.rank(self.against) if self.against else None,
            "temporal_kind": self.temporal_kind,
            "similarity": self.similarity,
            "actions": list(self.prediction.actions),
            "seconds": None if self.seconds is None else self.seconds.tolist(),
            "damaged": None if self.prediction.damaged is None else self.prediction.damaged.to_dict(),
            **{name: getattr(self, name).tolist() for name in arrays},
            "texts": [_plain(text) for text in self.texts],
            "against_texts": [_plain(text) for text in self.against_texts],
        }

    def __repr__(self) -> str:
        than = f" rather than {self.against!r}" if self.against else ""
        return f"Explanation({self.action!r}{than}, {self.similarity:.2f}, maps {self.combined.shape})"


def explain(
    recognizer: Recognizer | Claver | str | Path, video: Any, action: str, against: str | None = None
) -> Explanation:
    """Explain why a clip got its score for an action.

    One view is looked at, the centre of evenly spaced frames, whatever the recogniser's views.

    Args:
        recognizer: its actions compete, and their texts are what is compared; or a model (or what `claver.load`
            takes), whose own actions do so, or, if it has none, the names alone, which are their own texts.
        video: what a `Recognizer` takes.
        action: one of the recogniser's actions, or any text, which then competes as well.
        against: another; then the difference of the two scores is explained.

    Raises:
        ClaverError: an empty action, or twice the same.
        VideoError: the video cannot be read, or all frames used of it are damaged.
    """
    chosen = check_actions(action, against)
    if not isinstance(recognizer, Recognizer):
        loaded = recognizer if isinstance(recognizer, Claver) else load(recognizer)
        recognizer = Recognizer(loaded, None if loaded.learned else {name: [name] for name in chosen})
    model, bank = recognizer.model, _with_actions(recognizer, chosen)
    views = read_views(video, frames=recognizer.frames, preprocess=recognizer.preprocess, normalized=False)
    name = str(video) if isinstance(video, str | Path) else str(getattr(video, "name", type(video).__name__))
    if views.damage is not None and views.damage.share == 1:
        raise VideoError(f"{name}: it is damaged ({views.damage}); there is nothing to explain.")
    seen = views.pixels[0]
    places = [bank.actions.names.index(name) for name in chosen]
    found = _video_relevance(model, recognizer.preprocess, seen, bank.prototypes, places)
    embedding = video_embedding(found.frame_embeddings[None].float(), model.config.aggregate)[0]
    texts = [_explain_texts(model, bank, place, embedding) for place in places]
    scores, probabilities = _time_line(model, bank, found.frame_embeddings)
    frames = seen.permute(0, 2, 3, 1).cpu().numpy()
    shown = (scores[-1], probabilities[-1], frames)
    prediction = Prediction(name, bank.actions.names, *shown, seconds=views.seconds, damaged=views.damage)
    return Explanation(
        action=chosen[0],
        against=chosen[1] if len(chosen) > 1 else None,
        temporal_kind=model.config.temporal.kind,
        similarity=found.similarity,
        prediction=prediction,
        scores=scores,
        probabilities=probabilities,
        reads=_array(found.reads),
        temporal=_array(found.temporal),
        spatial=_array(found.spatial),
        combined=_array(found.combined),
        texts=texts[0],
        against_texts=texts[1] if len(texts) > 1 else (),
    )


def check_actions(action: str, against: str | None) -> list[str]:
    """What is to be explained, one action or two.

    Raises:
        ClaverError: an empty one, or twice the same.
    """
    chosen = [composed(name.strip()) for name in (action, against) if name is not None]
    if not all(chosen):
        raise ClaverError("nothing can be explained about an empty text; name an action")
    if len(set(chosen)) < len(chosen):
        raise ClaverError(f"{action!r} cannot be compared with itself; name another action to compare with")
    return chosen


def _with_actions(recognizer: Recognizer, names: Sequence[str]) -> TextBank:
    """The recogniser's bank, and behind it those names that it lacks, each as its own text."""
    bank = recognizer.bank
    new = tuple(name for name in names if name not in bank.actions.names)
    if not new:
        return bank
    more = TextBank.encode(recognizer.model, Actions(new, tuple((name,) for name in new)))
    both = Actions(bank.actions.names + new, bank.actions.texts + more.actions.texts)
    embeddings, prototypes = torch.cat([bank.embeddings, more.embeddings]), [bank.prototypes, more.prototypes]
    return TextBank(both, embeddings, torch.cat(prototypes))


def _video_relevance(
    model: Claver, preprocess: Preprocess, seen_TCHW: Tensor, prototypes_CE: Tensor, places: Sequence[int]
) -> VideoRelevance:
    pixels = normalize(seen_TCHW.to(model.device), preprocess.mean, preprocess.std)
    direction = prototypes_CE[places[0]] - (prototypes_CE[places[1]] if len(places) > 1 else 0)
    return video_relevance(model, pixels, direction.to(model.device))


def _explain_texts(model: Claver, bank: TextBank, place: int, video_E: Tensor) -> tuple[ExplainedText, ...]:
    """Of an action's texts those most similar to the clip, with their words."""
    assert model.tokenizer is not None  # the bank could not have been made
    own = bank.embeddings.split([len(texts) for texts in bank.actions.texts])[place]
    video = F.normalize(video_E, dim=-1) if model.config.aggregate == "paper" else video_E
    similarity = dict(
        zip(bank.actions.texts[place], (model.scale.detach() * own.float() @ video).tolist(), strict=True)
    )
    explained = []
    for text in sorted(similarity, key=similarity.__getitem__, reverse=True)[:MOST_TEXTS]:
        relevance = text_relevance(model, model.tokenizer([text])[0], video_E)
        words = weigh_words(text, relevance.tolist(), model.tokenizer)
        explained.append(ExplainedText(text, similarity[text], words))
    return tuple(explained)


@torch.inference_mode()
def _time_line(model: Claver, bank: TextBank, frames_TE: Tensor) -> tuple[Floats, Floats]:
    """Scores and probabilities after each frame [T, C], from the read-outs up to then."""
    aggregate = model.config.aggregate
    beginnings = [frames_TE[None, : frame + 1] for frame in range(len(frames_TE))]
    scores = torch.stack([bank.scores(part, model.scale, aggregate) for part in beginnings])
    # As for an answer: the released score is a sum of softmaxes already.
    probabilities = scores.softmax(1) if aggregate == "paper" else scores / scores.sum(1, keepdim=True)
    return _array(scores), _array(probabilities)


def _plain(text: ExplainedText) -> dict[str, Any]:
    return {"text": text.text, "similarity": text.similarity, "words": [word._asdict() for word in text.words]}


def _array(values: Tensor) -> Floats:
    return np.asarray(values.float().cpu().numpy())
